//! The files that the kernel knows of, by its numbers. Those that were used lately are each kept by
//! a descriptor opened with `O_PATH`, so that they stay reachable when their names change; the
//! others, of which a large database has more than a process may have descriptors, by a handle.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::Statx;

use super::stat::{Identity, identity, stat};
use crate::fuse::errno::FORGOTTEN;
use crate::fuse::estate::{Estate, Inode};
use crate::fuse::file_handle::FileHandle;
use crate::fuse::filesystem::{Answer, Ino};

/// Numbers for files whose own cannot serve, because they lie on another device than the root.
const FOREIGN: u64 = 1 << 62;

/// What the system adds to the path of a file that has lost that name.
const REMOVED: &[u8] = b" (deleted)";

/// Where this file is, as the system tells it: by the name that it was opened with, wherever that
/// was moved.
pub(super) fn where_is(file: &OwnedFd) -> Option<PathBuf> {
    let text = rustix::fs::readlink(proc_path(file), Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(text.into_bytes())))
}

/// A path that leads to this very file, whatever its names.
pub(super) fn proc_path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A file that the kernel knows of, within reach.
#[derive(Debug)]
pub(super) struct Node {
    /// The kernel's number for it.
    pub(super) ino: Ino,
    /// Opened with `O_PATH`.
    pub(super) file: Arc<OwnedFd>,
    /// The same file by other names that it was looked up by: the name behind `file` may be removed
    /// while these stay, as when a database gives a file its name by `link`.
    /// Guards: one descriptor per name, the last few.
    also: Mutex<Vec<OwnedFd>>,
    /// Where it was when it was last out of reach.
    places: Vec<PathBuf>,
    /// It was asked for since [`Nodes`] last looked for nodes to let go of.
    used: AtomicBool,
    /// Who writes to it.
    pub(super) writers: Arc<Counts>,
}

/// How a file is open for writing.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Opens for writing.
    pub(super) writing: AtomicU32,
    /// Opens for writing with `O_DSYNC` or `O_SYNC`.
    pub(super) synchronous: AtomicU32,
}

/// So many other names of a file are remembered.
const NAMES_MAX: usize = 4;

impl Node {
    fn new(ino: Ino, file: Arc<OwnedFd>, places: Vec<PathBuf>, writers: Arc<Counts>) -> Arc<Self> {
        let (also, used) = (Mutex::default(), AtomicBool::new(true));
        Arc::new(Self { ino, file, also, places, used, writers })
    }

    /// The first of what this finds in the places where the file may be.
    pub(super) fn by_place<T>(&self, find: impl Fn(&Path) -> Option<T>) -> Option<T> {
        let also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
        let by_file = |file: &OwnedFd| where_is(file).and_then(|place| find(&place));
        by_file(&self.file)
            .or_else(|| also.iter().rev().find_map(by_file))
            .or_else(|| self.places.iter().find_map(|place| find(place)))
    }

    /// This is the same file, opened by another name.
    pub(super) fn named_too(&self, file: OwnedFd) {
        let name = where_is(&file);
        let is_other = |file: &OwnedFd| {
            let place = where_is(file).filter(|place| Some(place) != name.as_ref());
            place.is_some_and(|place| !is_removed(&place))
        };
        let mut also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
        also.retain(is_other);
        let surplus = (also.len() + 1).saturating_sub(NAMES_MAX);
        also.drain(..surplus);
        also.push(file);
    }

    /// A path that leads to this very file, whatever its names.
    pub(super) fn proc_path(&self) -> String {
        proc_path(&self.file)
    }

    /// The same, out of reach; `None` where the filesystem could not bring it back.
    fn asleep(&self) -> Option<Asleep> {
        let handle = FileHandle::of(&self.file)?;
        let also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
        let files = [&*self.file].into_iter().chain(also.iter());
        let mut places: Vec<_> =
            files.filter_map(where_is).filter(|place| !is_removed(place)).collect();
        places.extend(self.places.iter().cloned());
        places.dedup();
        places.truncate(NAMES_MAX);
        Some(Asleep { handle, places, writers: Arc::clone(&self.writers) })
    }
}

fn is_removed(place: &Path) -> bool {
    place.as_os_str().as_bytes().ends_with(REMOVED)
}

