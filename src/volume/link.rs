//! What stands in the chain: batches, and at the end of each epoch one fence. Both compete for
//! the same names, which is what makes a fence an election.

use bytes::Bytes;

use super::{Digest, Edit, Epoch, NodeId, Position, WallTime, WriterId};

/// One object of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The primary's next edits.
    Batch(Batch),
    /// The end of an epoch.
    Fence(Fence),
}

/// An atomic, ordered list of edits, with the tail bytes that they carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its place; also the object's name.
    pub position: Position,
    /// Who wrote it. A writer believes an unclear answer only after it has read this back.
    pub writer: WriterId,
    /// The digest of the link before it.
    pub previous: Digest,
    /// When it was cut, by the primary's clock.
    pub time: WallTime,
    /// What the database calls this point: for PostgreSQL timeline and LSN. For people.
    pub database: Option<String>,
    /// The steps, in order.
    pub edits: Vec<Edit>,
    /// The bytes of the writes, one after the other.
    pub payload: Bytes,
}

/// The object that ends an epoch and names the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Its place, where the old primary's next batch would have stood.
    pub position: Position,
    /// Who wrote it: the primary of the next epoch.
    pub writer: WriterId,
    /// The digest of the link before it.
    pub previous: Digest,
    /// When, by the new primary's clock.
    pub time: WallTime,
    /// The epoch that begins. Always `position.epoch + 1`.
    pub next: Epoch,
    /// Which node reigns in it.
    pub node: NodeId,
    /// What people call that node.
    pub node_name: String,
}

impl Link {
    /// Its place.
    pub fn position(&self) -> Position {
        match self {
            Self::Batch(batch) => batch.position,
            Self::Fence(fence) => fence.position,
        }
    }

    /// Who wrote it.
    pub fn writer(&self) -> WriterId {
        match self {
            Self::Batch(batch) => batch.writer,
            Self::Fence(fence) => fence.writer,
        }
    }

    /// The digest of the link before it.
    pub fn previous(&self) -> Digest {
        match self {
            Self::Batch(batch) => batch.previous,
            Self::Fence(fence) => fence.previous,
        }
    }

    /// Where the next link stands: after a fence, at the beginning of the next epoch.
    pub fn successor(&self) -> Position {
        match self {
            Self::Batch(batch) => batch.position.next(),
            Self::Fence(fence) => Position::first(fence.next),
        }
    }
}
