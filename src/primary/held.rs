//! Files that the database removed, renamed or overwrote before the store had them: kept in
//! `.walfs/held` under their old names until a look finds nothing of them to ship.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use crate::volume::RelPath;

use super::beneath::{Beneath, id};
use super::own::{Own, create, escape, sync, unescape};

/// The directory in walfs's own place.
const NAME: &str = "held";
/// The name of a copy in the making. Not one of a held file: those begin with a number.
const COPYING: &str = "copying";

/// What is held.
#[derive(Debug)]
pub(super) struct Held {
    directory: OwnedFd,
    /// Guards: the directory and what is known of it.
    names: Mutex<Names>,
}

/// For each path its held incarnations, oldest first: a file named by number and path.
#[derive(Debug, Default)]
struct Names {
    of: BTreeMap<RelPath, BTreeMap<u64, String>>,
    last: u64,
}

impl Held {
    /// What an earlier process held. What still has its own name was never removed.
    pub(super) fn open(own: &Own, beneath: &Beneath) -> io::Result<Self> {
        let directory = own.directory(NAME)?;
        let mut names = Names::default();
        for entry in Dir::from_fd(directory.try_clone()?)?.iter() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Some((number, path)) = parse(name) else { continue };
            names.last = names.last.max(number);
            names.of.entry(path).or_default().insert(number, name.to_owned());
        }
        let held = Self { directory, names: Mutex::new(names) };
        for path in held.paths() {
            let (Some(old), Some(live)) = (held.oldest(&path)?, beneath.open_file(&path)?) else {
                continue;
            };
            if id(&fstat(&old)?) == id(&fstat(&live)?) {
                held.release(&path)?;
            }
        }
        Ok(held)
    }

    /// Keeps the file that has this name now, because the name is about to go: a second name of
    /// the same file, or a copy where the disk knows no second names.
    pub(super) fn keep_name(&self, beneath: &Beneath, path: &RelPath) -> io::Result<()> {
        let mut names = self.lock();
        let (number, name) = names.next(path);
        let flag = AtFlags::empty();
        match linkat(beneath.root(), path.as_str(), &self.directory, name.as_str(), flag) {
            Ok(()) => {}
            Err(Errno::EPERM | Errno::EXDEV | Errno::EMLINK | Errno::EOPNOTSUPP) => {
                self.copy(beneath, path, &name)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        sync(&self.directory)?;
        names.add(path, number, name);
        Ok(())
    }

    /// Keeps what the file of this name holds now, because the file is about to be used otherwise.
    pub(super) fn keep_bytes(&self, beneath: &Beneath, path: &RelPath) -> io::Result<()> {
        let mut names = self.lock();
        let (number, name) = names.next(path);
        self.copy(beneath, path, &name)?;
        sync(&self.directory)?;
        names.add(path, number, name);
        Ok(())
    }

    /// The paths under which something is held.
    pub(super) fn paths(&self) -> BTreeSet<RelPath> {
        self.lock().of.keys().cloned().collect()
    }

    /// The file that is held longest under this path.
    pub(super) fn oldest(&self, path: &RelPath) -> io::Result<Option<File>> {
        let names = self.lock();
        let Some(name) = names.oldest(path) else { return Ok(None) };
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        Ok(Some(File::from(openat(&self.directory, name, flags, Mode::empty())?)))
    }

    /// Lets go of it.
    pub(super) fn release(&self, path: &RelPath) -> io::Result<()> {
        let mut names = self.lock();
        let Some(name) = names.oldest(path) else { return Ok(()) };
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        names.drop_oldest(path);
        Ok(())
    }

    /// Moves everything to a place where people find it. Says where.
    pub(super) fn set_aside(&self, own: &Own) -> io::Result<Vec<String>> {
        let mut names = self.lock();
        let mut places = Vec::new();
        while let Some(path) = names.of.keys().next().cloned() {
            let name = names.oldest(&path).expect("a path has a held file").to_owned();
            places.push(own.set_aside(&self.directory, &name, &path)?);
            names.drop_oldest(&path);
        }
        sync(&self.directory)?;
        Ok(places)
    }

    /// Only a whole and durable copy gets its name.
    fn copy(&self, beneath: &Beneath, path: &RelPath, name: &str) -> io::Result<()> {
        let Some(mut from) = beneath.open_file(path)? else { return Ok(()) };
        let mut to = create(&self.directory, COPYING)?;
        io::copy(&mut from, &mut to)?;
        to.sync_all()?;
        Ok(renameat(&self.directory, COPYING, &self.directory, name)?)
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    fn next(&self, path: &RelPath) -> (u64, String) {
        let number = self.last + 1;
        (number, format!("{number:016x}-{}", escape(path)))
    }

    fn add(&mut self, path: &RelPath, number: u64, name: String) {
        self.last = number;
        self.of.entry(path.clone()).or_default().insert(number, name);
    }

    fn oldest(&self, path: &RelPath) -> Option<&str> {
        self.of.get(path)?.first_key_value().map(|(_, name)| name.as_str())
    }

    fn drop_oldest(&mut self, path: &RelPath) {
        let Some(numbers) = self.of.get_mut(path) else { return };
        numbers.pop_first();
        if numbers.is_empty() {
            self.of.remove(path);
        }
    }
}

fn parse(name: &str) -> Option<(u64, RelPath)> {
    let (number, path) = name.split_once('-')?;
    Some((u64::from_str_radix(number, 16).ok()?, unescape(path)?))
}