/// A file that the kernel knows of, out of reach: it costs no descriptor.
#[derive(Debug)]
struct Asleep {
    handle: FileHandle,
    places: Vec<PathBuf>,
    writers: Arc<Counts>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Nodes {
    root: Arc<Node>,
    device: u64,
    /// How many are within reach at most, but for those that are being used.
    awake_max: usize,
    /// Where it is kept what the kernel was told.
    estate: Option<Arc<Estate>>,
    /// Guards: which files are known, and how often the kernel looked each up.
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    nodes: HashMap<Ino, (State, u64)>,
    /// Those within reach, the next one to let go of first.
    awake: VecDeque<Ino>,
    foreign: HashMap<Identity, Ino>,
    foreign_count: u64,
}

#[derive(Debug)]
enum State {
    Awake(Arc<Node>),
    Asleep(Asleep),
}

impl Nodes {
    /// The nodes of this directory, `awake_max` of them within reach at a time.
    pub(super) fn new(
        root: Arc<OwnedFd>,
        awake_max: usize,
        estate: Option<Arc<Estate>>,
    ) -> Answer<Self> {
        let (device, _) = identity(&stat(&root)?);
        let root = Node::new(Ino::ROOT, root, Vec::new(), Arc::default());
        Ok(Self { root, device, awake_max, estate, known: RwLock::default() })
    }

    /// The kernel was told of these by another worker.
    pub(super) fn inherit(&self, inodes: &[Inode]) {
        let mut known = self.write();
        for inode in inodes {
            let (handle, places, writers) = (inode.handle, Vec::new(), Arc::default());
            let state = State::Asleep(Asleep { handle, places, writers });
            known.nodes.insert(inode.ino, (state, inode.lookups));
        }
    }

    pub(super) fn get(&self, ino: Ino) -> Answer<Arc<Node>> {
        if ino == Ino::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        if let (State::Awake(node), _) = self.read().nodes.get(&ino).ok_or(FORGOTTEN)? {
            node.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(node));
        }
        let mut known = self.write();
        let (state, _) = known.nodes.get_mut(&ino).ok_or(FORGOTTEN)?;
        let node = match state {
            State::Awake(node) => return Ok(Arc::clone(node)),
            State::Asleep(asleep) => {
                let file = asleep.handle.open(&self.root.file)?;
                let places = std::mem::take(&mut asleep.places);
                Node::new(ino, Arc::new(file), places, Arc::clone(&asleep.writers))
            }
        };
        *state = State::Awake(Arc::clone(&node));
        known.wakes(ino, self.awake_max);
        Ok(node)
    }

    /// Who writes to the file of this device and inode, if the kernel knows of it.
    pub(super) fn writers(&self, file: Identity) -> Option<Arc<Counts>> {
        let known = self.read();
        let ino = self.own_number(file).or_else(|| known.foreign.get(&file).copied())?;
        let (state, _) = known.nodes.get(&ino)?;
        Some(Arc::clone(state.writers()))
    }

    /// The kernel is about to be told of this file once more.
    pub(super) fn remember(&self, file: OwnedFd) -> Answer<(Arc<Node>, Statx)> {
        let stat = stat(&file)?;
        let id = identity(&stat);
        let mut known = self.write();
        let ino = self.own_number(id).unwrap_or_else(|| known.foreign_number(id));
        let mut before = None;
        if let Some((state, lookups)) = known.nodes.get_mut(&ino) {
            *lookups += 1;
            if let Some(estate) = &self.estate {
                estate.counted(ino, *lookups);
            }
            match state {
                State::Awake(node) => {
                    node.used.store(true, Ordering::Relaxed);
                    if stat.stx_nlink > 1 {
                        node.named_too(file);
                    }
                    return Ok((Arc::clone(node), stat));
                }
                // The number may be another file's by now, which nobody kept it from.
                State::Asleep(asleep) if FileHandle::of(&file) == Some(asleep.handle) => {
                    before =
                        Some((std::mem::take(&mut asleep.places), Arc::clone(&asleep.writers)));
                }
                State::Asleep(_) => {}
            }
        }
        let (places, writers) = before.unwrap_or_default();
        let lookups = known.nodes.get(&ino).map_or(1, |(_, lookups)| *lookups);
        self.keep(ino, lookups, &file);
        let node = Node::new(ino, Arc::new(file), places, writers);
        let state = State::Awake(Arc::clone(&node));
        known
            .nodes
            .entry(ino)
            .and_modify(|entry| entry.0 = State::Awake(Arc::clone(&node)))
            .or_insert((state, 1));
        known.wakes(ino, self.awake_max);
        Ok((node, stat))
    }

