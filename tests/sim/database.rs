//! A toy database that writes its WAL as PostgreSQL does: pages with headers, the last page
//! written again at each flush, segments switched, recycled by renaming and removed at
//! checkpoints, and after a crash everything behind the last whole record overwritten. The pages
//! and records are `layout::postgres::synthetic`'s; reading them back is done here, anew, because
//! the oracle must not ask the code under test.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use walfs::layout::postgres::names::Lsn;
use walfs::layout::postgres::synthetic::Synthetic;
use walfs::volume::{Checksum, RelPath};

use crate::disk::SimDisk;

/// The smallest `wal_segment_size`.
pub(crate) const SEGMENT: u64 = 1 << 20;
/// `XLOG_BLCKSZ`.
pub(crate) const PAGE: u64 = 8192;
/// `XLogRecord` (access/xlogrecord.h): length, transaction, previous, info, manager, checksum.
const HEADER: usize = 24;

/// How the database removes names, so that the hooks of a mount can stand in between.
pub(crate) trait Hooks {
    /// This name is about to go.
    fn before_remove(&mut self, path: &RelPath);
    /// The file of the first name is about to be called by the second.
    fn before_rename(&mut self, from: &RelPath, to: &RelPath);
    /// This page is on the disk, if not for ever.
    fn wrote(&mut self, address: u64, page: &[u8]);
    /// The file of this name was synced.
    fn synced(&mut self, path: &RelPath);
    /// This name is new or gone.
    fn renamed(&mut self, path: &RelPath);
}

/// One running database.
#[derive(Debug)]
pub(crate) struct Database {
    disk: SimDisk,
    log: Synthetic,
    /// Recovery begins here.
    redo: u64,
    /// The number of the next record.
    number: u64,
    /// The segment that was written to since its last sync.
    unsynced: Option<RelPath>,
}

/// A record: its number and what it holds.
pub(crate) type Record = (u64, Checksum);

impl Database {
    /// A new cluster: one empty segment.
    pub(crate) fn create(disk: SimDisk) -> Self {
        Self { disk, log: Synthetic::new(1, SEGMENT, 1), redo: SEGMENT, number: 0, unsynced: None }
    }

    /// Starts on what a crash left: replays to the last whole record and goes on behind it.
    /// `redo` is where the last checkpoint said that recovery begins.
    pub(crate) fn recover(disk: SimDisk, redo: u64) -> Self {
        let replay = replay(redo, &|path| disk.read(path));
        let start = replay.end - replay.end % PAGE;
        let page = disk.read(&segment_path(start / SEGMENT)).unwrap_or_default();
        let within = usize_of(start % SEGMENT);
        let page = page.get(within..within + usize_of(PAGE)).unwrap_or_default();
        let log = Synthetic::resume(1, SEGMENT, Lsn(replay.end), Lsn(replay.last), page);
        let number = replay.records.last().map_or(replay.first, |(number, _)| number + 1);
        Self { disk, log, redo, number, unsynced: None }
    }

    /// Where recovery would begin.
    pub(crate) fn redo(&self) -> u64 {
        self.redo
    }

    /// The number of the next record.
    pub(crate) fn next_number(&self) -> u64 {
        self.number
    }

    /// Appends a record to the buffers. Not durable, not even written.
    pub(crate) fn insert(&mut self, rng: &mut StdRng) {
        let long = rng.random_bool(0.1);
        let length = if long { rng.random_range(5_000..40_000) } else { rng.random_range(20..900) };
        let mut content = vec![0; length];
        rng.fill_bytes(&mut content);
        content[..8].copy_from_slice(&self.number.to_le_bytes());
        self.number += 1;
        self.log.append(&content);
    }

    /// Writes all whole and begun pages and syncs them: what was inserted is durable on return.
    pub(crate) fn flush(&mut self, hooks: &mut dyn Hooks) {
        self.write(hooks);
        if let Some(path) = self.unsynced.take() {
            self.sync(&path, hooks);
        }
    }

