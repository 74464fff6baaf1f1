//! The header of a WAL page, and when a page is what its place says.
//!
//! ```text
//! XLogPageHeaderData (access/xlog_internal.h), little-endian, MAXALIGNed to 24 bytes
//!   0  u16  xlp_magic      0xD1xx, one value per format of the WAL
//!   2  u16  xlp_info       0x0001 begins with the rest of a record, 0x0002 long header
//!   4  u32  xlp_tli        timeline of the first record
//!   8  u64  xlp_pageaddr   LSN of the page: a recycled page betrays itself here
//!  16  u32  xlp_rem_len    how much of the record from the page before is left
//! XLogLongPageHeaderData: the first page of a segment has 16 bytes more
//!  24  u64  xlp_sysid      the cluster
//!  32  u32  xlp_seg_size   the size of segments
//!  36  u32  xlp_xlog_blcksz  the size of pages
//! ```

use super::names::Lsn;

/// The size of a page (`XLOG_BLCKSZ`).
pub const PAGE: u64 = 8192;

/// `SizeOfXLogShortPHD`.
pub const SHORT_HEADER: u64 = 24;

/// `SizeOfXLogLongPHD`.
pub const LONG_HEADER: u64 = 40;

/// `XLP_FIRST_IS_CONTRECORD`.
pub const CONTINUES: u16 = 0x0001;

/// `XLP_LONG_HEADER`.
pub const LONG: u16 = 0x0002;

/// The high byte of `xlp_magic` (`XLOG_PAGE_MAGIC`): 0xD106 is PostgreSQL 13, 0xD10D 14, 0xD110
/// 15, 0xD113 16, 0xD116 17, 0xD118 18. The low byte counts formats; record headers have been
/// the same in all of them.
const MAGIC_FAMILY: u16 = 0xD100;

/// The header of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// The format of the WAL.
    pub magic: u16,
    /// The flags.
    pub info: u16,
    /// The timeline of its first record.
    pub timeline: u32,
    /// The place of the page.
    pub address: Lsn,
    /// How many bytes of the record from the page before are left.
    pub remaining: u32,
    /// What the first page of a segment says besides.
    pub long: Option<LongHeader>,
}

/// What the first page of a segment says besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader {
    /// The cluster's identifier.
    pub system: u64,
    /// The size of segments.
    pub segment_size: u32,
    /// The size of pages.
    pub block_size: u32,
}

impl PageHeader {
    /// The header of this page, if it looks like one.
    pub fn parse(page: &[u8]) -> Option<Self> {
        let magic = u16_at(page, 0)?;
        let info = u16_at(page, 2)?;
        let long = LongHeader {
            system: u64_at(page, 24)?,
            segment_size: u32_at(page, 32)?,
            block_size: u32_at(page, 36)?,
        };
        let header = Self {
            magic,
            info,
            timeline: u32_at(page, 4)?,
            address: Lsn(u64_at(page, 8)?),
            remaining: u32_at(page, 16)?,
            long: (info & LONG != 0).then_some(long),
        };
        (magic & 0xFF00 == MAGIC_FAMILY).then_some(header)
    }

    /// Its length.
    pub fn length(&self) -> u64 {
        if self.long.is_some() { LONG_HEADER } else { SHORT_HEADER }
    }

    /// Whether the page begins with the rest of a record.
    pub fn continues(&self) -> bool {
        self.info & CONTINUES != 0
    }

    /// Whether the page is the one that belongs here, and not one of another time: zeros and the
    /// pages of a recycled segment are not.
    pub fn belongs(&self, address: Lsn, timeline: u32, segment_size: u64) -> bool {
        let first = address.0.is_multiple_of(segment_size);
        self.address == address
            && self.timeline <= timeline
            && self.timeline > 0
            && self.continues() == (self.remaining > 0)
            && match self.long {
                Some(long) => first && u64::from(long.segment_size) == segment_size,
                None => !first,
            }
    }

    /// Where in the page the first record begins, or would begin after the page's end.
    pub fn first_record(&self) -> u64 {
        self.length() + u64::from(self.remaining).next_multiple_of(super::record::ALIGN)
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
