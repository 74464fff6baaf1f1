//! What of `pg_wal` the store lacks, in the order in which replicas may see it.
//!
//! Order: timeline by timeline, each one's history file before its segments, the segments as they
//! follow each other. A timeline whose history file is nowhere is held back: PostgreSQL creates
//! the first segment of a new timeline before its history file.
//!
//! A segment is complete when the next one of its timeline has begun, that is, has a first page
//! that belongs there. PostgreSQL syncs a segment, all of it written, before it writes the first
//! page of the next one; a power cut cannot leave the second without the first. (That the last
//! page of a segment looks right proves less: its neighbour may have been lost.) The next segment
//! is looked at first: what is read of a segment after that is final, whether it is full of pages
//! or a switch left the rest as zeros. A segment that ends exactly at the last record stays open
//! until the next one begins; nothing of it is missing meanwhile.
//!
//! Of the segment that is not complete, the pages up to the end of the log may be shipped: see
//! [`super::end`]. What was shipped as tail stays tail to the end, so that a replica that is up
//! to date has all the bytes when the seal comes; what was never shipped as tail is only sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::layout::shipped::{Shipped, differing, read_whole, tails};
use crate::layout::{Files, Kind, Look, Plan, Scope, Step};
use crate::volume::{Manifest, RelPath};

use super::end;
use super::history;
use super::log::{Kept, Log};
use super::names::{Lsn, Name, SegmentName, history_path, is_segment_size};
use super::page::PAGE;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traces;

/// A history file or a backup's note is small; what is larger is something else.
const POINTER_MAX: u64 = 1 << 20;

/// What the look is about.
#[derive(Debug, Default)]
struct Wanted {
    histories: BTreeSet<u32>,
    backups: BTreeSet<RelPath>,
    /// The numbers of the segments, by log.
    logs: BTreeMap<LogId, BTreeSet<u64>>,
}

/// One timeline's files of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LogId {
    timeline: u32,
    kept: Kept,
    segment_size: u64,
}

pub(super) fn capture(look: &Look<'_>) -> io::Result<Plan> {
    let wanted = match look.scope {
        Scope::All => everything(look)?,
        Scope::Only(paths) => named(look, paths)?,
    };
    let mut capture = Capture { look, plan: Plan::default(), end: None };
    let mut timelines: BTreeSet<u32> = wanted.histories.clone();
    timelines.extend(wanted.logs.keys().map(|id| id.timeline));
    for timeline in timelines {
        let known = capture.history(timeline, wanted.histories.contains(&timeline))?;
        for (id, numbers) in wanted.logs.iter().filter(|(id, _)| id.timeline == timeline) {
            if known {
                capture.log(*id, numbers.clone())?;
            } else if matches!(look.scope, Scope::All) {
                capture.plan.problems.push(format!(
                    "timeline {timeline} is held back: its history file {} is neither here nor in \
                     the store; copy it from an archive into pg_wal",
                    history_path(timeline)
                ));
            }
        }
    }
    for path in &wanted.backups {
        capture.pointer(path)?;
    }
    let Capture { mut plan, end, .. } = capture;
    plan.database = end.map(|(timeline, lsn)| format!("timeline {timeline}, LSN {lsn}"));
    plan.backlog = plan.steps.iter().map(Step::bytes).sum();
    Ok(plan)
}

/// Whether this segment has bytes that the manifest lacks, or is complete and not sealed.
pub(super) fn owes(files: &dyn Files, path: &RelPath, shipped: &Manifest) -> io::Result<bool> {
    let look = Look { files, shipped, scope: Scope::All };
    let mut capture = Capture { look: &look, plan: Plan::default(), end: None };
    match Name::of(path) {
        Some(Name::History(_) | Name::Backup) => capture.pointer(path)?,
        Some(Name::Segment(name)) => capture.one(path, name, Kept::Whole)?,
        Some(Name::Partial(name)) => capture.one(path, name, Kept::Partial)?,
        None => {}
    }
    Ok(!capture.plan.steps.is_empty())
}

/// All that the directory has and that is not sealed.
fn everything(look: &Look<'_>) -> io::Result<Wanted> {
    let mut wanted = Wanted::default();
    for found in look.files.list(None)? {
        if found.kind == Kind::File {
            want(look, &mut wanted, &found.path, found.size);
        }
    }
    Ok(wanted)
}

