//! What of a QuestDB `db/` the store lacks, in the order in which replicas may see it.
//!
//! The log is read first: everything up to its last commit is in the files then, because the
//! database fills a segment, then its events, then the log, and the log's count last. Shipped is in
//! the same order: columns, events, their index, changes of structure, and the log's records.
//! The bytes are the files' own, so that a count in a header may be ahead of what was shipped: how
//! many commits the volume has, the sizes of the logs say.
//!
//! A segment is sealed when nobody writes to it and its files have exactly the lengths that its
//! events tell: then its writer cut and closed it. One that a crash left uncut stays open, and so
//! does a small one, which is not worth an object of its own; nothing of them is missing.
//!
//! The server counts the numbers that it gives to tables and to writers in files which it never
//! makes durable. If it gave one again after a power loss, the store would have other commits under
//! it: so these files are made durable before the first commit that relies on them is shipped.
//!
//! What was gone before the volume began (the purge of applied WAL) is not told here: only a
//! replica knows whether it needs it. What goes later is held until it is shipped.

mod owes;
mod pointers;
mod rely;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traces;

pub(super) use self::owes::owes;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::layout::shipped::{Shipped, differing, tails};
use crate::layout::{Look, OpenFile, Plan, Scope, Step};
use crate::volume::edit::BLOCK;
use crate::volume::{LeftOut, RelPath};

use super::names::{Segment, SequencerFile, Table};
use super::parts::{Parts, may_change, settled};
use super::sequencer::{self, Log};
use super::txnlog::{Record, What, read_records};
use super::wanted::{self, Wanted};
use super::{event, left_out, registry};

/// Commits are published in pieces of so many at least…
const PIECE_MIN: u64 = 64;
/// …and a backlog in so many pieces at most, so that replicas see it grow.
const PIECES_MAX: u64 = 256;

pub(super) fn capture(look: &Look<'_>) -> io::Result<Plan> {
    let wanted = match look.scope {
        Scope::All => Wanted::everything(look)?,
        Scope::Only(paths) => Wanted::named(paths),
    };
    let mut capture = Capture::new(look);
    capture.tables(&wanted.tables)?;
    // A view can only be made over its table as it was: one that was made before a change, and that
    // nobody had told of when this look began, comes first.
    while std::mem::take(&mut capture.has_change) {
        let changes = std::mem::take(&mut capture.steps);
        let mut new = wanted::tables(look.files)?;
        new.retain(|table| !capture.has(&table.sequencer(SequencerFile::Log)));
        capture.tables(&new)?;
        capture.steps.extend(changes);
    }
    for segment in &wanted.segments {
        capture.seal(segment)?;
    }
    if wanted.about {
        capture.about()?;
    }
    Ok(capture.finish())
}

fn segment_of(table: &Table, record: &Record) -> Option<Segment> {
    match record.what {
        What::Event { wal, segment, .. } => Some(Segment { table: table.clone(), wal, segment }),
        What::Change | What::Drop => None,
    }
}

/// The plan so far.
#[derive(Debug)]
struct Capture<'a> {
    look: &'a Look<'a>,
    steps: Vec<Step>,
    /// The tables that are held back, and why.
    problems: BTreeMap<Table, io::Error>,
    left_out: Vec<LeftOut>,
    /// The sizes that files have once the steps so far count, where these change them.
    planned: BTreeMap<RelPath, u64>,
    /// The segments that the steps seal.
    sealed: BTreeSet<Segment>,
    /// The steps change a table's structure or name, or remove one.
    has_change: bool,
    /// Of which table commits were planned last, and up to which.
    last: Option<(Table, u64)>,
}

impl<'a> Capture<'a> {
    fn new(look: &'a Look<'a>) -> Self {
        Self {
            look,
            steps: Vec::new(),
            problems: BTreeMap::new(),
            left_out: Vec::new(),
            planned: BTreeMap::new(),
            sealed: BTreeSet::new(),
            has_change: false,
            last: None,
        }
    }

    fn finish(self) -> Plan {
        let last = self.last.as_ref();
        let database = last.map(|(table, txn)| format!("{table} txn {txn}"));
        let backlog = self.steps.iter().map(Step::bytes).sum();
        let held_back = |(table, why)| format!("table {table} is held back: {why}");
        let problems = self.problems.iter().map(held_back).collect();
        let Self { steps, left_out, .. } = self;
        Plan { steps, database, backlog, problems, left_out }
    }

