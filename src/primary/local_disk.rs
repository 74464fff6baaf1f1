//! The real disk: the directory beneath the mount, over it the files that are held, beside it
//! walfs's own place.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use nix::sys::stat::{FileStat, fstat};

use crate::layout::{FileId, Files, Found, Kind, OpenFile};
use crate::volume::RelPath;

use super::beneath::{Beneath, LocalFile, found, id};
use super::disk::{Disk, Home, NewFile, Signal};
use super::held::Held;
use super::mapped::{Mapped, begin_writeback};
use super::own::{self, Own};

/// Who writes to a file, as the mount knows.
pub trait Writers: std::fmt::Debug + Send + Sync {
    /// Somebody has it open for writing.
    fn write(&self, file: FileId) -> bool;

    /// Somebody has it open such that writing makes bytes durable without a hint.
    fn write_unseen(&self, file: FileId) -> bool;
}

/// The disk beneath the mount.
#[derive(Debug)]
pub struct LocalDisk {
    beneath: Beneath,
    own: Own,
    held: Held,
    writers: Arc<dyn Writers>,
    /// Guards: the paths that were opened such that writing gives no hint.
    unseen: Mutex<BTreeSet<RelPath>>,
}

impl LocalDisk {
    /// The disk of this directory.
    pub fn open(directory: Arc<OwnedFd>, writers: Arc<dyn Writers>) -> io::Result<Self> {
        let beneath = Beneath::new(directory);
        let own = Own::open(&beneath)?;
        let held = Held::open(&own, &beneath)?;
        Ok(Self { beneath, own, held, writers, unseen: Mutex::default() })
    }

    /// The file of this name as it stands in the directory, whatever is held.
    pub fn plain(&self, path: &RelPath) -> io::Result<Option<Found>> {
        let Some(file) = self.beneath.open_file(path)? else { return Ok(None) };
        Ok(Some(self.found(path, &fstat(&file)?)))
    }

    /// Keeps the file, because its name is about to go.
    pub fn keep_name(&self, path: &RelPath) -> io::Result<()> {
        self.held.keep_name(&self.beneath, path)
    }

    /// Keeps the bytes, because the file is about to be used otherwise.
    pub fn keep_bytes(&self, path: &RelPath) -> io::Result<()> {
        self.held.keep_bytes(&self.beneath, path)
    }

    /// This path may be written without a hint from now on.
    pub fn written_unseen(&self, path: &RelPath) {
        self.lock_unseen().insert(path.clone());
    }

    /// What replicas should know of this database, as it was told last.
    pub(super) fn about(&self) -> io::Result<Option<Bytes>> {
        self.own.read(own::ABOUT)
    }

    /// Tells it: durable on return.
    pub(super) fn set_about(&self, document: &[u8]) -> io::Result<()> {
        self.own.replace(own::ABOUT, document)
    }

    /// Whether there is a directory of this name.
    pub(super) fn has_directory(&self, name: &str) -> bool {
        let path = RelPath::new(name);
        path.is_some_and(|path| self.beneath.entries(Some(&path)).is_ok_and(|it| !it.is_empty()))
    }

    fn found(&self, path: &RelPath, stat: &FileStat) -> Found {
        found(path, stat, self.writers.write(id(stat)))
    }

    /// The file that counts under this name: the one held longest, else the plain one. What loses
    /// its name between these two looks was held before that.
    fn current(&self, path: &RelPath) -> io::Result<Option<std::fs::File>> {
        if let Some(held) = self.held.oldest(path)? {
            return Ok(Some(held));
        }
        match self.beneath.open(Some(path))? {
            Some(plain) => Ok(Some(plain)),
            None => self.held.oldest(path),
        }
    }

    fn lock_unseen(&self) -> MutexGuard<'_, BTreeSet<RelPath>> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for LocalDisk {
    fn list(&self, directory: Option<&RelPath>) -> io::Result<Vec<Found>> {
        let mut stats: BTreeMap<RelPath, FileStat> =
            self.beneath.entries(directory)?.into_iter().collect();
        if directory.is_none() {
            stats.remove(own::NAME);
        }
        for path in self.held.paths() {
            if path.parent().as_ref() == directory
                && let Some(held) = self.held.oldest(&path)?
            {
                stats.insert(path, fstat(&held)?);
            }
        }
        Ok(stats.iter().map(|(path, stat)| self.found(path, stat)).collect())
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn OpenFile>>> {
        let Some(file) = self.current(path)? else { return Ok(None) };
        let found = self.found(path, &fstat(&file)?);
        let local = LocalFile { path: path.clone(), file, writers: found.writers };
        Ok(if found.kind == Kind::File { Some(Box::new(local)) } else { None })
    }
}

impl Disk for LocalDisk {
    fn sync(&self, path: &RelPath) -> io::Result<Option<FileId>> {
        let Some(file) = self.current(path)? else { return Ok(None) };
        file.sync_data()?;
        Ok(Some(id(&fstat(&file)?)))
    }

    fn sync_soon(&self, path: &RelPath) {
        if let Ok(Some(file)) = self.current(path) {
            begin_writeback(&file);
        }
    }

    fn signal(&self, path: &RelPath, offset: u64) -> io::Result<Option<Box<dyn Signal>>> {
        let Some(file) = self.beneath.open_file(path)? else { return Ok(None) };
        Ok(Mapped::new(&file, offset)?.map(|mapped| -> Box<dyn Signal> { Box::new(mapped) }))
    }

    fn sync_names(&self, directory: Option<&RelPath>) -> io::Result<()> {
        self.beneath.sync_names(directory)
    }

    fn unseen(&self) -> BTreeSet<RelPath> {
        let mut unseen = self.lock_unseen();
        unseen.retain(|path| {
            let file = self.beneath.open_file(path).ok().flatten();
            let stat = file.and_then(|file| fstat(&file).ok());
            stat.is_some_and(|stat| self.writers.write_unseen(id(&stat)))
        });
        unseen.clone()
    }

    fn held(&self) -> io::Result<BTreeSet<RelPath>> {
        Ok(self.held.paths())
    }

    fn release(&self, path: &RelPath) -> io::Result<()> {
        self.held.release(path)
    }
}

impl Home for LocalDisk {
    fn recall(&self) -> io::Result<Option<Bytes>> {
        self.own.read(own::NOTE)
    }

    fn remember(&self, note: &[u8]) -> io::Result<()> {
        self.own.replace(own::NOTE, note)
    }

    fn removed(&self) -> io::Result<BTreeSet<RelPath>> {
        let bytes = self.own.read(own::REMOVED)?.unwrap_or_default();
        let text = std::str::from_utf8(&bytes).map_err(io::Error::other)?;
        Ok(text.lines().filter_map(RelPath::new).collect())
    }

    fn create(&self, path: &RelPath, size: u64) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(self.own.begin(&self.beneath, path, size)?))
    }

    fn set_aside(&self, path: &RelPath) -> io::Result<String> {
        let place = self.own.set_aside(self.beneath.root(), path.as_str(), path)?;
        self.beneath.sync_names(path.parent().as_ref())?;
        Ok(place)
    }

    fn set_held_aside(&self) -> io::Result<Vec<String>> {
        self.held.set_aside(&self.own)
    }
}
