//! What stands in the chain: batches, and at the end of each epoch one fence. Both compete for
//! the same names, which is what makes a fence an election.

use bytes::Bytes;

use super::edit::BLOCK;
use super::{Checksum, Digest, Edit, Epoch, NodeId, Position, WallTime, Write, WriterId};

/// How long a batch's payload may be: a reader holds all of it in memory.
pub const PAYLOAD_MAX: u64 = 256 << 20;

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

    /// When it was made, by its writer's clock.
    pub fn time(&self) -> WallTime {
        match self {
            Self::Batch(batch) => batch.time,
            Self::Fence(fence) => fence.time,
        }
    }

    /// Where the next link stands: after a fence, at the beginning of the next epoch.
    pub fn successor(&self) -> Position {
        match self {
            Self::Batch(batch) => batch.position.next(),
            Self::Fence(fence) => Position::first(fence.next),
        }
    }

    /// What is wrong with it, whatever stands before it: everything that makes a link unreadable.
    pub fn check(&self) -> Result<(), String> {
        let Position { epoch, number } = self.position();
        if epoch.0 == u64::MAX || number.0 == u64::MAX {
            return Err("its position has no successor".into());
        }
        match self {
            Self::Batch(batch) => batch.check(),
            Self::Fence(fence) if fence.next == epoch.next() => Ok(()),
            Self::Fence(fence) => Err(format!("a fence of {epoch} names epoch {}", fence.next)),
        }
    }
}

impl Batch {
    fn check(&self) -> Result<(), String> {
        if len_of(&self.payload) > PAYLOAD_MAX {
            return Err(format!("the payload is longer than {PAYLOAD_MAX} bytes"));
        }
        let mut at = 0;
        for edit in &self.edits {
            edit.check()?;
            if let Edit::Write(write) = edit {
                self.check_bytes(write, at).map_err(|flaw| format!("{}: {flaw}", write.path))?;
                at += write.len;
            }
        }
        if at == len_of(&self.payload) { Ok(()) } else { Err("the payload is too long".into()) }
    }

    fn check_bytes(&self, write: &Write, at: u64) -> Result<(), &'static str> {
        if write.at != at {
            return Err("its bytes do not follow those of the write before it");
        }
        let bytes = self.bytes_of(write).ok_or("the payload is too short")?;
        let blocks = bytes.chunks(usize::try_from(BLOCK).unwrap_or(usize::MAX));
        if blocks.map(Checksum::of).eq(write.blocks.iter().copied()) {
            Ok(())
        } else {
            Err("a block does not match its checksum")
        }
    }

    /// The bytes of one of its writes; `None` if the payload lacks them.
    pub fn bytes_of(&self, write: &Write) -> Option<&[u8]> {
        let start = usize::try_from(write.at).ok()?;
        let end = start.checked_add(usize::try_from(write.len).ok()?)?;
        self.payload.get(start..end)
    }
}

fn len_of(payload: &Bytes) -> u64 {
    u64::try_from(payload.len()).unwrap_or(u64::MAX)
}
