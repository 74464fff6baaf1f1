//! Files in memory: recorded directories, tests, the simulation. Behaves as a directory does
//! (renames replace, an open file survives its name), and nothing is ever written elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::volume::RelPath;

use super::{FileId, Files, Found, Kind, OpenFile};

/// A directory in memory.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    files: BTreeMap<RelPath, Arc<Incarnation>>,
    inodes: u64,
    ticks: i128,
}

/// A file, whatever its name is now.
#[derive(Debug)]
struct Incarnation {
    inode: u64,
    state: Mutex<State>,
}

/// What changes of a file.
#[derive(Clone, Debug, Default)]
struct State {
    bytes: Vec<u8>,
    modified: i128,
    writers: bool,
}

impl Recorded {
    /// Writes a range, as `pwrite` does: a missing file is created, a short one grows.
    pub fn write(&mut self, path: &str, offset: u64, bytes: &[u8]) {
        self.change(path, |state| {
            let start = usize::try_from(offset).expect("files in memory are small");
            let end = start + bytes.len();
            if state.bytes.len() < end {
                state.bytes.resize(end, 0);
            }
            for (to, from) in state.bytes.iter_mut().skip(start).zip(bytes) {
                *to = *from;
            }
        });
    }

    /// Makes the file that long, as `ftruncate` does: a missing one is created.
    pub fn resize(&mut self, path: &str, size: u64) {
        let size = usize::try_from(size).expect("files in memory are small");
        self.change(path, |state| state.bytes.resize(size, 0));
    }

    /// Gives the file another name; a file of that name is replaced.
    pub fn rename(&mut self, from: &str, to: &str) {
        let file = self.files.remove(from).expect("a file that is renamed exists");
        self.files.insert(path_of(to), file);
    }

    /// Removes the name.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path).expect("a file that is removed exists");
    }

    /// Says whether somebody has the file open for writing.
    pub fn set_writers(&mut self, path: &str, writers: bool) {
        self.file(path).lock().writers = writers;
    }

    /// What time it is, in nanoseconds; from then on every change takes one.
    pub fn set_time(&mut self, nanoseconds: i128) {
        self.ticks = nanoseconds;
    }

    /// All bytes of a file; `None` if there is none.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).map(|file| file.lock().bytes.clone())
    }

    /// The names, in order.
    pub fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.files.keys()
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut State)) {
        self.ticks += 1;
        let ticks = self.ticks;
        let file = self.file(path);
        let mut state = file.lock();
        change(&mut state);
        state.modified = ticks;
    }

    fn file(&mut self, path: &str) -> Arc<Incarnation> {
        if let Some(file) = self.files.get(path) {
            return Arc::clone(file);
        }
        self.inodes += 1;
        let file = Arc::new(Incarnation { inode: self.inodes, state: Mutex::default() });
        self.files.insert(path_of(path), Arc::clone(&file));
        file
    }
}

impl Incarnation {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while a file was changed fails the test anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, path: &RelPath) -> Found {
        let state = self.lock();
        Found {
            path: path.clone(),
            kind: Kind::File,
            size: u64::try_from(state.bytes.len()).unwrap_or(u64::MAX),
            modified: state.modified,
            id: FileId { device: 0, inode: self.inode },
            writers: state.writers,
        }
    }
}

impl Files for Recorded {
    fn list(&self, dir: Option<&RelPath>) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut directories = BTreeSet::new();
        for (path, file) in &self.files {
            let below = match dir {
                None => Some(path.as_str()),
                Some(dir) => {
                    path.as_str().strip_prefix(dir.as_str()).and_then(|rest| rest.strip_prefix('/'))
                }
            };
            match below.map(|below| below.split_once('/')) {
                None => {}
                Some(None) => found.push(file.found(path)),
                Some(Some((name, _))) => {
                    directories.insert(dir.map_or_else(
                        || path_of(name),
                        |dir| dir.join(name).expect("a part of a path is a path"),
                    ));
                }
            }
        }
        found.extend(directories.into_iter().map(|path| Found {
            path,
            kind: Kind::Directory,
            size: 0,
            modified: 0,
            id: FileId { device: 0, inode: 0 },
            writers: false,
        }));
        Ok(found)
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn OpenFile>>> {
        Ok(self.files.get(path).map(|file| -> Box<dyn OpenFile> {
            Box::new(Opened { path: path.clone(), file: Arc::clone(file) })
        }))
    }
}

/// A recorded file, opened.
#[derive(Debug)]
struct Opened {
    path: RelPath,
    file: Arc<Incarnation>,
}

impl OpenFile for Opened {
    fn found(&self) -> io::Result<Found> {
        Ok(self.file.found(&self.path))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.file.lock();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = state.bytes.get(start..).unwrap_or_default();
        let read = bytes.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(read)
    }
}

fn path_of(text: &str) -> RelPath {
    RelPath::new(text).expect("tests name valid paths")
}
