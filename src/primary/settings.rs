//! How a primary behaves: plain values, already valid. Does not parse: see `config`.

use std::time::Duration;

use crate::store::Aims;

/// How a primary behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long after a change it is shipped. Zero: as soon as the database has synced it.
    pub interval: Duration,
    /// What may shorten and lengthen the interval.
    pub aims: Aims,
    /// How many bytes of files a batch carries at most, but for one pointer larger than that.
    pub batch_max: u64,
    /// How many bytes the store may lack before `backlog_full` applies.
    pub backlog_max: u64,
    /// What happens then.
    pub backlog_full: BacklogFull,
    /// When the database's sync returns.
    pub durability: Durability,
    /// How many batches lie between two checkpoints.
    pub checkpoint_every: u64,
    /// How many bodies upload at a time.
    pub uploads_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            aims: Aims::default(),
            batch_max: 4 << 20,
            backlog_max: 16 << 30,
            backlog_full: BacklogFull::Shout,
            durability: Durability::Async,
            checkpoint_every: 1024,
            uploads_max: 3,
        }
    }
}

/// What happens when the backlog exceeds its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacklogFull {
    /// The database waits: syncs, and opens for writing.
    Block,
    /// The database goes on, a sync waits for the local disk only, and the status says so.
    Shout,
}

/// When the database's sync returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the bytes are on the local disk.
    Async,
    /// When they are in the store as well.
    InStore,
}
