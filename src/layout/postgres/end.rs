//! Where the log ends: after the last record that is whole and undamaged, as PostgreSQL's own
//! recovery would find it.
//!
//! Page headers alone do not tell. A power cut may leave an old copy of one page before a new
//! copy of the next one; recovery then ends in the old copy, and the database writes on from
//! there, over pages with perfect headers. So the records decide: page by page, each record's
//! checksum and its link to the one before it. Recovery never ends earlier than this, and what it
//! overwrites begins in the page of this end or after it. (A record that spans pages and was not
//! finished is left where it is, since PostgreSQL 13.5 and 14.1: `XLOG_OVERWRITE_CONTRECORD`.)
//! Therefore everything up to the end's page may be shipped, only that page can change later, and
//! the next look need not begin before it.

use std::io;

use super::log::{Log, Page};
use super::names::Lsn;
use super::page::PAGE;
use super::record::{ALIGN, Kind, Record};

/// Where the log ends that contains the page at `from`: where its next record will begin. Looks
/// at `from`'s page and what follows, and before it only as far as the record that leads to it.
/// `None` if nothing whole is found.
pub(super) fn find(log: &mut Log<'_>, from: Lsn) -> io::Result<Option<Lsn>> {
    let start = where_a_record_begins(log, from)?;
    let mut walk = Walk {
        segment_size: log.segment_size(),
        end: None,
        last: None,
        magic: None,
        pending: Pending::Anything,
    };
    let mut at = start;
    while let Some(page) = log.page(at)? {
        match walk.page(at, &page) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(walk.end)
}

/// The page at `from`, or if a record leads into it, the page in which that one begins. Where the
/// file of an earlier page is gone, the first page that is left.
fn where_a_record_begins(log: &mut Log<'_>, from: Lsn) -> io::Result<Lsn> {
    let mut at = from;
    while at.0 >= PAGE && log.header(at)?.is_some_and(|header| header.continues()) {
        let before = Lsn(at.0 - PAGE);
        match log.header(before)? {
            Some(header) if header.first_record() < PAGE => return Ok(before),
            Some(_) => at = before,
            None => return Ok(at),
        }
    }
    Ok(at)
}

/// What is known while going through the pages.
#[derive(Debug)]
struct Walk {
    segment_size: u64,
    /// Where the next record would begin.
    end: Option<Lsn>,
    /// Where the last whole record began.
    last: Option<Lsn>,
    magic: Option<u16>,
    pending: Pending,
}

/// What the next page must begin with.
#[derive(Debug)]
enum Pending {
    /// The walk begins here.
    Anything,
    /// A record that nobody can check, because its beginning is gone: so many bytes of it.
    Unknown(u32),
    /// The rest of this record.
    Rest(Record),
    /// A record of its own.
    Fresh,
}

impl Walk {
    /// Takes a page. Returns the next one to look at; `None` if the log ends here.
    fn page(&mut self, address: Lsn, page: &Page<'_>) -> Option<Lsn> {
        let header = page.header;
        if *self.magic.get_or_insert(header.magic) != header.magic {
            return None;
        }
        let next = address.plus(PAGE);
        let mut at = header.length();
        let mut must = Abandons::Nothing;
        match std::mem::replace(&mut self.pending, Pending::Fresh) {
            Pending::Anything if !header.continues() => self.end = Some(address),
            Pending::Unknown(left) if left != header.remaining => return None,
            Pending::Anything | Pending::Unknown(_) => {
                let room = PAGE - at;
                if u64::from(header.remaining) > room {
                    let left = u64::from(header.remaining) - room;
                    self.pending = Pending::Unknown(u32::try_from(left).ok()?);
                    return Some(next);
                }
                at = header.first_record();
                self.end = Some(address.plus(at));
            }
            Pending::Rest(mut record) if header.continues() => {
                if u64::from(header.remaining) != record.missing() {
                    return None;
                }
                at += record.take(after(page.bytes, at));
                if record.missing() > 0 {
                    self.pending = Pending::Rest(record);
                    return Some(next);
                }
                let after = self.whole(&record, address.plus(at), Abandons::Nothing)?;
                if after >= next {
                    return Some(after);
                }
                at = after.0 - address.0;
            }
            // The page may say that the record was abandoned.
            Pending::Rest(_) => must = Abandons::Record,
            Pending::Fresh if header.continues() => return None,
            Pending::Fresh => {}
        }
        self.records(address, page, at, must)
    }

    /// Takes the records that begin in this page, from `at` on.
    fn records(
        &mut self,
        address: Lsn,
        page: &Page<'_>,
        mut at: u64,
        mut must: Abandons,
    ) -> Option<Lsn> {
        let next = address.plus(PAGE);
        while at < PAGE {
            let mut record = Record::begin(address.plus(at), after(page.bytes, at))?;
            at += record.take(after(page.bytes, at));
            if record.missing() > 0 {
                if must == Abandons::Record {
                    return None;
                }
                self.pending = Pending::Rest(record);
                return Some(next);
            }
            let after = self.whole(&record, address.plus(at), must)?;
            if after >= next {
                return Some(after);
            }
            must = Abandons::Nothing;
            at = after.0 - address.0;
        }
        self.pending = Pending::Fresh;
        Some(next)
    }

    /// Counts a record all of whose bytes are here. Returns where the next one may begin: behind
    /// it, or after a switch at the next segment. `None` if it does not prove itself.
    fn whole(&mut self, record: &Record, end: Lsn, must: Abandons) -> Option<Lsn> {
        let proven = record.prove()?;
        let follows = match self.last {
            Some(last) => proven.previous == last,
            None => proven.previous < record.start,
        };
        if !follows || (must == Abandons::Record && proven.kind != Kind::Overwrite) {
            return None;
        }
        let next = match proven.kind {
            Kind::Switch => Lsn(end.0.next_multiple_of(self.segment_size)),
            Kind::Overwrite | Kind::Other => Lsn(end.0.next_multiple_of(ALIGN)),
        };
        self.last = Some(record.start);
        self.end = Some(next);
        Some(next)
    }
}

/// What the next record must say about the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abandons {
    Nothing,
    /// That it was never finished.
    Record,
}

fn after(bytes: &[u8], at: u64) -> &[u8] {
    usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default()
}