    /// Writes all whole and begun pages. A segment is synced before the next one is touched, the
    /// last one is not.
    pub(crate) fn write(&mut self, hooks: &mut dyn Hooks) {
        for (address, bytes) in self.log.take() {
            let path = segment_path(address.0 / SEGMENT);
            if let Some(before) = self.unsynced.take().filter(|before| *before != path) {
                self.sync(&before, hooks);
            }
            self.make_room(&path, hooks);
            self.disk.write(&path, usize_of(address.0 % SEGMENT), &bytes);
            hooks.wrote(address.0, &bytes);
            self.unsynced = Some(path);
        }
    }

    fn sync(&self, path: &RelPath, hooks: &mut dyn Hooks) {
        self.disk.sync_file(path);
        hooks.synced(path);
    }

    /// The segment's file: recycled if one was put aside, else new and full of zeros.
    fn make_room(&self, path: &RelPath, hooks: &mut dyn Hooks) {
        if self.disk.size(path).is_some() {
            return;
        }
        let temporary = RelPath::new("xlogtemp.1").expect("a name");
        self.disk.write(&temporary, 0, &vec![0; usize_of(SEGMENT)]);
        self.disk.sync_file(&temporary);
        self.rename(&temporary, path, hooks);
    }

    fn rename(&self, from: &RelPath, to: &RelPath, hooks: &mut dyn Hooks) {
        hooks.before_rename(from, to);
        self.disk.rename(from, to);
        hooks.renamed(to);
    }

    /// `pg_switch_wal`: the rest of the segment is zeros, without page headers.
    pub(crate) fn switch(&mut self, hooks: &mut dyn Hooks) {
        if !self.log.end().0.is_multiple_of(SEGMENT) {
            self.log.switch();
            self.flush(hooks);
        }
    }

    /// A checkpoint: recovery would begin here; older segments are recycled or removed.
    pub(crate) fn checkpoint(&mut self, rng: &mut StdRng, hooks: &mut dyn Hooks) {
        self.insert(rng);
        self.flush(hooks);
        self.redo = self.log.last().0;
        let current = self.redo / SEGMENT;
        let mut future = self.log.end().0 / SEGMENT + 1;
        for path in self.disk.names() {
            if parse_segment(&path).is_none_or(|number| number >= current) {
                continue;
            }
            while self.disk.size(&segment_path(future)).is_some() {
                future += 1;
            }
            if future <= current + 3 && rng.random_bool(0.7) {
                self.rename(&path, &segment_path(future), hooks);
            } else {
                hooks.before_remove(&path);
                self.disk.remove(&path);
                hooks.renamed(&path);
            }
        }
    }
}

/// What a reader of the WAL finds.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// The whole records, in order.
    pub(crate) records: Vec<Record>,
    /// The number that the first record has, or would have.
    pub(crate) first: u64,
    /// Where the last whole record begins.
    pub(crate) last: u64,
    /// Behind the last whole record.
    pub(crate) end: u64,
}

/// Reads records from `start` as recovery does, until the first one that is not whole. `start` is
/// the beginning of the log, or of a record.
pub(crate) fn replay(start: u64, image: &dyn Fn(&RelPath) -> Option<Vec<u8>>) -> Replay {
    let mut reader = Reader { at: start, image, segment: None };
    let mut found = Replay { end: start, ..Replay::default() };
    loop {
        let Some((begin, record)) = reader.record(found.last) else { return found };
        if let Some(record) = record {
            if found.records.is_empty() {
                found.first = record.0;
            }
            found.records.push(record);
        }
        (found.last, found.end) = (begin, reader.at);
    }
}

struct Reader<'a> {
    at: u64,
    image: &'a dyn Fn(&RelPath) -> Option<Vec<u8>>,
    segment: Option<(u64, Vec<u8>)>,
}