/// What these paths are about: a segment, and those before it that are not sealed.
fn named(look: &Look<'_>, paths: &BTreeSet<RelPath>) -> io::Result<Wanted> {
    let mut wanted = Wanted::default();
    for path in paths.iter().filter(|path| Name::of(path).is_some()) {
        let size = match Shipped::of(look.shipped, path).open_size() {
            Some(size) => Some(size),
            None => match look.files.open(path)? {
                Some(file) => Some(file.found()?.size),
                None => None,
            },
        };
        if let Some(size) = size {
            want(look, &mut wanted, path, size);
        }
    }
    for (id, numbers) in &mut wanted.logs {
        let mut log = id.open(look.files);
        for number in numbers.clone() {
            let mut before = number;
            while id.kept == Kept::Whole && before > 0 {
                before -= 1;
                let sealed = Shipped::of(look.shipped, &log.path(before)).is_sealed();
                if numbers.contains(&before) || sealed || log.file(before)?.is_none() {
                    break;
                }
                numbers.insert(before);
            }
        }
    }
    Ok(wanted)
}

fn want(look: &Look<'_>, wanted: &mut Wanted, path: &RelPath, size: u64) {
    let mut segment = |name: SegmentName, kept| {
        let id = LogId { timeline: name.timeline, kept, segment_size: size };
        if is_segment_size(size)
            && !Shipped::of(look.shipped, path).is_sealed()
            && let Some(number) = name.number(size)
        {
            wanted.logs.entry(id).or_default().insert(number);
        }
    };
    match Name::of(path) {
        Some(Name::Segment(name)) => segment(name, Kept::Whole),
        Some(Name::Partial(name)) => segment(name, Kept::Partial),
        Some(Name::History(timeline)) => {
            wanted.histories.insert(timeline);
        }
        Some(Name::Backup) => {
            wanted.backups.insert(path.clone());
        }
        None => {}
    }
}

impl LogId {
    fn open(self, files: &dyn Files) -> Log<'_> {
        Log::new(files, self.timeline, self.kept, self.segment_size)
    }
}

/// The plan so far.
#[derive(Debug)]
struct Capture<'a> {
    look: &'a Look<'a>,
    plan: Plan,
    /// The end of the log on the newest timeline.
    end: Option<(u32, Lsn)>,
}

