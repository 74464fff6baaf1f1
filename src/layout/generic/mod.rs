//! Any database whose log files only grow: every file is a segment of its own.
//!
//! - What a file gains is shipped as tail, by blocks, as soon as it is noticed. What was
//!   overwritten further in front is found by looks at everything; so is a file that is gone, or
//!   that shrank.
//! - A file is sealed when nobody has it open for writing, all of it was shipped, and the volume
//!   went on for [`QUIET_US`] without it: closing alone proves little, since loggers that open,
//!   append and close are common. A sealed file that is written after all is removed and shipped
//!   again.
//! - A file that was renamed is shipped under its new name, and removed under the old one.
//!
//! Files are shipped one by one, in the order of their paths, new bytes before removals: a replica
//! never misses a file for the time in which it has two names. No promise is made about the order
//! across files; a database that needs one needs a layout of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;

use crate::volume::edit::BLOCK;
use crate::volume::{Content, LeftOut, Manifest, RelPath};

use super::shipped::{Shipped, differing, frames_agree, tails};
use super::{Files, Found, Kind, Layout, Look, OpenFile, Plan, Removal, Role, Scope, Step};

mod rules;
#[cfg(test)]
mod tests;

use rules::Rules;

/// For how long, by the times of the volume's batches, a file must not have changed before it is
/// sealed, in microseconds. Long enough for a logger that opens, appends and closes.
pub const QUIET_US: i64 = 10_000_000;

/// The layout.
#[derive(Clone, Debug)]
pub struct Generic {
    rules: Rules,
}

impl Generic {
    /// The layout with the built-in rules.
    pub fn built_in() -> Self {
        Self { rules: Rules::built_in() }
    }
}

impl Layout for Generic {
    fn name(&self) -> &'static str {
        "generic"
    }

    fn role(&self, path: &RelPath) -> Role {
        if self.rules.is_local(path) { Role::Local } else { Role::Segment }
    }

    fn holds(&self, _directory: &RelPath) -> bool {
        true
    }

    fn removal(&self, _path: &RelPath) -> Removal {
        Removal::History
    }

    fn reuses(&self, _path: &RelPath) -> bool {
        true
    }

    fn signal(&self, _path: &RelPath) -> Option<u64> {
        None
    }

    fn is_delivered(&self) -> bool {
        false
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn capture(&self, look: &Look<'_>) -> io::Result<Plan> {
        let mut disk = Disk::default();
        match look.scope {
            Scope::All => self.look_at(look, None, &mut disk)?,
            Scope::Only(paths) => {
                for path in paths {
                    self.look_at(look, Some(path), &mut disk)?;
                }
            }
        }
        disk.make_room(look.shipped);
        let Disk { present, gone } = disk;
        let (first, last): (Vec<RelPath>, Vec<_>) =
            gone.into_iter().partition(|path| is_in_the_way(path, &present));
        let mut plan = Plan::default();
        plan.steps.extend(first.into_iter().map(|path| Step::Remove { path }));
        for found in present.values() {
            ship(look, found, &mut plan.steps)?;
        }
        plan.steps.extend(last.into_iter().map(|path| Step::Remove { path }));
        plan.backlog = plan.steps.iter().map(Step::bytes).sum();
        Ok(plan)
    }

    fn left_out(&self, _files: &dyn Files) -> io::Result<Vec<LeftOut>> {
        Ok(Vec::new())
    }

    fn owes(&self, files: &dyn Files, path: &RelPath, shipped: &Manifest) -> io::Result<bool> {
        let Some(file) = files.open(path)? else { return Ok(false) };
        let look = Look { files, shipped, scope: Scope::All };
        let mut steps = Vec::new();
        if self.role(path) == Role::Segment {
            ship(&look, &file.found()?, &mut steps)?;
        }
        Ok(!steps.is_empty())
    }
}

impl Generic {
    /// Finds the file of this path, or the files below it, and those that the manifest has there
    /// and that are gone.
    fn look_at(&self, look: &Look<'_>, path: Option<&RelPath>, disk: &mut Disk) -> io::Result<()> {
        let file = path.map(|path| look.files.open(path)).transpose()?.flatten();
        let mut directories = Vec::new();
        match file {
            Some(file) => self.take(file.found()?, disk),
            None => directories.push(path.cloned()),
        }
        while let Some(directory) = directories.pop() {
            for found in look.files.list(directory.as_ref())? {
                match found.kind {
                    Kind::Directory => directories.push(Some(found.path)),
                    Kind::File => self.take(found, disk),
                    Kind::Other => {}
                }
            }
        }
        match path {
            None => disk.gone.extend(look.shipped.files.keys().cloned()),
            Some(path) => {
                let itself = look.shipped.files.get_key_value(path).map(|(path, _)| path);
                disk.gone.extend(itself.cloned());
                disk.gone.extend(look.shipped.below(path).map(|(path, _)| path.clone()));
            }
        }
        Ok(())
    }