    /// Ships what the store lacks of these tables.
    fn tables(&mut self, tables: &BTreeSet<Table>) -> io::Result<()> {
        for table in tables {
            let mut one = Capture::new(self.look);
            match one.table(table) {
                Ok(()) => self.absorb(one),
                // One damaged table must not keep the others from the store.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.problems.insert(table.clone(), error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on with what was planned of another table.
    fn absorb(&mut self, mut one: Capture<'_>) {
        self.steps.append(&mut one.steps);
        self.left_out.append(&mut one.left_out);
        self.planned.append(&mut one.planned);
        self.sealed.append(&mut one.sealed);
        self.has_change |= one.has_change;
        self.last = one.last.or(self.last.take());
    }

    /// Ships the commits that the store lacks of a table.
    fn table(&mut self, table: &Table) -> io::Result<()> {
        let Look { files, shipped, scope } = *self.look;
        let Some(log) = sequencer::open(files, table)? else { return self.gone(table) };
        let before = log.shipped(shipped);
        let now = log.header.max_txn;
        if before > now {
            return Err(invalid(format!(
                "the store has {before} commits of it, this disk only {now}: the database was set \
                 back; give it a new volume, or bring back the newer files"
            )));
        }
        if (before < now || matches!(scope, Scope::All)) && !log.goes_on_from(files, shipped)? {
            return Err(invalid(format!(
                "its commit {before} is not the one that the store has: the database was set back \
                 and went on otherwise; give it a new volume, or bring back the newer files"
            )));
        }
        let is_new = !shipped.files.contains_key(&log.path);
        if is_new && !sequencer::is_made(files, table)? {
            return Ok(());
        }
        if is_new {
            self.rely(RelPath::new(registry::LAST_ID).expect("a name is a path"))?;
        }
        if is_new || matches!(scope, Scope::All) {
            self.constants(table)?;
        }
        let piece = PIECE_MIN.max((now - before).div_ceil(PIECES_MAX));
        let mut done = before;
        while done < now {
            let upto = now.min(done + piece);
            self.piece(table, &log, (done, upto))?;
            done = upto;
        }
        if is_new && now == 0 {
            self.grow(&*log.file, &log.path, log.size(0))?;
        }
        if now > before {
            self.last = Some((table.clone(), now));
        }
        match sequencer::structure(files, table, &log)? {
            Some(structure) => self.meta(table, structure),
            None => Ok(()),
        }
    }

    /// Ships the commits after `after` up to `upto`.
    fn piece(&mut self, table: &Table, log: &Log, (after, upto): (u64, u64)) -> io::Result<()> {
        let records = read_records(self.look.files, table, log.header.form, (after, upto))?;
        let mut segments: Vec<(Segment, u64)> = Vec::new();
        let mut structure = None;
        for record in &records {
            self.has_change |= matches!(record.what, What::Change | What::Drop);
            match record.what {
                What::Event { wal, segment, txn } => {
                    let segment = Segment { table: table.clone(), wal, segment };
                    let txn = u64::from(txn);
                    match segments.iter_mut().find(|(known, _)| *known == segment) {
                        Some((_, last)) => *last = (*last).max(txn),
                        None => segments.push((segment, txn)),
                    }
                }
                What::Change => structure = Some(record.structure),
                What::Drop => {}
            }
        }
        if records.iter().any(|record| matches!(record.what, What::Event { txn: 0, .. })) {
            self.rely_on_writers(table, log)?;
        }
        for (segment, last) in &segments {
            let statements = self.segment(segment, *last)?;
            self.left_out.extend(left_out::commits(segment, (after, &records), &statements));
        }
        if let Some(structure) = structure {
            self.changes(table, structure)?;
        }
        for (path, size) in log.sizes(after, upto) {
            let Some(file) = self.look.files.open(&path)? else {
                return Err(invalid(format!("{path} is not there")));
            };
            self.grow(&*file, &path, size)?;
        }
        Ok(())
    }

    /// Ships a segment up to its event `last`. Returns the statements that this brings.
    fn segment(&mut self, segment: &Segment, last: u64) -> io::Result<Vec<(u64, String)>> {
        let nothing = Ok(Vec::new());
        if self.sealed.contains(segment) {
            return nothing;
        }
        let Some(parts) = Parts::open(self.look.files, segment)? else { return nothing };
        let is_new = !self.look.shipped.files.contains_key(&parts.events.0)
            && !self.planned.contains_key(&parts.events.0);
        let first = self.first_unshipped(&parts)?;
        if first > last || Shipped::of(self.look.shipped, &parts.events.0).is_sealed() {
            return nothing;
        }
        let events = event::read(&*parts.events.1, &*parts.index.1, (first, last))?
            .ok_or_else(|| invalid(format!("{segment} lacks event {last}, which was committed")))?;
        if is_new && self.seal_unshipped(segment, &parts)? {
            return Ok(events.statements);
        }
        if let Some((path, file)) = &parts.meta {
            self.grow(&**file, path, parts.columns.len)?;
        }
        if events.rows > 0 {
            for (path, size) in parts.column_sizes(self.look.files, segment, events.rows)? {
                let file = self.look.files.open(&path)?;
                let file = file.ok_or_else(|| invalid(format!("{path} is not there")))?;
                self.grow(&*file, &path, size)?;
            }
        }
        // What the index tells of is taken for shipped if a plan ends early: events come before it.
        self.grow(&*parts.events.1, &parts.events.0, events.len)?;
        self.grow(&*parts.index.1, &parts.index.0, events.index_len)?;
        Ok(events.statements)
    }

    /// The first event that the store lacks, or lacks a part of.
    fn first_unshipped(&self, parts: &Parts) -> io::Result<u64> {
        let records = event::records_in(self.size_of(&parts.index.0));
        let end = event::end_of(&*parts.index.1, records)?;
        let is_whole = end.is_some_and(|end| end <= self.size_of(&parts.events.0));
        Ok(if is_whole { records } else { 0 })
    }

    /// A segment that was written within one interval is shipped once, sealed, and never as tail.
    fn seal_unshipped(&mut self, segment: &Segment, parts: &Parts) -> io::Result<bool> {
        let Some(files) = parts.worth_sealing(self.look.files, segment)? else {
            return Ok(false);
        };
        self.sealed.insert(segment.clone());
        self.steps.push(Step::Seal { files });
        Ok(true)
    }

    /// Seals a segment if it is finished and all of it was shipped, or stands in the plan.
    fn seal(&mut self, segment: &Segment) -> io::Result<()> {
        if self.sealed.contains(segment) {
            return Ok(());
        }
        let parts = match Parts::open(self.look.files, segment) {
            Ok(Some(parts)) => parts,
            Ok(None) => return Ok(()),
            // Whether its commits are held back for that, the log says.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(()),
            Err(error) => return Err(error),
        };
        if Shipped::of(self.look.shipped, &parts.events.0).is_sealed() {
            return Ok(());
        }
        let Some(files) = parts.worth_sealing(self.look.files, segment)? else {
            return Ok(());
        };
        if files.iter().all(|(path, size)| self.has(path) && self.size_of(path) == *size) {
            self.sealed.insert(segment.clone());
            self.steps.push(Step::Seal { files });
        }
        Ok(())
    }

    /// Ships the changes of structure up to this version.
    fn changes(&mut self, table: &Table, structure: u64) -> io::Result<()> {
        for (path, size) in sequencer::change_sizes(self.look.files, table, structure)? {
            let file = self.look.files.open(&path)?;
            let file = file.ok_or_else(|| invalid(format!("{path} is not there")))?;
            self.grow(&*file, &path, size)?;
        }
        Ok(())
    }

    /// The table has no log on the disk. If the server does not know it any more, the volume
    /// forgets it, too.
    fn gone(&mut self, table: &Table) -> io::Result<()> {
        let Look { files, shipped, .. } = *self.look;
        let log = table.sequencer(SequencerFile::Log);
        if !shipped.files.contains_key(&log) {
            return Ok(());
        }
        let known = registry::read(files)?;
        if known.is_none_or(|known| known.contains_key(table.directory().as_str())) {
            return Err(invalid("its log is gone, but the server was not told to drop it".into()));
        }
        // Without its log it is no table any more, whatever else is still there.
        self.has_change = true;
        let rest = shipped.below(table.directory()).map(|(path, _)| path);
        let rest = rest.filter(|path| **path != log).cloned().collect::<Vec<_>>();
        self.steps.extend([log].into_iter().chain(rest).map(|path| Step::Remove { path }));
        Ok(())
    }

    /// Ships what a file has up to this size.
    fn grow(&mut self, file: &dyn OpenFile, path: &RelPath, size: u64) -> io::Result<()> {
        let shipped = Shipped::of(self.look.shipped, path);
        if shipped.is_sealed() {
            return Ok(());
        }
        let planned = self.planned.get(path).copied();
        if planned.or(shipped.open_size()) == Some(size) && !may_change(path) {
            return Ok(());
        }
        let mut ranges = if let Some(planned) = planned {
            std::iter::once(settled(path, planned).min(size)..size).collect()
        } else {
            let from = settled(path, shipped.end()).min(size / BLOCK * BLOCK);
            differing(file, shipped, from..size)?
        };
        ranges.retain(|range| !range.is_empty());
        if ranges.is_empty() && planned.or(shipped.open_size()) != Some(size) {
            ranges.push(0..0);
        }
        if !ranges.is_empty() {
            self.planned.insert(path.clone(), size);
        }
        self.steps.extend(tails(path, size, ranges));
        Ok(())
    }

    /// The size of a file once the steps so far count.
    fn size_of(&self, path: &RelPath) -> u64 {
        let shipped = || Shipped::of(self.look.shipped, path).open_size();
        self.planned.get(path).copied().or_else(shipped).unwrap_or(0)
    }

    fn has(&self, path: &RelPath) -> bool {
        self.planned.contains_key(path) || self.look.shipped.files.contains_key(path)
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
