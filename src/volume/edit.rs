//! One step of the volume's history. Edits are facts about the primary's files, in the order in
//! which a replica may see them.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::frames::{self, Frame};
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
/// [`BLOCK`]; one checksum per started block; the range lies within `size`, and ends at a block's
/// border or at `size`. An empty range only sets the size.
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

/// How many blocks a range of this length starts.
pub fn blocks_in(len: u64) -> u64 {
    len.div_ceil(BLOCK)
}

impl Edit {
    /// What is wrong with it, whatever it is applied to.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Write(write) => write.check().map_err(|flaw| format!("{}: {flaw}", write.path)),
            Self::Seal(seal) => seal.check().map_err(|flaw| format!("{}: {flaw}", seal.segment)),
            _ => Ok(()),
        }
    }
}

impl Write {
    /// Where the range ends in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    fn check(&self) -> Result<(), &'static str> {
        let end = self.offset.checked_add(self.len).ok_or("the range has no end")?;
        let blocks = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let flaws = [
            (!self.offset.is_multiple_of(BLOCK), "the range begins inside a block"),
            (end > self.size, "the range ends beyond the size"),
            (!end.is_multiple_of(BLOCK) && end != self.size, "the range ends inside a block"),
            (blocks != blocks_in(self.len), "the range has another number of checksums"),
            (self.at.checked_add(self.len).is_none(), "the payload has no end"),
            (self.size > MAX_SIZE, "the size is larger than a file can be"),
        ];
        flaws.iter().find(|(found, _)| *found).map_or(Ok(()), |(_, flaw)| Err(flaw))
    }
}

/// The longest that a file can be: `off_t` has a sign.
pub const MAX_SIZE: u64 = u64::MAX >> 1;

impl Seal {
    /// The length of the body's stream; `None` if it is longer than a file can be.
    pub fn stream_len(&self) -> Option<u64> {
        let add = |sum: u64, member: &Member| sum.checked_add(member.size);
        self.members.iter().try_fold(0, add).filter(|len| *len <= MAX_SIZE)
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let len = self.stream_len().ok_or("the body is larger than a file can be")?;
        let paths: BTreeSet<&RelPath> = self.members.iter().map(|member| &member.path).collect();
        if self.members.is_empty() || paths.len() != self.members.len() {
            return Err("the body has no members, or one of them twice");
        }
        frames::check(&self.frames, len)
    }
}
