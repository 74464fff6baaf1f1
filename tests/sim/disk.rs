//! A disk that forgets: files have bytes in the page cache and bytes that a sync made durable.
//! A power loss keeps the second kind, and of the rest whatever the seed decides, page by page.
//! Names are durable at once (the toy database syncs its directory after each change of names).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use walfs::layout::{FileId, Files, Found, Kind, OpenFile};
use walfs::primary::disk::{Disk, Home, NewFile};
use walfs::volume::RelPath;

/// What a disk writes at once.
const SECTOR: usize = 4096;

/// How the bytes behind a name are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The file goes anyway: it is moved aside.
    Itself,
    /// The file lives on under another name: a durable copy.
    Copy,
}

/// One host's disk. Handles share it; each handle belongs to a process and dies with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<RelPath, u64>,
    held: BTreeMap<RelPath, u64>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    ticks: i128,
    note: Option<Bytes>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    modified: i128,
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no simulated process panics while it holds the disk")
    }

    /// Writes into the page cache; makes the file if there is none.
    pub(crate) fn write(&self, path: &RelPath, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        state.ticks += 1;
        let modified = state.ticks;
        let inode = state.inode_mut(path);
        let end = offset + bytes.len();
        if inode.cached.len() < end {
            inode.cached.resize(end, 0);
        }
        inode.cached[offset..end].copy_from_slice(bytes);
        inode.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
        inode.modified = modified;
    }

    /// The bytes that a reader on this host sees; `None` if the file is not there.
    pub(crate) fn read(&self, path: &RelPath) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path)?;
        Some(state.inodes[inode].cached.clone())
    }

    /// The length of the file of this name, if there is one.
    pub(crate) fn size(&self, path: &RelPath) -> Option<usize> {
        let state = self.state();
        Some(state.inodes[state.names.get(path)?].cached.len())
    }

    /// The bytes of this name that would survive a loss of power, whatever the luck.
    pub(crate) fn durable(&self, path: &RelPath) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path)?;
        Some(state.inodes[inode].durable.clone())
    }

    /// Makes the bytes of a file durable; tells which sectors that changed.
    pub(crate) fn sync_file(&self, path: &RelPath) -> bool {
        let mut state = self.state();
        let Some(inode) = state.find(path) else { return false };
        state.inodes.get_mut(&inode).expect("a name leads to an inode").sync();
        true
    }

    /// Gives a file another name; what had that name is gone.
    pub(crate) fn rename(&self, from: &RelPath, to: &RelPath) {
        let mut state = self.state();
        let inode = state.names.remove(from).expect("the database renames what it has");
        state.names.insert(to.clone(), inode);
    }

    /// Removes a name.
    pub(crate) fn remove(&self, path: &RelPath) {
        self.state().names.remove(path);
    }

    /// All names, without what is held.
    pub(crate) fn names(&self) -> Vec<RelPath> {
        self.state().names.keys().cloned().collect()
    }

    /// Keeps what a name leads to, as the primary's hooks do: the file itself when its name goes,
    /// a durable copy when the file lives on under another name.
    pub(crate) fn hold(&self, path: &RelPath, keep: Keep) {
        let mut state = self.state();
        let Some(&inode) = state.names.get(path) else { return };
        let kept = if keep == Keep::Copy {
            let mut twin = state.inodes[&inode].clone();
            twin.sync();
            state.next_inode += 1;
            let number = state.next_inode;
            state.inodes.insert(number, twin);
            number
        } else {
            inode
        };
        state.held.insert(path.clone(), kept);
    }

    /// What is held, by name.
    pub(crate) fn held_names(&self) -> BTreeSet<RelPath> {
        self.state().held.keys().cloned().collect()
    }

    /// The host loses power: of what was not synced, each sector survives or not. Returns where
    /// that was decided.
    pub(crate) fn lose_power(&self, rng: &mut StdRng) -> Vec<(RelPath, usize)> {
        let mut state = self.state();
        let state = &mut *state;
        let names: BTreeMap<_, _> =
            state.names.iter().map(|(path, inode)| (*inode, path)).collect();
        let mut decided = Vec::new();
        for (number, inode) in &mut state.inodes {
            let dirty = std::mem::take(&mut inode.dirty);
            let length = inode.cached.len().max(inode.durable.len());
            let mut after = inode.durable.clone();
            after.resize(length, 0);
            for sector in dirty {
                let place = names.get(number).map(|path| (RelPath::clone(path), sector * SECTOR));
                decided.extend(place);
                if rng.random_bool(0.5) {
                    let range = sector * SECTOR..((sector + 1) * SECTOR).min(inode.cached.len());
                    after[range.clone()].copy_from_slice(&inode.cached[range]);
                }
            }
            inode.cached.clone_from(&after);
            inode.durable = after;
        }
        decided
    }
}

