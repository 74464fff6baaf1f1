//! The segments of a table that are in place for the server: complete before a commit in them is
//! shown, gone when all of them was applied.
//!
//! A file that the server may have open grows and is never replaced. So a segment that may still
//! grow stays; where room is needed, only the blocks of what was applied are given back. One that
//! cannot grow any more is removed once all that the volume has of it was applied.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use crate::layout::questdb::bytes::{i32_at, i64_at};
use crate::layout::questdb::delivery::pieces::Piece;
use crate::layout::questdb::event;
use crate::layout::questdb::names::{Segment, Table};
use crate::volume::{self, Content, RelPath};

use super::files::{beginning, gone, write_where_different};
use super::lengths;
use super::root::Root;
use super::source::Source;
use super::trouble::Trouble;

/// How much is copied at once.
const CHUNK: u64 = 1 << 20;
/// Of a file that may grow, as much stays at its end: the next commit shares a page with it.
const STAYS: u64 = 16 << 10;
/// The events of a segment and where each of them ends.
const EVENTS: [&str; 2] = ["_event", "_event.i"];

/// How much room there is for segments.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes that they may take.
    pub(super) limit: u64,
    /// Bytes that they take.
    pub(super) used: u64,
}

/// The segments of one table that are in place.
#[derive(Debug, Default)]
pub(super) struct Segments(BTreeMap<(u32, u32), Placed>);

#[derive(Debug, Default)]
struct Placed {
    /// The files as they were in the volume when they were copied.
    files: BTreeMap<String, Arc<volume::File>>,
    /// Up to which event the server may read, and where that ends.
    events: Option<(u32, u64)>,
    /// How many rows those events bring.
    rows: u64,
    bytes: u64,
    /// The last commit that needs it.
    last: u64,
    /// Bytes of blocks that were given back.
    freed: u64,
}

impl Segments {
    /// Bytes that putting this piece in place would take.
    pub(super) fn wants(&self, source: &Source, table: &Table, piece: &Piece) -> u64 {
        let segment = name(table, piece).directory();
        let files = source.view.manifest.below(&segment);
        let bytes: u64 = files.map(|(_, file)| file.size).sum();
        let placed = self.0.get(&(piece.wal, piece.segment)).map_or(0, |placed| placed.bytes);
        bytes.saturating_sub(placed)
    }

    /// Puts the segment's files in place, but for the events, which tell the server of them.
    pub(super) async fn place(
        &mut self,
        (root, window): (&Root, &mut Window),
        source: &Source,
        table: &Table,
        piece: &Piece,
    ) -> Result<(), Trouble> {
        let segment = name(table, piece).directory();
        let files: Vec<_> = source.view.manifest.below(&segment).collect();
        if files.is_empty() {
            return Err(Trouble::Gap(format!("{segment} is not in the volume")));
        }
        root.link(table, piece.wal)?;
        let place = place(root, table, piece);
        root.owner.make_directory(&place)?;
        let placed = self.0.entry((piece.wal, piece.segment)).or_default();
        placed.last = placed.last.max(piece.last);
        for (path, file) in files {
            if EVENTS.contains(&path.name()) {
                continue;
            }
            let before = placed.files.get(path.name());
            if before.is_some_and(|before| Arc::ptr_eq(before, file) || before == file) {
                continue;
            }
            let from = first_difference(before, file);
            copy(root, source, path, from..file.size, &place.join(path.name())).await?;
            placed.files.insert(path.name().to_owned(), Arc::clone(file));
        }
        let bytes: u64 = placed.files.values().map(|file| file.size).sum();
        window.used = (window.used + bytes).saturating_sub(placed.bytes);
        placed.bytes = bytes;
        Ok(())
    }