impl Reader<'_> {
    /// Where the next record begins, and what it is; a switch is no record of the database's.
    fn record(&mut self, previous: u64) -> Option<(u64, Option<Record>)> {
        let mut begin = self.at;
        if begin.is_multiple_of(PAGE) {
            begin += header_len(begin);
        }
        let head = self.take(HEADER)?;
        let length = usize::try_from(u32::from_le_bytes(head[..4].try_into().ok()?)).ok()?;
        let before = u64::from_le_bytes(head[8..16].try_into().ok()?);
        if !(HEADER..100_000).contains(&length) || (previous > 0 && before != previous) {
            return None;
        }
        let body = self.take(length - HEADER)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&body), &head[..20]);
        if head[20..] != crc.to_le_bytes() {
            return None;
        }
        self.at = self.at.next_multiple_of(8);
        if head[16..18] == [0x40, 0] {
            self.at = self.at.next_multiple_of(SEGMENT);
            return Some((begin, None));
        }
        let number = u64::from_le_bytes(body[..8].try_into().ok()?);
        Some((begin, Some((number, Checksum::of(&body)))))
    }

    fn take(&mut self, mut length: usize) -> Option<Vec<u8>> {
        let mut taken = Vec::with_capacity(length);
        while length > 0 {
            let page = self.at - self.at % PAGE;
            let start = usize_of(page % SEGMENT);
            let bytes = self.load(page / SEGMENT)?.get(start..start + usize_of(PAGE))?;
            let bytes = belongs(page, bytes).then(|| bytes.to_vec())?;
            if self.at == page {
                self.at += header_len(page);
            }
            let at = usize_of(self.at % PAGE);
            let piece = length.min(usize_of(PAGE) - at);
            taken.extend(&bytes[at..at + piece]);
            length -= piece;
            self.at += u64::try_from(piece).ok()?;
        }
        Some(taken)
    }

    fn load(&mut self, number: u64) -> Option<&Vec<u8>> {
        if self.segment.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            let bytes = (self.image)(&segment_path(number))?;
            self.segment = Some((number, bytes));
        }
        self.segment.as_ref().map(|(_, bytes)| bytes)
    }
}

/// Every page of these bytes that is not all zeros, by address, with its checksum; `Err` names a
/// page that does not belong where it stands.
pub(crate) fn pages(path: &RelPath, bytes: &[u8]) -> Result<HashSet<(u64, Checksum)>, String> {
    let number = parse_segment(path).ok_or("not a segment")?;
    let mut pages = HashSet::new();
    for (index, page) in (0u64..).zip(bytes.chunks(usize_of(PAGE))) {
        let address = number * SEGMENT + index * PAGE;
        if page.iter().all(|byte| *byte == 0) {
            continue;
        }
        if !belongs(address, page) {
            return Err(format!("{path}: page {index} does not belong here"));
        }
        pages.insert((address, Checksum::of(page)));
    }
    Ok(pages)
}

/// The name of a segment of timeline 1, as `XLogFileName` makes it.
pub(crate) fn segment_path(number: u64) -> RelPath {
    let per_id = 0x1_0000_0000 / SEGMENT;
    let name = format!("00000001{:08X}{:08X}", number / per_id, number % per_id);
    RelPath::new(&name).expect("24 digits are a name")
}

/// The number of a segment of this name.
pub(crate) fn parse_segment(path: &RelPath) -> Option<u64> {
    let low = path.as_str().strip_prefix("0000000100000000").filter(|low| low.len() == 8)?;
    u64::from_str_radix(low, 16).ok()
}

/// Whether a page says that it stands here.
fn belongs(address: u64, page: &[u8]) -> bool {
    let long = u16::from(address.is_multiple_of(SEGMENT)) << 1;
    page[..2] == [0x10, 0xD1]
        && u16::from_le_bytes([page[2], page[3]]) & 2 == long
        && page[4..8] == 1u32.to_le_bytes()
        && page[8..16] == address.to_le_bytes()
}

fn header_len(address: u64) -> u64 {
    if address.is_multiple_of(SEGMENT) { 40 } else { 24 }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("64-bit machines")
}