impl Inode {
    fn sync(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.cached.len());
            self.durable[range.clone()].copy_from_slice(&self.cached[range]);
        }
    }
}

impl State {
    fn inode_mut(&mut self, path: &RelPath) -> &mut Inode {
        let inode = if let Some(inode) = self.names.get(path) {
            *inode
        } else {
            self.next_inode += 1;
            self.names.insert(path.clone(), self.next_inode);
            self.next_inode
        };
        self.inodes.entry(inode).or_default()
    }

    /// What is held wins: it is the older bytes of that name.
    fn find(&self, path: &RelPath) -> Option<u64> {
        self.held.get(path).or_else(|| self.names.get(path)).copied()
    }

    fn found(&self, path: &RelPath, inode: u64) -> Found {
        let file = &self.inodes[&inode];
        Found {
            path: path.clone(),
            kind: Kind::File,
            size: file.cached.len().try_into().expect("files are small"),
            modified: file.modified,
            id: FileId { device: 1, inode },
            writers: false,
        }
    }
}

impl Files for SimDisk {
    fn list(&self, dir: Option<&RelPath>) -> io::Result<Vec<Found>> {
        let state = self.state();
        let paths: BTreeSet<_> = state.names.keys().chain(state.held.keys()).collect();
        let here = paths.into_iter().filter(|path| path.parent().as_ref() == dir);
        Ok(here.filter_map(|path| Some(state.found(path, state.find(path)?))).collect())
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn OpenFile>>> {
        let state = self.state();
        Ok(state.find(path).map(|inode| -> Box<dyn OpenFile> {
            Box::new(SimFile { disk: self.clone(), path: path.clone(), inode })
        }))
    }
}

impl Disk for SimDisk {
    fn sync(&self, path: &RelPath) -> io::Result<Option<FileId>> {
        let mut state = self.state();
        let Some(inode) = state.find(path) else { return Ok(None) };
        state.inodes.get_mut(&inode).expect("a name leads to an inode").sync();
        Ok(Some(FileId { device: 1, inode }))
    }

    fn sync_names(&self, _dir: Option<&RelPath>) -> io::Result<()> {
        Ok(())
    }

    fn unseen(&self) -> BTreeSet<RelPath> {
        BTreeSet::new()
    }

    fn held(&self) -> io::Result<BTreeSet<RelPath>> {
        Ok(self.state().held.keys().cloned().collect())
    }

    fn release(&self, path: &RelPath) -> io::Result<()> {
        self.state().held.remove(path);
        Ok(())
    }
}

impl Home for SimDisk {
    fn recall(&self) -> io::Result<Option<Bytes>> {
        Ok(self.state().note.clone())
    }

    fn remember(&self, note: &[u8]) -> io::Result<()> {
        self.state().note = Some(Bytes::copy_from_slice(note));
        Ok(())
    }

    fn removed(&self) -> io::Result<BTreeSet<RelPath>> {
        Ok(BTreeSet::new())
    }

    fn create(&self, path: &RelPath, size: u64) -> io::Result<Box<dyn NewFile>> {
        let bytes = vec![0; size.try_into().expect("files are small")];
        Ok(Box::new(Begun { disk: self.clone(), path: path.clone(), bytes }))
    }

    fn set_held_aside(&self) -> io::Result<Vec<String>> {
        let held = std::mem::take(&mut self.state().held);
        Ok(held.keys().map(|path| format!("aside/{path}")).collect())
    }

    fn set_aside(&self, path: &RelPath) -> io::Result<String> {
        self.remove(path);
        Ok(format!("aside/{path}"))
    }
}

#[derive(Debug)]
struct Begun {
    disk: SimDisk,
    path: RelPath,
    bytes: Vec<u8>,
}

impl NewFile for Begun {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).expect("files are small");
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn keep(self: Box<Self>) -> io::Result<()> {
        self.disk.remove(&self.path);
        self.disk.write(&self.path, 0, &self.bytes);
        self.disk.sync_file(&self.path);
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: RelPath,
    inode: u64,
}

impl OpenFile for SimFile {
    fn found(&self) -> io::Result<Found> {
        Ok(self.disk.state().found(&self.path, self.inode))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        let bytes = &state.inodes[&self.inode].cached;
        let start = usize::try_from(offset).expect("files are small").min(bytes.len());
        let len = buffer.len().min(bytes.len() - start);
        buffer[..len].copy_from_slice(&bytes[start..start + len]);
        Ok(len)
    }
}
