//! `txn_seq/_txnlog`: which commit is which part of which segment. Little-endian.
//!
//! ```text
//! _txnlog  0 i32 version   0: records follow here · 1: they stand in _txn_parts/<n>
//!          4 i64 maxTxn    written last, in place: the commit
//!         12 i64 created   microseconds
//!         20 i32 records in a part, version 1
//!         76 records, version 0
//! record   0 i64 structure version   8 i32 wal   12 i32 segment   16 i32 txn in the segment
//!         20 i64 committed, microseconds
//!         28 i64 minTs   36 i64 maxTs   44 i64 rows   52 i64 reserved, version 1 only
//! ```
//!
//! Commit n is record n-1. A wal of -1 is a change of structure, of -2 the table's drop.
//! (QuestDB: `TableTransactionLogFile`, `TableTransactionLogV1`, `TableTransactionLogV2`.)

use std::io;
use std::ops::Range;

use crate::volume::RelPath;

use super::super::{Files, OpenFile};
use super::bytes::{i32_at, i64_at, u64_of};
use super::names::{SequencerFile, Table};

/// Where the records begin.
pub const HEADER: u64 = 76;
/// Where the commit is: eight bytes.
pub const MAX_TXN: u64 = 4;

/// The wal of a change of structure (`WalUtils.METADATA_WALID`).
const WAL_CHANGE: i32 = -1;
/// The wal of a drop (`WalUtils.DROP_TABLE_WAL_ID`).
const WAL_DROP: i32 = -2;

/// The beginning of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How many commits there are.
    pub max_txn: u64,
    /// Where their records are.
    pub form: Form,
}

/// Where the records of a log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the log itself (version 0).
    Whole,
    /// In parts of so many (version 1).
    Parts(u64),
}

/// One commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The table's structure when it was made.
    pub structure: u64,
    /// What it is.
    pub what: What,
    /// When, in microseconds.
    pub time: i64,
}

/// What a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Rows, or a statement: an event of a segment.
    Event {
        /// The writer's number.
        wal: u32,
        /// Which of its segments.
        segment: u32,
        /// Which event of that segment.
        txn: u32,
    },
    /// A change of structure.
    Change,
    /// The end of the table.
    Drop,
}

impl Header {
    /// How many bytes of a log tell all that is here.
    pub const LEN: usize = 24;

    /// What these bytes say; `None` if they are not the beginning of a log.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let max_txn = u64_of(i64_at(bytes, 4)?)?;
        let form = match (i32_at(bytes, 0)?, i32_at(bytes, 20)?) {
            (0, _) => Form::Whole,
            (1, records) => Form::Parts(u64::try_from(records).ok().filter(|count| *count > 0)?),
            _ => return None,
        };
        Some(Self { max_txn, form })
    }

    /// The header of this log; `None` if it is not one, or not yet.
    pub fn read(file: &dyn OpenFile) -> io::Result<Option<Self>> {
        let mut bytes = [0; Self::LEN];
        let read = file.read_at(0, &mut bytes)?;
        Ok(if read == bytes.len() { Self::parse(&bytes) } else { None })
    }
}

impl Form {
    /// The length of a record.
    pub fn record(self) -> u64 {
        match self {
            Self::Whole => 28,
            Self::Parts(_) => 60,
        }
    }

    /// Where the record of a commit is: in which file, and from where on.
    pub fn place(self, txn: u64) -> (SequencerFile, u64) {
        let index = txn.saturating_sub(1);
        match self {
            Self::Whole => (SequencerFile::Log, HEADER + index * self.record()),
            Self::Parts(count) => {
                (SequencerFile::Part(index / count), index % count * self.record())
            }
        }
    }

    /// Where the records of the commits after `after` up to `upto` are: file by file, in which bytes.
    pub fn runs(self, (after, upto): (u64, u64)) -> Vec<(SequencerFile, Range<u64>)> {
        let mut runs = Vec::new();
        let mut txn = after;
        while txn < upto {
            let (file, start) = self.place(txn + 1);
            let here = match self {
                Self::Whole => upto - txn,
                Self::Parts(count) => (upto - txn).min(count - txn % count),
            };
            runs.push((file, start..start.saturating_add(here.saturating_mul(self.record()))));
            txn += here;
        }
        runs
    }

