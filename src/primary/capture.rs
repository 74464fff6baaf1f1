//! From files to a batch: the layout plans, the bytes are read, then made durable, then cut.
//! Does not publish, and does not decide when to look: see `pipeline` and `pace`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use bytes::{Bytes, BytesMut};

use crate::layout::{Layout, Look, Scope, Step};
use crate::volume::edit::BLOCK;
use crate::volume::{Checksum, Content, Edit, LeftOut, Manifest, RelPath, SegmentId, Write};

use super::bodies::Bodies;
use super::disk::Disk;
use super::durable::{Durable, Reads};
use super::witness::{Identities, Witness};

/// What an edit counts beside its bytes, so that many small ones fill a batch too.
const EDIT_WEIGHT: u64 = 256;

/// A plan on its way: what is left to ship of what one look found.
#[derive(Debug, Default)]
pub(super) struct Work {
    steps: VecDeque<Step>,
    identities: Identities,
    database: Option<String>,
    /// How many bytes are left.
    pub(super) backlog: u64,
    /// What an operator must hear.
    pub(super) problems: Vec<String>,
    /// Commits among them that mean nothing to a replica.
    pub(super) left_out: Vec<LeftOut>,
}

/// The edits of one batch and their bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    /// The edits.
    pub(super) edits: Vec<Edit>,
    /// The bytes of the writes.
    pub(super) payload: Bytes,
    /// What the database calls the point that this leads to.
    pub(super) database: Option<String>,
    /// The bodies that the edits name.
    pub(super) bodies: Vec<SegmentId>,
    /// How many bytes of files the edits ship.
    pub(super) bytes: u64,
}

/// What can be cut from a work now.
#[derive(Debug)]
pub(super) enum Cutting {
    /// A batch.
    Batch(Durable<Cut>),
    /// Nothing before the body of a sealed segment is uploaded.
    Waits,
    /// Nothing at all: the work is done.
    Nothing,
    /// A name leads to another file than it did when the plan was made: look again.
    Moved,
}

/// What a cut is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    /// The files.
    pub(super) disk: &'a dyn Disk,
    /// What the store has.
    pub(super) shipped: &'a Manifest,
    /// The uploads of sealed segments.
    pub(super) bodies: &'a Bodies,
    /// How many bytes a batch carries at most.
    pub(super) batch_max: u64,
}

/// What the store lacks of what the scope names.
pub(super) fn look(
    disk: &dyn Disk,
    layout: &dyn Layout,
    shipped: &Manifest,
    scope: Scope<'_>,
) -> io::Result<Work> {
    let witness = Witness::new(disk);
    let plan = layout.capture(&Look { files: &witness, shipped, scope })?;
    Ok(Work {
        steps: plan.steps.into(),
        identities: witness.into_identities(),
        database: plan.database,
        backlog: plan.backlog,
        problems: plan.problems,
        left_out: plan.left_out,
    })
}

/// Cuts the next batch.
pub(super) fn cut(work: &mut Work, sources: &Sources<'_>) -> io::Result<Cutting> {
    let mut draft = Draft::default();
    let mut waits = false;
    while let Some(step) = work.steps.pop_front() {
        match draft.take(step, &work.identities, sources)? {
            Taken::Whole => {}
            Taken::Moved => return Ok(Cutting::Moved),
            Taken::Full(rest) => {
                work.steps.push_front(rest);
                break;
            }
            Taken::Waits(step) => {
                work.steps.push_front(step);
                waits = true;
                break;
            }
        }
    }
    if draft.edits.is_empty() {
        return Ok(if waits { Cutting::Waits } else { Cutting::Nothing });
    }
    let database = if work.steps.is_empty() { work.database.take() } else { None };
    let (cut, reads) = draft.finish(database);
    work.backlog = work.backlog.saturating_sub(cut.bytes);
    Ok(Durable::prove(cut, &reads, sources.disk)?.map_or(Cutting::Moved, Cutting::Batch))
}

