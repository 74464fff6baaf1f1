//! Links, checkpoints and bodies as bytes: versioned, self-checking, decodable alone.
//! `docs/format.md` has the pictures.
//!
//! | file | idea |
//! |---|---|
//! | `envelope` | what every object begins and ends with: magic, kind, version, checksum |
//! | `wire` | numbers, texts and paths as bytes |
//! | `edits` | edits as bytes |
//! | `links` | batches and fences |
//! | `checkpoint` | manifests |
//! | `footer` | the index at the end of a body |
//!
//! Bytes from a store are not trusted: decoding never panics, never allocates more than the bytes
//! at hand can account for, and refuses what the same walfs would not have written.

mod checkpoint;
mod edits;
mod envelope;
mod footer;
mod links;
mod wire;

pub use checkpoint::{decode_checkpoint, encode_checkpoint};
pub use envelope::VERSION;
pub use footer::{TRAILER, decode_footer, encode_footer, footer_len};
pub use links::{EncodedLink, decode_link, encode_link};

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

impl FormatError {
    fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}