    /// How many commits a file of this length has; the log itself has none where it has parts.
    pub fn txns_in(self, len: u64) -> u64 {
        match self {
            Self::Whole => len.saturating_sub(HEADER) / self.record(),
            Self::Parts(count) => (len / self.record()).min(count),
        }
    }
}

impl Record {
    /// What these bytes say; `None` if they are no record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let count = |value: i32| u32::try_from(value).ok();
        let (wal, segment, txn) = (i32_at(bytes, 8)?, i32_at(bytes, 12)?, i32_at(bytes, 16)?);
        let what = match wal {
            WAL_CHANGE => What::Change,
            WAL_DROP => What::Drop,
            1.. => What::Event { wal: count(wal)?, segment: count(segment)?, txn: count(txn)? },
            _ => return None,
        };
        // A drop stores no structure that a table could have.
        let structure = match what {
            What::Drop => 0,
            _ => u64_of(i64_at(bytes, 0)?)?,
        };
        Some(Self { structure, what, time: i64_at(bytes, 20)? })
    }
}

/// The records of the commits after the first of these up to the second.
pub fn read_records(
    files: &dyn Files,
    table: &Table,
    form: Form,
    txns: (u64, u64),
) -> io::Result<Vec<Record>> {
    let size = usize::try_from(form.record()).map_err(io::Error::other)?;
    let mut records = Vec::new();
    for (file, range) in form.runs(txns) {
        let path = table.sequencer(file);
        let opened = files.open(&path)?.ok_or_else(|| lost(&path))?;
        // A count that no file could hold is not worth its memory.
        if opened.found()?.size < range.end {
            return Err(lost(&path));
        }
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        if opened.read_at(range.start, &mut bytes)? < bytes.len() {
            return Err(lost(&path));
        }
        for record in bytes.chunks(size) {
            records.push(Record::parse(record).ok_or_else(|| lost(&path))?);
        }
    }
    Ok(records)
}

fn lost(path: &RelPath) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{path}: a commit that the log counts is not there"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_where_its_records_are() {
        let mut bytes = [0; Header::LEN];
        bytes[4] = 7;
        let whole = Header { max_txn: 7, form: Form::Whole };
        assert_eq!(Header::parse(&bytes), Some(whole));
        assert_eq!(whole.form.place(7), (SequencerFile::Log, 76 + 6 * 28));
        (bytes[0], bytes[20]) = (1, 3);
        let parts = Form::Parts(3);
        assert_eq!(Header::parse(&bytes), Some(Header { max_txn: 7, form: parts }));
        assert_eq!(parts.place(7), (SequencerFile::Part(2), 0));
        assert_eq!(parts.place(6), (SequencerFile::Part(1), 120));
        bytes[0] = 9;
        assert_eq!(Header::parse(&bytes), None);
        let part = SequencerFile::Part;
        let runs = [(part(0), 120..180), (part(1), 0..180), (part(2), 0..60)];
        assert_eq!(parts.runs((2, 7)), runs);
        assert_eq!(parts.runs((3, 3)), []);
        assert_eq!(Form::Whole.runs((1, 4)), [(SequencerFile::Log, 104..188)]);
    }

    #[test]
    fn a_corrupt_record_is_none() {
        let mut bytes = [0_u8; 28];
        assert_eq!(Record::parse(&bytes), None, "wal 0 never wrote");
        bytes[8] = 1;
        let what = What::Event { wal: 1, segment: 0, txn: 0 };
        assert_eq!(Record::parse(&bytes), Some(Record { structure: 0, what, time: 0 }));
        bytes[8..12].fill(0xff);
        assert_eq!(Record::parse(&bytes).unwrap().what, What::Change);
        assert_eq!(Record::parse(&bytes[..27]), None);
    }
}
