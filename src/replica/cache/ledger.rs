//! What the cache has on disk, how much of it, and what has to go first. Pure: removes nothing.

use std::fmt;
use std::sync::Weak;

use lru::LruCache;

use crate::volume::{Digest, RelPath, SegmentId};

use super::folder::{Leased, Stamp};

/// A file of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// The stream of a sealed segment's body.
    Body(SegmentId),
    /// The bytes of an open segment's file.
    Tail(u128),
}

impl Name {
    /// The name of this path's tail.
    pub fn tail(path: &RelPath) -> Self {
        let digest = Digest::of(path.as_str().as_bytes());
        let head = digest.0.first_chunk().expect("a digest has 32 bytes");
        Self::Tail(u128::from_be_bytes(*head))
    }

    /// The name that a file of the cache stands for.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(hash) = text.strip_suffix(".tail") {
            return u128::from_str_radix(hash, 16).ok().map(Self::Tail);
        }
        let position: crate::volume::Position = text.parse().ok()?;
        Some(Self::Body(SegmentId { epoch: position.epoch, counter: position.number.0 }))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(id) => write!(f, "{id}"),
            Self::Tail(hash) => write!(f, "{hash:032x}.tail"),
        }
    }
}

/// What is known of one file.
#[derive(Debug, Default)]
pub struct Slot {
    /// Its bytes on the disk.
    pub allocated: u64,
    /// The file, while somebody uses it: then it stays.
    pub open: Weak<Leased>,
    /// Its bytes came as tails, and may be older than what was sealed.
    pub adopted: bool,
    /// Present: every byte was verified, when the file looked so.
    pub verified: Option<Stamp>,
}

/// The files of the cache, the least recently used first.
#[derive(Debug)]
pub struct Ledger {
    slots: LruCache<Name, Slot>,
    total: u64,
    limit: u64,
}

impl Ledger {
    /// Nothing yet, and at most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { slots: LruCache::unbounded(), total: 0, limit }
    }

    /// How many bytes all files have.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The slot of this file, which is being used now; made if there is none.
    pub fn used(&mut self, name: Name) -> &mut Slot {
        self.slots.get_or_insert_mut(name, Slot::default)
    }

    /// The slot of this file, if it has one.
    pub fn slot(&mut self, name: Name) -> Option<&mut Slot> {
        self.slots.peek_mut(&name)
    }

    /// The file has so many bytes now, and what was verified of it may be no longer so.
    pub fn grew(&mut self, name: Name, allocated: u64) {
        let slot = self.used(name);
        slot.verified = None;
        let before = std::mem::replace(&mut slot.allocated, allocated);
        self.total = self.total.saturating_sub(before) + allocated;
    }

    /// The file is gone.
    pub fn gone(&mut self, name: Name) {
        if let Some(slot) = self.slots.pop(&name) {
            self.total -= slot.allocated;
        }
    }

    /// What has to go so that `need` more bytes fit: the least recently used files that nobody
    /// has open, and never `keep`. `None` if even that would not do.
    pub fn victims(&self, need: u64, keep: Option<Name>) -> Option<Vec<Name>> {
        let mut excess = (self.total + need).saturating_sub(self.limit);
        let mut victims = Vec::new();
        for (name, slot) in self.slots.iter().rev() {
            if excess == 0 {
                break;
            }
            if Some(*name) != keep && slot.open.strong_count() == 0 {
                excess = excess.saturating_sub(slot.allocated);
                victims.push(*name);
            }
        }
        (excess == 0).then_some(victims)
    }

    /// The least recently used file that nobody has open and that is not `keep`.
    pub fn oldest(&self, keep: Name) -> Option<Name> {
        let free = |(name, slot): &(&Name, &Slot)| {
            **name != keep && slot.open.strong_count() == 0 && slot.allocated > 0
        };
        self.slots.iter().rev().find(free).map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Epoch;

    fn body(counter: u64) -> Name {
        Name::Body(SegmentId { epoch: Epoch(1), counter })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut ledger = Ledger::new(100);
        for counter in 0..5 {
            ledger.grew(body(counter), 20);
        }
        ledger.used(body(0));
        assert_eq!(ledger.victims(30, None), Some(vec![body(1), body(2)]));
        assert_eq!(ledger.victims(0, None), Some(vec![]));
        assert_eq!(ledger.victims(30, Some(body(1))), Some(vec![body(2), body(3)]));
        assert_eq!(ledger.victims(101, None), None);
        ledger.gone(body(2));
        assert_eq!((ledger.total(), ledger.oldest(body(1))), (80, Some(body(3))));
    }

    #[test]
    fn names_read_back_as_they_were_written() {
        let path = RelPath::new("000000010000000000000001").unwrap();
        for name in [body(7), Name::tail(&path)] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        assert_eq!(Name::parse("lost+found"), None);
    }
}
