//! The proof that what was read is durable on the local disk: read first, then sync, then publish.
//! Only [`Durable::prove`] makes one, and only a proof can be published.

use std::collections::{BTreeSet, HashSet};
use std::io;

use crate::layout::FileId;
use crate::volume::RelPath;

use super::disk::Disk;

/// What was read to make a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// The files, in the order in which they were read, and which incarnation was.
    files: Vec<(RelPath, FileId)>,
    known: HashSet<(RelPath, FileId)>,
    /// The directories whose names the value relies on; `None` is the root.
    directories: BTreeSet<Option<RelPath>>,
}

impl Reads {
    /// Bytes of this incarnation were read.
    pub(super) fn file(&mut self, path: &RelPath, id: FileId) {
        if self.known.insert((path.clone(), id)) {
            self.files.push((path.clone(), id));
        }
    }

    /// That this name exists, or does not, was relied on.
    pub(super) fn name(&mut self, path: &RelPath) {
        self.directories.insert(path.parent());
    }
}

/// A value made of bytes and names that are durable.
#[derive(Clone, Debug)]
pub(super) struct Durable<T>(T);

impl<T> Durable<T> {
    /// Makes durable what was read. `None` if a name leads to another incarnation by now: then
    /// the sync reached other bytes, and the value proves nothing.
    pub(super) fn prove(value: T, reads: &Reads, disk: &dyn Disk) -> io::Result<Option<Self>> {
        if let [_, _, ..] = reads.files.as_slice() {
            reads.files.iter().for_each(|(path, _)| disk.sync_soon(path));
        }
        for (path, id) in &reads.files {
            if disk.sync(path)? != Some(*id) {
                return Ok(None);
            }
        }
        for directory in &reads.directories {
            disk.sync_names(directory.as_ref())?;
        }
        Ok(Some(Self(value)))
    }

    /// The value.
    pub(super) fn get(&self) -> &T {
        &self.0
    }

    /// The value.
    pub(super) fn into_inner(self) -> T {
        self.0
    }
}
