//! What an operator may choose about a replica. Parsed and checked by `config`.

use std::time::Duration;

use crate::store::Aims;

/// A replica's choices.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the mount shows and accepts.
    pub access: Access,
    /// Bound of the cache on disk, in bytes.
    pub cache_size: u64,
    /// How long a read waits for a store that is away, before it is an I/O error.
    pub store_timeout: Duration,
    /// How soon to ask for the next batch while data flows.
    pub poll: Duration,
    /// How rarely to ask when idle.
    pub poll_max: Duration,
    /// What may shorten and lengthen both.
    pub aims: Aims,
    /// How many sealed segments to fetch ahead of the one that is read.
    pub read_ahead: usize,
}

/// What a replica's mount shows and accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The volume's files, and everything else from the writable directory beneath.
    Union,
    /// The volume's files only; nothing can be changed.
    ReadOnly,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: Access::Union,
            cache_size: 1 << 30,
            store_timeout: Duration::from_secs(30),
            poll: Duration::from_millis(10),
            poll_max: Duration::from_secs(5),
            aims: Aims::default(),
            read_ahead: 2,
        }
    }
}