    fn take(&self, found: Found, disk: &mut Disk) {
        if !self.rules.is_local(&found.path) {
            disk.present.insert(found.path.clone(), found);
        }
    }
}

/// What a look found.
#[derive(Debug, Default)]
struct Disk {
    present: BTreeMap<RelPath, Found>,
    /// What the manifest has and the disk has not.
    gone: BTreeSet<RelPath>,
}

impl Disk {
    /// What is a directory now is no file any more, and the reverse.
    fn make_room(&mut self, shipped: &Manifest) {
        for path in self.present.keys() {
            let above = std::iter::successors(path.parent(), RelPath::parent);
            self.gone.extend(above.filter(|directory| shipped.files.contains_key(directory)));
            self.gone.extend(shipped.below(path).map(|(path, _)| path.clone()));
        }
        self.gone.retain(|path| !self.present.contains_key(path));
    }
}

/// Whether a file of the disk cannot exist beside this one, because one is the other's directory.
fn is_in_the_way(gone: &RelPath, present: &BTreeMap<RelPath, Found>) -> bool {
    let directory = format!("{gone}/");
    let from = (Bound::Included(directory.as_str()), Bound::Unbounded);
    let is_below = |(path, _): (&RelPath, _)| path.as_str().starts_with(&directory);
    present.range::<str, _>(from).next().is_some_and(is_below)
        || std::iter::successors(gone.parent(), RelPath::parent)
            .any(|above| present.contains_key(&above))
}

/// Ships what is news of one file.
fn ship(look: &Look<'_>, found: &Found, steps: &mut Vec<Step>) -> io::Result<()> {
    let Some(file) = look.files.open(&found.path)? else { return Ok(()) };
    let shipped = Shipped::of(look.shipped, &found.path);
    let size = found.size;
    if shipped.file().is_some() && shipped.open_size().is_none() {
        if was_written_again(look, found, &*file)? {
            steps.push(Step::Remove { path: found.path.clone() });
            grow(&*file, found, Shipped::nothing(), 0, steps)?;
        }
        return Ok(());
    }
    // A seal promises that replicas have all the bytes: that takes a look at all of them.
    let quiet = is_quiet(look, found, shipped);
    let from = match look.scope {
        Scope::Only(_) if !quiet => {
            shipped.last_block().min(size.saturating_sub(1) / BLOCK * BLOCK)
        }
        _ => 0,
    };
    let news = grow(&*file, found, shipped, from, steps)?;
    if quiet && !news {
        steps.push(Step::Seal { files: vec![(found.path.clone(), size)] });
    }
    Ok(())
}

/// Ships the blocks from `from` on that differ, and the size. Returns whether there was news.
fn grow(
    file: &dyn OpenFile,
    found: &Found,
    shipped: Shipped<'_>,
    from: u64,
    steps: &mut Vec<Step>,
) -> io::Result<bool> {
    let (path, size) = (&found.path, found.size);
    let mut ranges = differing(file, shipped, from..size)?;
    if ranges.is_empty() && shipped.open_size() != Some(size) {
        ranges.push(0..0);
    }
    if shipped.open_size().is_some_and(|before| before > size) {
        // The block that the new end cuts is rewritten before anything else tells of that end.
        ranges.reverse();
    }
    let news = !ranges.is_empty();
    steps.extend(tails(path, size, ranges));
    Ok(news)
}

/// Whether a sealed file has other bytes than when it was sealed. Its bytes are compared if it was
/// touched, if somebody may be writing, or if it is younger than a file could be that was sealed.
fn was_written_again(look: &Look<'_>, found: &Found, file: &dyn OpenFile) -> io::Result<bool> {
    let Some(sealed) = look.shipped.files.get(&found.path) else { return Ok(false) };
    let Content::Sealed { segment, start } = sealed.content else { return Ok(true) };
    let Some(body) = look.shipped.segments.get(&segment) else { return Ok(true) };
    let touched = matches!(look.scope, Scope::Only(_));
    let young = found.modified / 1000 + i128::from(QUIET_US) > i128::from(sealed.changed.0);
    if sealed.size != found.size {
        return Ok(true);
    }
    Ok((touched || found.writers || young) && !frames_agree(file, found.size, start, body)?)
}

fn is_quiet(look: &Look<'_>, found: &Found, shipped: Shipped<'_>) -> bool {
    let quiet = |changed: i64| look.shipped.time.0.saturating_sub(changed) >= QUIET_US;
    !found.writers && found.size > 0 && shipped.file().is_some_and(|file| quiet(file.changed.0))
}