    /// Lets the server read the events that this piece needs, and no others: the volume may have
    /// more of them than the log tells of. Before that, checks that everything they promise is
    /// there: a server that maps less may die.
    pub(super) async fn show(
        &mut self,
        root: &Root,
        source: &Source,
        table: &Table,
        piece: &Piece,
    ) -> Result<(), Trouble> {
        let Some(placed) = self.0.get_mut(&(piece.wal, piece.segment)) else {
            return Err(Trouble::Later("a segment is not in place".to_owned()));
        };
        let (first, start) = placed.events.map_or((0, event::FIRST), |(it, end)| (it + 1, end));
        placed.last = placed.last.max(piece.last);
        if first > piece.event {
            return Ok(());
        }
        let segment = name(table, piece).directory();
        let [events, index] = EVENTS.map(|name| segment.join(name).expect("a name is a path"));
        let ends = u64::from(first)..u64::from(piece.event) + 2;
        let ends_bytes = source.read(&index, ends.start * 8..ends.end * 8).await?;
        let end = i64_at(&ends_bytes, ends_bytes.len() - 8).and_then(|it| u64::try_from(it).ok());
        let end = end.filter(|end| *end >= start);
        let end = end.ok_or_else(|| Trouble::Gap(format!("{index} is not whole")))?;
        let mut bytes = source.read(&events, start..end).await?.to_vec();
        bytes.extend((-1_i32).to_le_bytes());
        let format = source.read(&events, 4..8).await?;
        let place = place(root, table, piece);
        let file = root.owner.open(&place.join("_event"))?;
        write_where_different(&file, 4, &format)?;
        write_where_different(&file, start, &bytes)?;
        let index = root.owner.open(&place.join("_event.i"))?;
        write_where_different(&index, ends.start * 8, &ends_bytes)?;
        let rows = lengths::check(&place, first.into(), piece.event.into())
            .map_err(|lack| Trouble::Gap(format!("{segment}: {lack}")))?;
        file.write_all_at(&piece.event.to_le_bytes(), 0)?;
        placed.events = Some((piece.event, end));
        placed.rows = placed.rows.max(rows);
        Ok(())
    }

    /// Removes what was applied and cannot grow any more.
    pub(super) fn evict(
        &mut self,
        (root, window): (&Root, &mut Window),
        source: &Source,
        table: &Table,
        applied: u64,
    ) -> io::Result<()> {
        let over = |key: &(u32, u32), placed: &Placed| {
            let shown = placed.events.map(|(event, _)| event);
            placed.last <= applied && (self.is_left(*key) || is_over(source, table, *key, shown))
        };
        let done: Vec<_> =
            self.0.iter().filter(|(key, placed)| over(key, placed)).map(|(key, _)| *key).collect();
        for key in done {
            let place = root.wal(table).join(format!("wal{}", key.0)).join(key.1.to_string());
            gone(fs::remove_dir_all(place))?;
            root.unlink(table, key.0)?;
            let placed = self.0.remove(&key);
            let held = placed.map_or(0, |placed| placed.bytes - placed.freed);
            window.used = window.used.saturating_sub(held);
        }
        Ok(())
    }

    /// Gives back the blocks of what was applied in segments that may still grow. What is in place
    /// and not shown yet waits for its commit: it stays.
    pub(super) fn free(
        &mut self,
        (root, window): (&Root, &mut Window),
        table: &Table,
        applied: u64,
    ) -> io::Result<()> {
        for ((wal, segment), placed) in &mut self.0 {
            if placed.last > applied || placed.bytes < placed.freed + STAYS {
                continue;
            }
            let place = root.wal(table).join(format!("wal{wal}")).join(segment.to_string());
            let columns = lengths::columns(&place, placed.rows).map_err(io::Error::other)?;
            let mut freed = 0;
            for (name, applied) in columns {
                let len = applied.saturating_sub(STAYS);
                let len = len - len % 4096;
                if len > 0 {
                    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                    let file = File::options().write(true).open(place.join(name))?;
                    rustix::fs::fallocate(&file, flags, 0, len)?;
                    freed += len;
                }
            }
            window.used = window.used.saturating_sub(freed.saturating_sub(placed.freed));
            placed.freed = placed.freed.max(freed);
        }
        Ok(())
    }

