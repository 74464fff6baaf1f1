//! The opens of files from the store. Readers in the kernel and writers do not mix: a writer in the
//! kernel could damage the cache, so that the second to come of the two is turned away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fuse::errno::{READ_ONLY, RELEASED};
use crate::fuse::filesystem::{Answer, Handle, Ino, Io, Opened};
use crate::replica::cache::folder::Leased;
use crate::replica::view::Seen;

use super::nodes;

/// Our handles begin here: no other's get so far.
const FIRST: u64 = 1 << 62;

/// One open of a file.
#[derive(Debug)]
pub(super) struct Open {
    /// The file, as it was at the open.
    pub(super) seen: Seen,
    /// Its bytes in the cache stay while it is open.
    _lease: Option<Arc<Leased>>,
    read: AtomicBool,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Kernel,
    Daemon,
    Writer,
}

impl Open {
    fn new(seen: Seen, lease: Option<Arc<Leased>>, way: Way) -> Self {
        Self { seen, _lease: lease, read: AtomicBool::new(false), way }
    }

    /// Whether this is the first read.
    pub(super) fn is_first_read(&self) -> bool {
        !self.read.swap(true, Ordering::Relaxed)
    }
}

/// All opens.
#[derive(Debug, Default)]
pub(super) struct Opens {
    last: AtomicU64,
    /// Guards: what is open, and which ways each inode is.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    opens: HashMap<Handle, Arc<Open>>,
    ways: HashMap<Ino, Vec<Way>>,
}

impl Opens {
    /// One more open. `whole`: the file in the cache, if the kernel may read it by itself.
    pub(super) fn add(
        &self,
        seen: Seen,
        writable: bool,
        whole: Option<Arc<Leased>>,
    ) -> Answer<Opened> {
        let ino = nodes::file(&seen.path, seen.life);
        let mut table = self.table();
        let ways = table.ways.entry(ino).or_default();
        let kernel = whole.as_ref().and_then(|leased| leased.shared().ok());
        let (way, io) = match kernel {
            _ if writable && ways.contains(&Way::Kernel) => return Err(READ_ONLY),
            _ if writable => (Way::Writer, Io::Daemon),
            Some(file) if !ways.contains(&Way::Writer) => (Way::Kernel, Io::Passthrough(file)),
            // What the kernel kept may be from before the last batch.
            _ => (Way::Daemon, Io::Daemon),
        };
        ways.push(way);
        let handle = Handle(FIRST + self.last.fetch_add(1, Ordering::Relaxed));
        table.opens.insert(handle, Arc::new(Open::new(seen, whole, way)));
        Ok(Opened { handle, io })
    }

    pub(super) fn get(&self, handle: Handle) -> Answer<Arc<Open>> {
        self.table().opens.get(&handle).cloned().ok_or(RELEASED)
    }

    pub(super) fn remove(&self, handle: Handle) {
        let mut table = self.table();
        let Some(open) = table.opens.remove(&handle) else { return };
        let ino = nodes::file(&open.seen.path, open.seen.life);
        let Some(ways) = table.ways.get_mut(&ino) else { return };
        if let Some(index) = ways.iter().position(|way| *way == open.way) {
            ways.swap_remove(index);
        }
        if ways.is_empty() {
            table.ways.remove(&ino);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
