//! One step of the volume's history. Edits are facts about the primary's files, in the order in
//! which a replica may see them.

use bytes::Bytes;

use super::frames::Frame;
use super::{Checksum, RelPath, SegmentId};

/// Tail bytes are compared and checked in blocks of this size: PostgreSQL's page (`XLOG_BLCKSZ`).
pub const BLOCK: u64 = 8192;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A range of a file of an open segment has these bytes now.
    Write(Write),
    /// These files will never change again; their bytes are in a body.
    Seal(Seal),
    /// A pointer has this content, as a whole and at once.
    Set {
        /// Which pointer.
        path: RelPath,
        /// All of it.
        content: Bytes,
    },
    /// The file is gone.
    Remove {
        /// Which file.
        path: RelPath,
    },
    /// The file has another name; a file of the new name is replaced.
    Rename {
        /// Its name so far.
        from: RelPath,
        /// Its name from here on.
        to: RelPath,
    },
    /// How long things are kept, from here on.
    SetPolicy {
        /// The policy's document.
        content: Bytes,
    },
}

/// A range of a file of an open segment.
///
/// Invariants, checked when it is decoded and when it is folded: `offset` is a multiple of
/// [`BLOCK`]; one checksum per started block; the range ends at a block's border unless nothing
/// of the file lies beyond it; the range lies within `size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which file. It begins to exist with its first write.
    pub path: RelPath,
    /// How long the file is from here on. What no write ever covered reads as zeros; what lies
    /// beyond a smaller size is gone.
    pub size: u64,
    /// Where the range begins in the file.
    pub offset: u64,
    /// Where its bytes begin in the batch's payload.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// The checksum of each block of the range, the last one perhaps shorter than [`BLOCK`].
    pub blocks: Vec<Checksum>,
}

/// The files of one segment, which became immutable together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The name of the body. Only a finished upload yields it.
    pub segment: SegmentId,
    /// The files, in the order of their bytes in the body's stream.
    pub members: Vec<Member>,
    /// The frames of the body's stream, in order.
    pub frames: Vec<Frame>,
}

/// One file of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path.
    pub path: RelPath,
    /// Its length. It begins in the stream where the previous member ends.
    pub size: u64,
}
