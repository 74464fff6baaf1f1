//! A WAL record as far as it proves itself: its length, its predecessor, its checksum. What it
//! does to the database is none of our business.
//!
//! ```text
//! XLogRecord (access/xlogrecord.h), little-endian, begins at a multiple of 8
//!   0  u32  xl_tot_len   with this header
//!   4  u32  xl_xid
//!   8  u64  xl_prev      LSN of the record before
//!  16  u8   xl_info      high half: what the resource manager does
//!  17  u8   xl_rmid      the resource manager
//!  20  u32  xl_crc       CRC-32C of what follows the header, then of its first 20 bytes
//! ```

use super::names::Lsn;
use super::page::{u32_at, u64_at};

/// Records begin at multiples of this (`MAXALIGN`).
pub(super) const ALIGN: u64 = 8;

/// `SizeOfXLogRecord`.
pub(super) const HEADER: usize = 24;

/// Where `xl_crc` stands: it covers what is before it.
pub(super) const CRC_AT: usize = 20;

/// No record is longer (`MaxAllocSize`, and `XLogRecordMaxSize` since PostgreSQL 16).
const LENGTH_MAX: u32 = 1 << 30;

/// `RM_XLOG_ID`: the log's own records.
pub(super) const LOG_MANAGER: u8 = 0;

/// `XLOG_SWITCH` (`catalog/pg_control.h`): the rest of the segment is unused.
pub(super) const SWITCH: u8 = 0x40;

/// `XLOG_OVERWRITE_CONTRECORD`: the record before this one was never finished.
pub(super) const OVERWRITE: u8 = 0xD0;

/// A record that is being put together from the pages it spans.
#[derive(Debug)]
pub(super) struct Record {
    /// Where it begins.
    pub(super) start: Lsn,
    length: u64,
    taken: u64,
    header: [u8; HEADER],
    crc: u32,
}

/// What a whole, undamaged record says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proven {
    /// Where it says that the record before it begins.
    pub(super) previous: Lsn,
    /// What it is, as far as it concerns the log.
    pub(super) kind: Kind,
}

/// What a record is to the log itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `XLOG_SWITCH`.
    Switch,
    /// `XLOG_OVERWRITE_CONTRECORD`.
    Overwrite,
    /// Anything else.
    Other,
}

impl Record {
    /// The record that begins with these bytes; `None` where none can begin.
    pub(super) fn begin(start: Lsn, bytes: &[u8]) -> Option<Self> {
        let length = u32_at(bytes, 0)?;
        let good = u32::try_from(HEADER).is_ok_and(|least| least <= length) && length < LENGTH_MAX;
        good.then(|| Self {
            start,
            length: u64::from(length),
            taken: 0,
            header: [0; HEADER],
            crc: 0,
        })
    }

    /// How many of its bytes are still to come.
    pub(super) fn missing(&self) -> u64 {
        self.length - self.taken
    }

    /// Takes what is its own of these bytes, and says how much that was.
    pub(super) fn take(&mut self, bytes: &[u8]) -> u64 {
        let own = usize::try_from(self.missing()).unwrap_or(usize::MAX).min(bytes.len());
        let own = bytes.get(..own).unwrap_or_default();
        let filled = usize::try_from(self.taken).unwrap_or(usize::MAX);
        let open = self.header.get_mut(filled..).unwrap_or_default();
        let (head, body) = own.split_at(open.len().min(own.len()));
        for (to, from) in open.iter_mut().zip(head) {
            *to = *from;
        }
        self.crc = crc32c::crc32c_append(self.crc, body);
        let taken = u64::try_from(own.len()).unwrap_or(u64::MAX);
        self.taken += taken;
        taken
    }

    /// What it says, if its checksum is right.
    pub(super) fn prove(&self) -> Option<Proven> {
        let crc = crc32c::crc32c_append(self.crc, self.header.get(..CRC_AT)?);
        let (info, manager) = (self.header.get(16)? & 0xF0, *self.header.get(17)?);
        let kind = match (manager, info) {
            (LOG_MANAGER, SWITCH) => Kind::Switch,
            (LOG_MANAGER, OVERWRITE) => Kind::Overwrite,
            _ => Kind::Other,
        };
        let right = self.missing() == 0 && u32_at(&self.header, CRC_AT)? == crc;
        right.then_some(Proven { previous: Lsn(u64_at(&self.header, 8)?), kind })
    }
}