    /// The kernel dropped so many look-ups.
    pub(super) fn forget(&self, ino: Ino, count: u64) {
        let mut known = self.write();
        let Some((_, lookups)) = known.nodes.get_mut(&ino) else { return };
        *lookups = lookups.saturating_sub(count);
        if let Some(estate) = &self.estate {
            if *lookups == 0 { estate.forgotten(ino) } else { estate.counted(ino, *lookups) }
        }
        if *lookups == 0 {
            known.nodes.remove(&ino);
            if ino.0 >= FOREIGN {
                known.foreign.retain(|_, number| *number != ino);
            }
        }
    }

    /// Another worker will find it by its number. Files of other devices have numbers of this one.
    fn keep(&self, ino: Ino, lookups: u64, file: &OwnedFd) {
        let Some(estate) = self.estate.as_ref().filter(|_| ino.0 < FOREIGN) else { return };
        if let Some(handle) = FileHandle::of(file) {
            estate.known(ino, lookups, handle);
        }
    }

    /// The inode's number serves as the kernel's, so that it is the same after a restart.
    fn own_number(&self, (device, inode): Identity) -> Option<Ino> {
        let serves = device == self.device && inode > Ino::ROOT.0 && inode < FOREIGN;
        serves.then_some(Ino(inode))
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn writers(&self) -> &Arc<Counts> {
        match self {
            Self::Awake(node) => &node.writers,
            Self::Asleep(asleep) => &asleep.writers,
        }
    }
}

impl Known {
    fn foreign_number(&mut self, id: Identity) -> Ino {
        *self.foreign.entry(id).or_insert_with(|| {
            self.foreign_count += 1;
            Ino(FOREIGN + self.foreign_count)
        })
    }

    /// This node came within reach: lets go of some that were not asked for lately.
    fn wakes(&mut self, ino: Ino, awake_max: usize) {
        self.awake.push_back(ino);
        let mut chances = self.awake.len();
        while self.awake.len() > awake_max && chances > 0 {
            chances -= 1;
            let Some(next) = self.awake.pop_front() else { return };
            let Some((state, _)) = self.nodes.get_mut(&next) else { continue };
            let State::Awake(node) = state else { continue };
            let is_used = node.used.swap(false, Ordering::Relaxed) || Arc::strong_count(node) > 1;
            match if is_used { None } else { node.asleep() } {
                Some(asleep) => *state = State::Asleep(asleep),
                None => self.awake.push_back(next),
            }
        }
    }
}

/// An open file. Counted at its node while it lives.
#[derive(Debug)]
pub(super) struct Open {
    /// A descriptor with the access that was asked for, once it is needed: a database may have more
    /// files open than a process may have descriptors, and the kernel reads and writes them without
    /// us.
    file: OnceLock<OwnedFd>,
    /// The flags of `open`.
    pub(super) flags: i32,
    /// The file gives a program its owner's rights, until somebody writes to it.
    pub(super) privileged: bool,
    writers: Arc<Counts>,
    writing: bool,
    synchronous: bool,
}

impl Open {
    pub(super) fn new(node: &Node, flags: i32, privileged: bool) -> Self {
        let writing = flags & libc::O_ACCMODE != libc::O_RDONLY;
        // O_SYNC contains O_DSYNC's bit.
        let synchronous = writing && flags & libc::O_DSYNC != 0;
        let writers = Arc::clone(&node.writers);
        writers.writing.fetch_add(u32::from(writing), Ordering::Relaxed);
        writers.synchronous.fetch_add(u32::from(synchronous), Ordering::Relaxed);
        Self { file: OnceLock::new(), flags, privileged, writers, writing, synchronous }
    }

    /// The descriptor; `open` makes it if there is none yet.
    pub(super) fn file(&self, open: impl FnOnce() -> Answer<OwnedFd>) -> Answer<&OwnedFd> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        // Of two that were made at once, one is dropped.
        let made = open()?;
        Ok(self.file.get_or_init(|| made))
    }

    pub(super) fn is_for_writing(&self) -> bool {
        self.writing
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.writers.writing.fetch_sub(u32::from(self.writing), Ordering::Relaxed);
        self.writers.synchronous.fetch_sub(u32::from(self.synchronous), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
