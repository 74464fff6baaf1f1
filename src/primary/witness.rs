//! The files as a layout saw them: remembers which incarnation stood behind each name while a
//! plan was made, so that nothing else is read under that name when the plan is carried out.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::layout::{FileId, Files, Found, OpenFile};
use crate::volume::RelPath;

/// Files that remember what they showed.
#[derive(Debug)]
pub(super) struct Witness<'a> {
    files: &'a dyn Files,
    /// Guards: the incarnations that were shown, `None` where it was more than one.
    shown: Mutex<HashMap<RelPath, Option<FileId>>>,
}

/// Which incarnation stood behind each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Identities(HashMap<RelPath, Option<FileId>>);

impl<'a> Witness<'a> {
    /// Watches over these files.
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self { files, shown: Mutex::default() }
    }

    /// What was shown.
    pub(super) fn into_identities(self) -> Identities {
        Identities(self.shown.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, path: &RelPath, id: FileId) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shown.entry(path.clone()).or_insert(Some(id));
        if *entry != Some(id) {
            *entry = None;
        }
    }
}

impl Identities {
    /// Whether this incarnation, and no other, was shown under this name.
    pub(super) fn agree(&self, path: &RelPath, id: FileId) -> bool {
        self.0.get(path) == Some(&Some(id))
    }
}

impl Files for Witness<'_> {
    fn list(&self, dir: Option<&RelPath>) -> io::Result<Vec<Found>> {
        let found = self.files.list(dir)?;
        for found in &found {
            self.note(&found.path, found.id);
        }
        Ok(found)
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn OpenFile>>> {
        let file = self.files.open(path)?;
        if let Some(file) = &file {
            self.note(path, file.found()?.id);
        }
        Ok(file)
    }
}
