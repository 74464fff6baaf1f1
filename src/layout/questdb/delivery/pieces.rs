//! Which commits may be shown to the server next, and what must be in place before.

use crate::layout::questdb::txnlog::{Record, What};

/// The commits of one segment among those that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The writer's number.
    pub wal: u32,
    /// Which of its segments.
    pub segment: u32,
    /// The first of the commits.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The last event of the segment that they need.
    pub event: u32,
}

/// The segments that the commits after `after` need, in the order in which they will be applied.
pub fn pieces(after: u64, records: &[Record]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (txn, record) in (after + 1..).zip(records) {
        let What::Event { wal, segment, txn: event } = record.what else { continue };
        match pieces.iter_mut().find(|piece| (piece.wal, piece.segment) == (wal, segment)) {
            Some(piece) => (piece.last, piece.event) = (txn, piece.event.max(event)),
            None => pieces.push(Piece { wal, segment, first: txn, last: txn, event }),
        }
    }
    pieces
}

/// The newest structure among these records; `None` if they change none.
pub fn structure(records: &[Record]) -> Option<u64> {
    let changes = records.iter().filter(|record| record.what == What::Change);
    changes.map(|record| record.structure).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(wal: u32, segment: u32, txn: u32) -> Record {
        Record { structure: 0, what: What::Event { wal, segment, txn }, time: 0 }
    }

    #[test]
    fn segments_come_in_the_order_of_their_first_commit() {
        let change = Record { structure: 3, what: What::Change, time: 0 };
        let records = [event(2, 0, 0), event(1, 5, 7), change, event(2, 0, 1), event(1, 5, 8)];
        let piece = |wal, segment, first, last, event| Piece { wal, segment, first, last, event };
        assert_eq!(pieces(10, &records), [piece(2, 0, 11, 14, 1), piece(1, 5, 12, 15, 8)]);
        assert_eq!(structure(&records), Some(3));
        assert_eq!(structure(&records[..2]), None);
    }
}
