//! Links, checkpoints and bodies as bytes: versioned, self-checking, decodable alone.
//! `docs/format.md` has the pictures.

use bytes::Bytes;

use super::{Digest, Link, Manifest};

/// A link as bytes: encoded once, so that every retry is the same object.
#[derive(Clone, Debug)]
pub struct EncodedLink {
    /// The link.
    pub link: Link,
    /// The object.
    pub bytes: Bytes,
    /// Its digest: what the next link names.
    pub digest: Digest,
}

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not one of ours at all, damaged, or cut short.
    #[error("{0}")]
    Corrupt(String),
    /// Written by a newer walfs.
    #[error("format version {found} is newer than this walfs, which knows up to {known}: upgrade")]
    Newer {
        /// What the object says.
        found: u16,
        /// The newest that can be read.
        known: u16,
    },
}

/// A link as an object.
pub fn encode_link(link: Link) -> EncodedLink {
    let _ = link;
    todo!()
}

/// The link that this object is. Checks everything that can be checked without its neighbours,
/// every block of the payload included.
pub fn decode_link(bytes: &Bytes) -> Result<EncodedLink, FormatError> {
    let _ = bytes;
    todo!()
}

/// A manifest as a checkpoint object.
pub fn encode_checkpoint(manifest: &Manifest) -> Bytes {
    let _ = manifest;
    todo!()
}

/// The manifest that this checkpoint object is.
pub fn decode_checkpoint(bytes: &Bytes) -> Result<Manifest, FormatError> {
    let _ = bytes;
    todo!()
}

/// The footer of a body: which files its stream has, and how its frames lie.
pub fn encode_footer(members: &[super::edit::Member], frames: &[super::frames::Frame]) -> Vec<u8> {
    let _ = (members, frames);
    todo!()
}
