//! The segments of one timeline as one stretch of pages, addressed by LSN. Reads ahead in growing
//! steps, so that the common look (one or two pages) costs one small read.

use std::collections::BTreeMap;
use std::io;

use crate::layout::{Files, OpenFile};
use crate::volume::RelPath;

use super::names::{Lsn, SegmentName};
use super::page::{LONG_HEADER, PAGE, PageHeader};

/// The first read after a jump: where the last record begins, where it ends, what comes into being.
const READ_MIN: u64 = 4 * PAGE;

/// The largest read.
const READ_MAX: u64 = 1 << 20;

/// How many files are kept open: a segment and its neighbours.
const OPEN_MAX: usize = 4;

/// Which files a log consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    /// `<segment>`.
    Whole,
    /// `<segment>.partial`.
    Partial,
}

/// The pages of one timeline.
#[derive(Debug)]
pub(super) struct Log<'a> {
    files: &'a dyn Files,
    timeline: u32,
    kept: Kept,
    segment_size: u64,
    /// The segments that were looked at, each with its file if there is one of full size.
    open: BTreeMap<u64, Option<Box<dyn OpenFile>>>,
    buffer: Vec<u8>,
    buffer_start: Lsn,
}

/// A page with a header that belongs where it stands.
#[derive(Debug)]
pub(super) struct Page<'p> {
    pub(super) header: PageHeader,
    pub(super) bytes: &'p [u8],
}

impl<'a> Log<'a> {
    pub(super) fn new(files: &'a dyn Files, timeline: u32, kept: Kept, segment_size: u64) -> Self {
        let buffer = Vec::new();
        Self {
            files,
            timeline,
            kept,
            segment_size,
            open: BTreeMap::new(),
            buffer,
            buffer_start: Lsn(0),
        }
    }

    pub(super) fn timeline(&self) -> u32 {
        self.timeline
    }

    pub(super) fn segment_size(&self) -> u64 {
        self.segment_size
    }

    /// The path of the segment with this number.
    pub(super) fn path(&self, number: u64) -> RelPath {
        let path = SegmentName::new(self.timeline, number, self.segment_size).path();
        match self.kept {
            Kept::Whole => path,
            Kept::Partial => {
                RelPath::new(&format!("{path}.partial")).expect("a name with an ending is a path")
            }
        }
    }

    /// Where the segment with this number begins.
    pub(super) fn start(&self, number: u64) -> Lsn {
        Lsn(number.saturating_mul(self.segment_size))
    }

    /// The file of this segment, if there is one and it has its full size.
    pub(super) fn file(&mut self, number: u64) -> io::Result<Option<&dyn OpenFile>> {
        if !self.open.contains_key(&number) {
            let file = self.files.open(&self.path(number))?;
            let whole = match file {
                Some(file) if file.found()?.size == self.segment_size => Some(file),
                _ => None,
            };
            if self.open.len() >= OPEN_MAX {
                self.open.clear();
            }
            self.open.insert(number, whole);
        }
        Ok(self.open.get(&number).and_then(|file| file.as_deref()))
    }

    /// The header of the page here, if it belongs here.
    pub(super) fn header(&mut self, at: Lsn) -> io::Result<Option<PageHeader>> {
        let offset = at.0 % self.segment_size;
        let mut bytes = [0; 40];
        debug_assert_eq!(u64::try_from(bytes.len()), Ok(LONG_HEADER), "room for a long header");
        let Some(file) = self.file(at.0 / self.segment_size)? else { return Ok(None) };
        file.read_at(offset, &mut bytes)?;
        let header = PageHeader::parse(&bytes);
        if let Some(long) = header.filter(|header| header.address == at).and_then(|at| at.long)
            && u64::from(long.block_size) != PAGE
        {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "{}: this PostgreSQL was built with WAL pages of {} bytes (XLOG_BLCKSZ), and \
                     walfs knows only the usual {PAGE}: use layout=generic",
                    self.path(at.0 / self.segment_size),
                    long.block_size,
                ),
            ));
        }
        Ok(header.filter(|header| header.belongs(at, self.timeline, self.segment_size)))
    }

    /// The page here, if it belongs here.
    pub(super) fn page(&mut self, at: Lsn) -> io::Result<Option<Page<'_>>> {
        if self.buffered(at).is_none() {
            self.fill(at)?;
        }
        let (timeline, segment_size) = (self.timeline, self.segment_size);
        Ok(self.buffered(at).and_then(|bytes| {
            let header = PageHeader::parse(bytes)?;
            header.belongs(at, timeline, segment_size).then_some(Page { header, bytes })
        }))
    }

    fn buffered(&self, at: Lsn) -> Option<&[u8]> {
        let skip = usize::try_from(at.0.checked_sub(self.buffer_start.0)?).ok()?;
        let end = skip.checked_add(usize::try_from(PAGE).ok()?)?;
        self.buffer.get(skip..end)
    }

    fn fill(&mut self, at: Lsn) -> io::Result<()> {
        let offset = at.0 % self.segment_size;
        let had = u64::try_from(self.buffer.len()).unwrap_or(READ_MAX);
        let goes_on = self.buffer_start.plus(had) == at;
        let wanted = if goes_on { (had * 4).clamp(READ_MIN, READ_MAX) } else { READ_MIN };
        let wanted = wanted.min(self.segment_size - offset);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(usize::try_from(wanted).unwrap_or_default(), 0);
        let read = match self.file(at.0 / self.segment_size)? {
            Some(file) => file.read_at(offset, &mut buffer)?,
            None => 0,
        };
        buffer.truncate(read);
        self.buffer = buffer;
        self.buffer_start = at;
        Ok(())
    }
}