    /// Whether the server was shown a later segment of the same writer: the log names a writer's
    /// segments one after the other, and what else is in this one it will never name.
    fn is_left(&self, (wal, segment): (u32, u32)) -> bool {
        let later = self.0.range((wal, segment.saturating_add(1))..=(wal, u32::MAX));
        later.into_iter().any(|(_, placed)| placed.events.is_some())
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self, window: &mut Window) {
        let bytes: u64 = self.0.values().map(|placed| placed.bytes - placed.freed).sum();
        window.used = window.used.saturating_sub(bytes);
        self.0.clear();
    }

    /// Removes what an earlier process left in place and nobody needs.
    pub(super) fn sweep(&self, root: &Root, source: &Source, table: &Table) -> io::Result<()> {
        let Ok(wals) = fs::read_dir(root.wal(table)) else { return Ok(()) };
        for wal in wals {
            let wal = wal?;
            let Some(number) = number(&wal.file_name(), "wal") else { continue };
            let Ok(segments) = fs::read_dir(wal.path()) else { continue };
            for segment in segments {
                let segment = segment?;
                let Some(of_wal) = self::number(&segment.file_name(), "") else { continue };
                let (key, shown) = ((number, of_wal), shown(&segment.path())?);
                let is_needed = self.0.contains_key(&key);
                if !is_needed && (self.is_left(key) || is_over(source, table, key, shown)) {
                    gone(fs::remove_dir_all(segment.path()))?;
                }
            }
            root.unlink(table, number)?;
        }
        Ok(())
    }
}

fn number(name: &std::ffi::OsStr, prefix: &str) -> Option<u32> {
    name.to_str()?.strip_prefix(prefix)?.parse().ok()
}

fn name(table: &Table, piece: &Piece) -> Segment {
    Segment { table: table.clone(), wal: piece.wal, segment: piece.segment }
}

fn place(root: &Root, table: &Table, piece: &Piece) -> PathBuf {
    root.wal(table).join(format!("wal{}", piece.wal)).join(piece.segment.to_string())
}

/// Up to which event the server may read a segment that is in place here.
fn shown(place: &Path) -> io::Result<Option<u32>> {
    let head = beginning(&place.join("_event"), 4)?;
    let event = head.as_deref().and_then(|head| i32_at(head, 0));
    Ok(event.and_then(|event| u32::try_from(event).ok()))
}

/// Whether the server, to which the segment was shown up to this event, will be shown no more of
/// it: it is sealed, its writer went on to the next one, or the volume forgot it; and the volume
/// has no event that was not shown. Such a one may wait behind a rename, and the server, which
/// leaves files open, would look for its rows in those that it has.
fn is_over(source: &Source, table: &Table, (wal, segment): (u32, u32), shown: Option<u32>) -> bool {
    let manifest = &source.view.manifest;
    let it = Segment { table: table.clone(), wal, segment };
    let file = |name: &str| it.file(name).and_then(|path| manifest.file(&path));
    let Some(events) = file("_event") else { return true };
    let known = file("_event.i").map_or(0, |index| event::records_in(index.size));
    if known > shown.map_or(0, |event| u64::from(event) + 1) {
        return false;
    }
    let Some(directory) = it.directory().parent() else { return true };
    let is_later = |name: &str| name.parse::<u32>().is_ok_and(|other| other > segment);
    matches!(events.content, Content::Sealed { .. })
        || manifest.list(Some(&directory)).iter().any(|(name, _)| is_later(name))
}

/// From where on a file may differ from what it was.
fn first_difference(before: Option<&Arc<volume::File>>, after: &volume::File) -> u64 {
    match (before.map(|file| &file.content), &after.content) {
        (Some(Content::Open(before)), Content::Open(after)) => {
            let mut old = before.iter();
            let differs = after.iter().find(|extent| old.next() != Some(*extent));
            differs.map_or(after.end(), |extent| extent.offset)
        }
        (Some(before), after) if before == after => u64::MAX,
        _ => 0,
    }
}

async fn copy(
    root: &Root,
    source: &Source,
    path: &RelPath,
    range: std::ops::Range<u64>,
    to: &Path,
) -> Result<(), Trouble> {
    let file = root.owner.open(to)?;
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at - at % CHUNK + CHUNK);
        let bytes = source.read(path, at..end).await?;
        write_where_different(&file, at, &bytes)?;
        at = end;
    }
    Ok(())
}
