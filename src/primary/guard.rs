//! Before the database destroys bytes: whether the store has them, and if not, keeping them. Only
//! where a removal is the host's housekeeping; where it is history, the volume forgets too.

use std::sync::Arc;

use crate::fuse::errno::of_io;
use crate::fuse::filesystem::Answer;
use crate::layout::{Files, Layout, Removal, Role};
use crate::volume::{Content, RelPath};

use super::front::Front;
use super::local_disk::LocalDisk;

/// Keeps what the store lacks.
#[derive(Debug)]
pub(super) struct Guard {
    disk: Arc<LocalDisk>,
    layout: Arc<dyn Layout>,
    front: Arc<Front>,
}

impl Guard {
    /// The guard of this disk.
    pub(super) fn new(disk: Arc<LocalDisk>, layout: Arc<dyn Layout>, front: Arc<Front>) -> Self {
        Self { disk, layout, front }
    }

    /// The name is about to lead nowhere, or to another file. The file itself stays as it is.
    pub(super) fn before_name_goes(&self, path: &RelPath) -> Answer<()> {
        if self.is_wanted(path)? {
            self.disk.keep_name(path).map_err(|error| of_io(&error))?;
        }
        Ok(())
    }

    /// The file is about to have this size.
    pub(super) fn before_resize(&self, path: &RelPath, size: u64) -> Answer<()> {
        if !self.layout.reuses(path) {
            return Ok(());
        }
        let found = self.disk.plain(path).map_err(|error| of_io(&error))?;
        if found.is_some_and(|found| found.size > size) {
            self.before_reuse(path)?;
        }
        Ok(())
    }

    /// The file is about to have another name, and perhaps to be filled anew under it.
    pub(super) fn before_rename(
        &self,
        from: Option<&RelPath>,
        to: Option<&RelPath>,
        flags: u32,
    ) -> Answer<()> {
        if let Some(from) = from.filter(|from| self.layout.reuses(from)) {
            self.before_reuse(from)?;
        }
        match to {
            Some(to) if flags & libc::RENAME_EXCHANGE != 0 => self.before_reuse(to),
            Some(to) if flags & libc::RENAME_NOREPLACE == 0 => self.before_name_goes(to),
            _ => Ok(()),
        }
    }

    fn before_reuse(&self, path: &RelPath) -> Answer<()> {
        if self.is_wanted(path)? {
            self.disk.keep_bytes(path).map_err(|error| of_io(&error))?;
        }
        Ok(())
    }

    /// Whether there is a file of this name that is to be kept.
    fn is_wanted(&self, path: &RelPath) -> Answer<bool> {
        if self.disk.plain(path).map_err(|error| of_io(&error))?.is_none() {
            return Ok(false);
        }
        Ok(wanted(&*self.layout, &self.front, &*self.disk, path))
    }
}

/// Whether the store lacks something of this file, or could not seal it yet.
pub fn wanted(layout: &dyn Layout, front: &Front, files: &dyn Files, path: &RelPath) -> bool {
    if layout.role(path) == Role::Local || layout.removal(path) == Removal::History {
        return false;
    }
    let shipped = front.shipped.load();
    let file = shipped.files.get(path);
    if file.is_some_and(|file| matches!(file.content, Content::Open(_))) {
        return true;
    }
    // What cannot be read now is kept: perhaps it can be later.
    layout.owes(files, path, &shipped).unwrap_or(true)
}