impl Work {
    /// Whether everything was cut.
    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// The files of each segment that is to be sealed.
    pub(super) fn seals(&self) -> impl Iterator<Item = &[(RelPath, u64)]> {
        self.steps.iter().filter_map(|step| match step {
            Step::Seal { files } => Some(files.as_slice()),
            _ => None,
        })
    }

    /// The segment whose upload everything else waits for.
    pub(super) fn waits_for(&self) -> Option<&[(RelPath, u64)]> {
        match self.steps.front() {
            Some(Step::Seal { files }) => Some(files),
            _ => None,
        }
    }

    /// Whether all that is left are seals for which this holds.
    pub(super) fn seals_only(&self, holds: impl Fn(&[(RelPath, u64)]) -> bool) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Seal { files } if holds(files)))
    }

    /// The paths that are still to be shipped.
    pub(super) fn paths(&self) -> BTreeSet<RelPath> {
        let mut paths = BTreeSet::new();
        for step in &self.steps {
            match step {
                Step::Tail { path, .. } | Step::Pointer { path, .. } | Step::Remove { path } => {
                    paths.insert(path.clone());
                }
                Step::Seal { files } => paths.extend(files.iter().map(|(path, _)| path.clone())),
                Step::Rename { from, to } => paths.extend([from.clone(), to.clone()]),
                Step::Rely { .. } => {}
            }
        }
        paths
    }
}

/// A batch in the making.
#[derive(Debug, Default)]
struct Draft {
    edits: Vec<Edit>,
    payload: BytesMut,
    reads: Reads,
    bodies: Vec<SegmentId>,
    /// The sizes of open files after the edits so far, where they changed.
    sizes: BTreeMap<RelPath, u64>,
    weight: u64,
    bytes: u64,
}

/// What became of a step.
#[derive(Debug)]
enum Taken {
    /// It is in the draft, or need not be.
    Whole,
    /// The draft is full; this is left of the step.
    Full(Step),
    /// It waits for an upload.
    Waits(Step),
    /// Its file is another one by now.
    Moved,
}

/// A range of a file, and its size.
#[derive(Clone, Copy, Debug)]
struct Range {
    size: u64,
    offset: u64,
    len: u64,
}

impl Draft {
    fn take(
        &mut self,
        step: Step,
        identities: &Identities,
        sources: &Sources<'_>,
    ) -> io::Result<Taken> {
        let Some(room) = self.room(&step, sources.batch_max) else { return Ok(Taken::Full(step)) };
        let edit = match step {
            Step::Tail { path, size, offset, len } => {
                let range = Range { size, offset, len };
                return self.take_tail(path, range, room, identities, sources);
            }
            Step::Seal { files } => return self.take_seal(files, sources),
            Step::Pointer { path, content } => {
                let Some(file) = sources.disk.open(&path)? else { return Ok(Taken::Moved) };
                let id = file.found()?.id;
                if !identities.agree(&path, id) {
                    return Ok(Taken::Moved);
                }
                self.reads.file(&path, id);
                self.reads.name(&path);
                Edit::Set { path, content }
            }
            Step::Remove { path } => {
                self.reads.name(&path);
                self.sizes.remove(&path);
                Edit::Remove { path }
            }
            Step::Rename { from, to } => {
                self.reads.name(&from);
                self.reads.name(&to);
                Edit::Rename { from, to }
            }
            Step::Rely { path } => return rely(&path, identities, sources.disk),
        };
        self.push(edit);
        Ok(Taken::Whole)
    }

    /// How many bytes of this step fit; `None` if it has to wait for the next batch.
    fn room(&self, step: &Step, batch_max: u64) -> Option<u64> {
        let least = match step {
            Step::Tail { len, .. } => BLOCK.min(*len),
            Step::Pointer { content, .. } => length(content.len()),
            Step::Seal { .. } | Step::Remove { .. } | Step::Rename { .. } | Step::Rely { .. } => 0,
        };
        let room = batch_max.saturating_sub(self.weight + EDIT_WEIGHT);
        if self.edits.is_empty() { Some(room.max(least)) } else { (room >= least).then_some(room) }
    }

