//! The bytes that were verified last, in memory, bounded. What is in here was hashed when it
//! came in; a reader is never given bytes by another way.

use std::sync::Mutex;

use bytes::Bytes;
use lru::LruCache;

use crate::volume::{Position, SegmentId};

/// Bytes that never change, by where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// A frame of a body.
    Frame(SegmentId, usize),
    /// A block of a batch's payload, by its offset there.
    Block(Position, u64),
}

/// The pieces that were used last.
#[derive(Debug)]
pub struct Memory {
    /// Guards: the pieces and their sum.
    pieces: Mutex<Pieces>,
    limit: usize,
}

#[derive(Debug)]
struct Pieces {
    order: LruCache<Piece, Bytes>,
    total: usize,
}

impl Memory {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { pieces: Mutex::new(Pieces { order: LruCache::unbounded(), total: 0 }), limit }
    }

    /// The piece, if it is still here.
    pub fn get(&self, piece: Piece) -> Option<Bytes> {
        self.lock().order.get(&piece).cloned()
    }

    /// Keeps a piece that was verified; lets the least recently used ones go.
    pub fn put(&self, piece: Piece, bytes: Bytes) {
        let mut pieces = self.lock();
        pieces.total += bytes.len();
        if let Some(old) = pieces.order.put(piece, bytes) {
            pieces.total -= old.len();
        }
        while pieces.total > self.limit {
            let Some((_, old)) = pieces.order.pop_lru() else { break };
            pieces.total -= old.len();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pieces> {
        self.pieces.lock().expect("nobody panics while holding the pieces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_bounded_and_keeps_what_was_used_last() {
        let memory = Memory::new(100);
        let piece = |at| Piece::Block(Position::default(), at);
        for at in 0..50 {
            memory.put(piece(at), Bytes::from(vec![0; 10]));
            assert!(memory.get(piece(0)).is_some());
        }
        assert_eq!(memory.lock().total, 100);
        assert!(memory.get(piece(10)).is_none());
        memory.put(piece(49), Bytes::from(vec![0; 20]));
        assert!(memory.lock().total <= 100);
    }
}
