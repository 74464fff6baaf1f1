//! WAL without a PostgreSQL: pages and records with the real headers, links and checksums, whose
//! content means nothing. For tests and the simulation.

use std::collections::BTreeMap;

use super::names::{Lsn, SegmentName};
use super::page::{CONTINUES, LONG, LONG_HEADER, PAGE, SHORT_HEADER};
use super::record::{ALIGN, CRC_AT, HEADER, LOG_MANAGER, OVERWRITE, SWITCH};

/// `XLOG_PAGE_MAGIC` of PostgreSQL 15.
const MAGIC: u16 = 0xD110;

/// `XLOG_NOOP`: a record of the log that does nothing.
const NOOP: u8 = 0x20;

/// A page to be written: where, and its bytes.
pub type Dirty = (Lsn, Vec<u8>);

/// Appends records to a log that it keeps in memory, as PostgreSQL's WAL buffers do.
#[derive(Clone, Debug)]
pub struct Synthetic {
    timeline: u32,
    segment_size: u64,
    /// Where the next byte goes.
    at: Lsn,
    /// Where the last record begins.
    last: Lsn,
    /// The pages that changed since they were taken, and the last one.
    pages: BTreeMap<Lsn, Vec<u8>>,
}

impl Synthetic {
    /// A log that begins with this segment.
    pub fn new(timeline: u32, segment_size: u64, first_segment: u64) -> Self {
        let at = Lsn(first_segment * segment_size);
        Self { timeline, segment_size, at, last: Lsn(0), pages: BTreeMap::new() }
    }

    /// Goes on after recovery: at `end`, on a page that has these bytes so far; `last` is where
    /// the last whole record begins. What follows `end` in the page becomes zeros.
    pub fn resume(timeline: u32, segment_size: u64, end: Lsn, last: Lsn, page: &[u8]) -> Self {
        let kept = usize::try_from(end.0 % PAGE).unwrap_or_default();
        let mut bytes = page.get(..kept).unwrap_or_default().to_vec();
        let mut pages = BTreeMap::new();
        if kept > 0 {
            bytes.resize(page_len(), 0);
            pages.insert(Lsn(end.0 - end.0 % PAGE), bytes);
        }
        Self { timeline, segment_size, at: end, last, pages }
    }

    /// Where the next record goes.
    pub fn end(&self) -> Lsn {
        self.at
    }

    /// Where the last record begins.
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// Which file has the byte at `at`, and where.
    pub fn place(&self, at: Lsn) -> (SegmentName, u64) {
        let number = at.0 / self.segment_size;
        (SegmentName::new(self.timeline, number, self.segment_size), at.0 % self.segment_size)
    }

    /// Appends a record with this content. Returns where it ends.
    pub fn append(&mut self, content: &[u8]) -> Lsn {
        self.record(NOOP, content)
    }

    /// Ends the segment before it is full, as `pg_switch_wal` does: the rest is zeros.
    pub fn switch(&mut self) -> Lsn {
        self.record(SWITCH, &[]);
        let end = Lsn(self.at.0.next_multiple_of(self.segment_size));
        let mut page = self.at.0.next_multiple_of(PAGE);
        while page < end.0 {
            self.pages.insert(Lsn(page), vec![0; page_len()]);
            page += PAGE;
        }
        self.at = end;
        end
    }

    /// Marks that the record which leads to the page at `end` was never finished, as PostgreSQL
    /// does after a crash. Call it on a log that was resumed at the border of a page.
    pub fn abandon(&mut self) -> Lsn {
        self.record(OVERWRITE, &[0; 16])
    }

    /// The pages that changed since the last call, in order: what a flush writes. The last one,
    /// if it is not full, will be among the next ones again.
    pub fn take(&mut self) -> Vec<Dirty> {
        let open = Lsn(self.at.0 - self.at.0 % PAGE);
        let pages = std::mem::take(&mut self.pages);
        if let Some(page) = pages.get(&open) {
            self.pages.insert(open, page.clone());
        }
        pages.into_iter().collect()
    }

    fn record(&mut self, info: u8, content: &[u8]) -> Lsn {
        let length = HEADER + content.len();
        if self.at.0.is_multiple_of(PAGE) {
            self.begin_page(0);
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(u32::try_from(length).expect("a record is short").to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(self.last.0.to_le_bytes());
        bytes.extend([info, LOG_MANAGER, 0, 0]);
        debug_assert_eq!(bytes.len(), CRC_AT, "the checksum comes next");
        let crc = crc32c::crc32c_append(crc32c::crc32c(content), &bytes);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(content);
        self.last = self.at;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            if self.at.0.is_multiple_of(PAGE) {
                self.begin_page(u32::try_from(rest.len()).expect("a record is short"));
            }
            let within = usize::try_from(self.at.0 % PAGE).unwrap_or_default();
            let (now, later) = rest.split_at(rest.len().min(page_len() - within));
            self.put(within, now);
            self.at = self.at.plus(u64::try_from(now.len()).unwrap_or_default());
            rest = later;
        }
        self.at = Lsn(self.at.0.next_multiple_of(ALIGN));
        self.at
    }

    fn begin_page(&mut self, remaining: u32) {
        let first = self.at.0.is_multiple_of(self.segment_size);
        let info = if remaining > 0 { CONTINUES } else { 0 } | if first { LONG } else { 0 };
        let mut header = Vec::new();
        header.extend(MAGIC.to_le_bytes());
        header.extend(info.to_le_bytes());
        header.extend(self.timeline.to_le_bytes());
        header.extend(self.at.0.to_le_bytes());
        header.extend(remaining.to_le_bytes());
        header.extend([0; 4]);
        if first {
            header.extend(0x57A1_F500_0000_0001_u64.to_le_bytes());
            header.extend(u32::try_from(self.segment_size).unwrap_or_default().to_le_bytes());
            header.extend(u32::try_from(PAGE).unwrap_or_default().to_le_bytes());
        }
        let address = self.at;
        self.pages.insert(address, vec![0; page_len()]);
        self.put(0, &header);
        self.at = address.plus(if first { LONG_HEADER } else { SHORT_HEADER });
    }

    fn put(&mut self, within: usize, bytes: &[u8]) {
        let address = Lsn(self.at.0 - self.at.0 % PAGE);
        let page = self.pages.get_mut(&address).expect("the page that is written to is here");
        for (to, from) in page.iter_mut().skip(within).zip(bytes) {
            *to = *from;
        }
    }
}

fn page_len() -> usize {
    usize::try_from(PAGE).expect("a page fits in memory")
}
