//! The files that the kernel knows of, by its numbers. Each is kept by a descriptor opened with
//! `O_PATH`, so that it stays reachable when its names change, and so that the system cannot give
//! its inode number to another file while the kernel uses it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::Statx;

use super::stat::{Identity, identity, stat};
use crate::fuse::errno::FORGOTTEN;
use crate::fuse::filesystem::{Answer, Ino};

/// Numbers for files whose own cannot serve, because they lie on another device than the root.
const FOREIGN: u64 = 1 << 62;

/// What the system adds to the path of a file that has lost that name.
const REMOVED: &[u8] = b" (deleted)";

/// Where this file is, as the system tells it: by the name that it was opened with, wherever that
/// was moved.
pub(super) fn where_is(file: &OwnedFd) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let text = rustix::fs::readlink(link, Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(text.into_bytes())))
}

/// A file that the kernel knows of.
#[derive(Debug)]
pub(super) struct Node {
    /// The kernel's number for it.
    pub(super) ino: Ino,
    /// Opened with `O_PATH`.
    pub(super) file: Arc<OwnedFd>,
    /// The same file by other names that it was looked up by: the name behind `file` may be removed
    /// while these stay, as when a database gives a file its name by `link`.
    /// Guards: one descriptor per name.
    also: Mutex<Vec<OwnedFd>>,
    /// Opens for writing.
    pub(super) writing: AtomicU32,
    /// Opens for writing with `O_DSYNC` or `O_SYNC`.
    pub(super) synchronous: AtomicU32,
}

impl Node {
    fn new(ino: Ino, file: Arc<OwnedFd>) -> Arc<Self> {
        let (writing, synchronous) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { ino, file, also: Mutex::default(), writing, synchronous })
    }

    /// The first of what this finds by the names that the file may have.
    pub(super) fn by_name<T>(&self, find: impl Fn(&OwnedFd) -> Option<T>) -> Option<T> {
        let also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
        find(&self.file).or_else(|| also.iter().rev().find_map(find))
    }

    fn named_too(&self, file: OwnedFd) {
        let name = where_is(&file);
        let is_other = |file: &OwnedFd| {
            let place = where_is(file).filter(|place| Some(place) != name.as_ref());
            place.is_some_and(|place| !place.as_os_str().as_bytes().ends_with(REMOVED))
        };
        let mut also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
        also.retain(is_other);
        also.push(file);
    }

    /// A path that leads to this very file, whatever its names.
    pub(super) fn proc_path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Nodes {
    root: Arc<Node>,
    device: u64,
    /// Guards: which files are known, and how often the kernel looked each up.
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    nodes: HashMap<Ino, (Arc<Node>, u64)>,
    foreign: HashMap<Identity, Ino>,
    foreign_count: u64,
}

impl Nodes {
    pub(super) fn new(root: Arc<OwnedFd>) -> Answer<Self> {
        let (device, _) = identity(&stat(&root)?);
        Ok(Self { root: Node::new(Ino::ROOT, root), device, known: RwLock::default() })
    }

    pub(super) fn get(&self, ino: Ino) -> Answer<Arc<Node>> {
        if ino == Ino::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        let known = self.read();
        known.nodes.get(&ino).map(|(node, _)| Arc::clone(node)).ok_or(FORGOTTEN)
    }

    /// The file of this device and inode, if the kernel knows of it.
    pub(super) fn find(&self, file: Identity) -> Option<Arc<Node>> {
        let known = self.read();
        let ino = self.own_number(file).or_else(|| known.foreign.get(&file).copied())?;
        known.nodes.get(&ino).map(|(node, _)| Arc::clone(node))
    }

    /// The kernel is about to be told of this file once more.
    pub(super) fn remember(&self, file: OwnedFd) -> Answer<(Arc<Node>, Statx)> {
        let stat = stat(&file)?;
        let id = identity(&stat);
        let mut known = self.write();
        let ino = self.own_number(id).unwrap_or_else(|| known.foreign_number(id));
        if let Some((node, lookups)) = known.nodes.get_mut(&ino) {
            *lookups += 1;
            if stat.stx_nlink > 1 {
                node.named_too(file);
            }
            return Ok((Arc::clone(node), stat));
        }
        let node = Node::new(ino, Arc::new(file));
        known.nodes.insert(ino, (Arc::clone(&node), 1));
        Ok((node, stat))
    }

    /// The kernel dropped so many look-ups.
    pub(super) fn forget(&self, ino: Ino, count: u64) {
        let mut known = self.write();
        let Some((_, lookups)) = known.nodes.get_mut(&ino) else { return };
        *lookups = lookups.saturating_sub(count);
        if *lookups == 0 {
            known.nodes.remove(&ino);
            if ino.0 >= FOREIGN {
                known.foreign.retain(|_, number| *number != ino);
            }
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

impl Known {
    fn foreign_number(&mut self, id: Identity) -> Ino {
        *self.foreign.entry(id).or_insert_with(|| {
            self.foreign_count += 1;
            Ino(FOREIGN + self.foreign_count)
        })
    }
}

/// An open file. Counted at its node while it lives.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) node: Arc<Node>,
    /// A descriptor with the access that was asked for.
    pub(super) file: OwnedFd,
    /// The file gives a program its owner's rights, until somebody writes to it.
    pub(super) privileged: bool,
    writing: bool,
    synchronous: bool,
}

impl Open {
    pub(super) fn new(node: Arc<Node>, file: OwnedFd, flags: i32, privileged: bool) -> Self {
        let writing = flags & libc::O_ACCMODE != libc::O_RDONLY;
        // O_SYNC contains O_DSYNC's bit.
        let synchronous = writing && flags & libc::O_DSYNC != 0;
        node.writing.fetch_add(u32::from(writing), Ordering::Relaxed);
        node.synchronous.fetch_add(u32::from(synchronous), Ordering::Relaxed);
        Self { node, file, privileged, writing, synchronous }
    }

    pub(super) fn is_for_writing(&self) -> bool {
        self.writing
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.node.writing.fetch_sub(u32::from(self.writing), Ordering::Relaxed);
        self.node.synchronous.fetch_sub(u32::from(self.synchronous), Ordering::Relaxed);
    }
}
