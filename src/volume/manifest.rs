//! What the volume contains at a position: a fold over edits. Cheap to clone and to swap whole
//! (persistent maps). Says where bytes are, holds none but those of pointers, fetches nothing.

use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::frames::Frame;
use super::{Checksum, Digest, Epoch, Fence, Position, RelPath, SegmentId, WallTime};

/// What the volume contains at a position.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The last link that was folded; `None` before the first one.
    pub position: Option<Position>,
    /// The digest of that link: what the next one must name.
    pub digest: Digest,
    /// When that link was cut.
    pub time: WallTime,
    /// What the database called this point, when last told.
    pub database: Option<String>,
    /// The fence that began this epoch: who is primary, and since when.
    pub reign: Option<Fence>,
    /// The files.
    pub files: OrdMap<RelPath, Arc<File>>,
    /// The bodies that the files name, and no others.
    pub segments: OrdMap<SegmentId, Arc<Segment>>,
    /// How long things are kept: the policy's document.
    pub policy: Option<Bytes>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its length, holes included.
    pub size: u64,
    /// When the batch that changed it last was cut.
    pub changed: WallTime,
    /// Where its bytes are.
    pub content: Content,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its segment is open: the bytes are in batches. Sorted, disjoint; what lies between the
    /// extents, or behind them, reads as zeros.
    Open(Vec<Extent>),
    /// Its segment is sealed: `size` bytes of the body's stream, from `start`.
    Sealed {
        /// Which body.
        segment: SegmentId,
        /// Where the file begins in the body's stream.
        start: u64,
    },
    /// It is a pointer.
    Pointer(Bytes),
}

/// A range of an open file and where its bytes are. Always begins at a block's border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// The batch whose payload has the bytes.
    pub position: Position,
    /// Where in that payload.
    pub at: u64,
    /// The checksum of each block.
    pub blocks: Vec<Checksum>,
}

/// A body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The length of its stream.
    pub len: u64,
    /// Its frames, in order.
    pub frames: Vec<Frame>,
}

impl Manifest {
    /// The epoch whose chain comes next: the one after a fence, else the current one.
    pub fn epoch(&self) -> Epoch {
        self.reign.as_ref().map_or(Epoch::GENESIS, |fence| fence.next)
    }
}

/// Why a link does not fit a manifest. Always corruption or a bug of the writer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link {position} does not fit: {reason}")]
pub struct Misfit {
    /// Which link.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
}

impl Manifest {
    /// The volume before its first link.
    pub fn empty() -> Self {
        todo!()
    }

    /// Where the next link stands.
    pub fn successor(&self) -> Position {
        todo!()
    }

    /// What the volume contains once this link counts. `digest` is the link's own.
    pub fn fold(&self, link: &super::Link, digest: Digest) -> Result<Self, Misfit> {
        let _ = (link, digest);
        todo!()
    }
}