    fn take_tail(
        &mut self,
        path: RelPath,
        range: Range,
        room: u64,
        identities: &Identities,
        sources: &Sources<'_>,
    ) -> io::Result<Taken> {
        let (now, later) = range.split(room, self.size_of(&path, sources.shipped));
        let Some(file) = sources.disk.open(&path)? else { return Ok(Taken::Moved) };
        let id = file.found()?.id;
        let mut bytes = vec![0; usize::try_from(now.len).map_err(io::Error::other)?];
        if !identities.agree(&path, id) || file.read_at(now.offset, &mut bytes)? < bytes.len() {
            return Ok(Taken::Moved);
        }
        self.reads.file(&path, id);
        if !sources.shipped.files.contains_key(&path) {
            self.reads.name(&path);
        }
        let block = usize::try_from(BLOCK).expect("a block fits in memory");
        let write = Write {
            path: path.clone(),
            size: now.size,
            offset: now.offset,
            at: length(self.payload.len()),
            len: now.len,
            blocks: bytes.chunks(block).map(Checksum::of).collect(),
        };
        self.payload.extend_from_slice(&bytes);
        self.weight += now.len;
        self.bytes += now.len;
        self.sizes.insert(path.clone(), now.size);
        self.push(Edit::Write(write));
        let Some(Range { size, offset, len }) = later else { return Ok(Taken::Whole) };
        Ok(Taken::Full(Step::Tail { path, size, offset, len }))
    }

    fn take_seal(
        &mut self,
        files: Vec<(RelPath, u64)>,
        sources: &Sources<'_>,
    ) -> io::Result<Taken> {
        if let Some(body) = sources.bodies.proof(&files)? {
            let seal = body.get().clone().into_seal();
            self.bodies.push(seal.segment);
            self.bytes += files.iter().map(|(_, size)| size).sum::<u64>();
            self.push(Edit::Seal(seal));
            return Ok(Taken::Whole);
        }
        // Whoever follows has all the bytes already: the body may be named later.
        let shipped =
            files.iter().all(|(path, size)| self.size_of(path, sources.shipped) == Some(*size));
        Ok(if shipped { Taken::Whole } else { Taken::Waits(Step::Seal { files }) })
    }

    /// The size of an open file once these edits count.
    fn size_of(&self, path: &RelPath, shipped: &Manifest) -> Option<u64> {
        let open = || match shipped.files.get(path) {
            Some(file) if matches!(file.content, Content::Open(_)) => Some(file.size),
            _ => None,
        };
        self.sizes.get(path).copied().or_else(open)
    }

    fn push(&mut self, edit: Edit) {
        if let Edit::Set { content, .. } = &edit {
            self.weight += length(content.len());
            self.bytes += length(content.len());
        }
        self.weight += EDIT_WEIGHT;
        self.edits.push(edit);
    }

    fn finish(self, database: Option<String>) -> (Cut, Reads) {
        let Self { edits, payload, reads, bodies, bytes, .. } = self;
        (Cut { edits, payload: payload.freeze(), database, bodies, bytes }, reads)
    }
}

/// Makes a file durable, and its name.
fn rely(path: &RelPath, identities: &Identities, disk: &dyn Disk) -> io::Result<Taken> {
    if disk.sync(path)?.is_none_or(|id| !identities.agree(path, id)) {
        return Ok(Taken::Moved);
    }
    disk.sync_names(path.parent().as_ref())?;
    Ok(Taken::Whole)
}

impl Range {
    /// The part that fits, and what is left. The first part of a file that grows shows no more
    /// than it carries, so that nobody reads zeros where bytes are still to come.
    fn split(self, room: u64, known_size: Option<u64>) -> (Self, Option<Self>) {
        if self.len <= room {
            return (self, None);
        }
        let len = (room - room % BLOCK).max(BLOCK);
        let size = if self.offset + self.len == self.size {
            known_size.unwrap_or(0).max(self.offset + len)
        } else {
            self.size
        };
        let rest = Self { size: self.size, offset: self.offset + len, len: self.len - len };
        (Self { size, offset: self.offset, len }, Some(rest))
    }
}

fn length(len: usize) -> u64 {
    u64::try_from(len).expect("memory is smaller than 2^64 bytes")
}

#[cfg(test)]
mod tests;