impl Capture<'_> {
    /// Ships a timeline's history file if there is news. Returns whether the store has it then.
    fn history(&mut self, timeline: u32, wanted: bool) -> io::Result<bool> {
        let path = history_path(timeline);
        let shipped = self.look.shipped.files.contains_key(&path);
        if wanted || (timeline > 1 && !shipped) {
            self.pointer(&path)?;
        }
        let planned = |step: &Step| matches!(step, Step::Pointer { path: it, .. } if *it == path);
        Ok(timeline == 1 || shipped || self.plan.steps.iter().any(planned))
    }

    fn pointer(&mut self, path: &RelPath) -> io::Result<()> {
        let Some(file) = self.look.files.open(path)? else { return Ok(()) };
        let Some(content) = read_whole(&*file, POINTER_MAX)? else {
            self.plan.problems.push(format!("{path} is not shipped: it is too large for its name"));
            return Ok(());
        };
        let shipped = Shipped::of(self.look.shipped, path).pointer();
        if !content.is_empty() && shipped != Some(&content) {
            self.plan.steps.push(Step::Pointer { path: path.clone(), content });
        }
        Ok(())
    }

    /// Ships these segments of a log, and those that turn out to follow them.
    fn log(&mut self, id: LogId, mut numbers: BTreeSet<u64>) -> io::Result<()> {
        let mut log = id.open(self.look.files);
        let mut before = None;
        while let Some(number) = numbers.pop_first() {
            if log.header(log.start(number))?.is_none() {
                continue; // Recycled or prepared: it has not begun.
            }
            if id.kept == Kept::Whole {
                self.tell_of_a_gap(&log, number, before)?;
            }
            before = Some(number);
            let complete = self.segment(&mut log, number)?;
            let next = log.path(number + 1);
            if complete && !Shipped::of(self.look.shipped, &next).is_sealed() {
                numbers.insert(number + 1);
            }
        }
        Ok(())
    }

    /// Ships one segment, whatever its neighbours lack.
    fn one(&mut self, path: &RelPath, name: SegmentName, kept: Kept) -> io::Result<()> {
        let Some(file) = self.look.files.open(path)? else { return Ok(()) };
        let segment_size = file.found()?.size;
        let sealed = Shipped::of(self.look.shipped, path).is_sealed();
        if sealed || !is_segment_size(segment_size) {
            return Ok(());
        }
        let Some(number) = name.number(segment_size) else { return Ok(()) };
        let mut log = LogId { timeline: name.timeline, kept, segment_size }.open(self.look.files);
        if log.header(log.start(number))?.is_some() {
            self.segment(&mut log, number)?;
        }
        Ok(())
    }

    /// Ships what is news of a segment that has begun. Returns whether it is complete.
    fn segment(&mut self, log: &mut Log<'_>, number: u64) -> io::Result<bool> {
        let next_is_shipped = self.look.shipped.files.contains_key(&log.path(number + 1));
        let complete = next_is_shipped || log.header(log.start(number + 1))?.is_some();
        if complete {
            self.complete(log, number)?;
        } else {
            self.growing(log, number)?;
        }
        Ok(complete)
    }

    fn complete(&mut self, log: &mut Log<'_>, number: u64) -> io::Result<()> {
        let (path, size) = (log.path(number), log.segment_size());
        let shipped = Shipped::of(self.look.shipped, &path);
        if shipped.open_size().is_some() {
            let from = self.compare_from(shipped);
            let Some(file) = log.file(number)? else { return Ok(()) };
            let ranges = differing(file, shipped, from..size)?;
            self.plan.steps.extend(tails(&path, size, ranges));
        }
        self.plan.steps.push(Step::Seal { files: vec![(path, size)] });
        Ok(())
    }

    fn growing(&mut self, log: &mut Log<'_>, number: u64) -> io::Result<()> {
        let (path, size, start) = (log.path(number), log.segment_size(), log.start(number));
        let shipped = Shipped::of(self.look.shipped, &path);
        let mut end = end::find(log, start.plus(shipped.last_block()))?;
        if end.is_none() && shipped.end() > 0 {
            end = end::find(log, start)?;
        }
        let within = end.map_or(0, |end| end.0.saturating_sub(start.0)).min(size);
        let tail_end = within.next_multiple_of(PAGE);
        let Some(file) = log.file(number)? else { return Ok(()) };
        let ranges = differing(file, shipped, self.compare_from(shipped)..tail_end)?;
        let lost = matches!(self.look.scope, Scope::All)
            && !differing(file, shipped, tail_end..shipped.end())?.is_empty();
        if lost {
            self.plan.problems.push(format!(
                "{path}: the store has WAL up to offset {} that this disk does not have (it is \
                 valid up to offset {within}): the database was set back; give it a new volume",
                shipped.end(),
            ));
        }
        self.plan.steps.extend(tails(&path, size, ranges));
        let end = end.filter(|_| within > 0).map(|end| (log.timeline(), end));
        self.end = self.end.max(end);
        Ok(())
    }

    /// Where to begin to compare: the pages before the last one that was shipped cannot change,
    /// says [`super::end`]. A look at everything does not rely on it.
    fn compare_from(&self, shipped: Shipped<'_>) -> u64 {
        match self.look.scope {
            Scope::All => 0,
            Scope::Only(_) => shipped.last_block(),
        }
    }

    /// A segment that will never be shipped would make every replica wait for ever: says so when
    /// a later one comes. `before` is the last segment that this look found.
    fn tell_of_a_gap(&mut self, log: &Log<'_>, number: u64, before: Option<u64>) -> io::Result<()> {
        let files = &self.look.shipped.files;
        let path = log.path(number);
        if files.contains_key(&path) || before.is_some_and(|before| before + 1 == number) {
            return Ok(());
        }
        let number_of = |path: &RelPath| match Name::of(path) {
            Some(Name::Segment(name)) if name.timeline == log.timeline() => {
                name.number(log.segment_size())
            }
            _ => None,
        };
        let timeline = format!("{:08X}", log.timeline());
        let earlier = files.range(..path.clone()).rev().map(|(path, _)| path);
        let in_store =
            earlier.take_while(|path| path.as_str().starts_with(&timeline)).find_map(number_of);
        let last = match before.max(in_store) {
            Some(last) => Some(last),
            None => history::fork(self.look, log.timeline(), log.segment_size())?
                .map(|fork| fork.saturating_sub(1)),
        };
        if let Some(last) = last.filter(|last| last + 1 < number) {
            self.plan.problems.push(format!(
                "WAL is missing: the store has it up to {}, the disk only from {path} on; replicas \
                 that are not past this gap need a new base backup",
                log.path(last)
            ));
        }
        Ok(())
    }
}
