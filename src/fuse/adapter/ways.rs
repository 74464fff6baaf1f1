//! Which way the I/O of each inode goes: in the kernel (passthrough) or through the daemon. The
//! kernel demands one way for an inode as long as it has opens, and one registered file; breaking
//! either is an I/O error for the application.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fuser::{BackingId, FopenFlags};

use crate::fuse::filesystem::{Ino, Io};

/// How the kernel is told to do an open's I/O.
pub(super) enum Way {
    Kernel(Arc<BackingId>),
    Daemon(FopenFlags),
}

/// The way of every inode that has opens, and registrations kept for the next open.
#[derive(Debug, Default)]
pub(super) struct Ways {
    passthrough: AtomicBool,
    warned: AtomicBool,
    /// Guards: the ways of inodes, and that an inode is registered once.
    inodes: Mutex<HashMap<Ino, Inode>>,
}

#[derive(Debug)]
struct Inode {
    opens: u32,
    /// Set if the I/O is done in the kernel.
    kernel: Option<Registered>,
}

/// A file that the kernel holds open for us. Dropping it lets the file go.
#[derive(Debug)]
struct Registered {
    id: Arc<BackingId>,
    /// Whether the filesystem still keeps the file that it once gave.
    file: Weak<OwnedFd>,
}

impl Ways {
    /// Whether the kernel may be asked to do I/O.
    pub(super) fn passthrough(&self) -> bool {
        self.passthrough.load(Ordering::Relaxed)
    }

    pub(super) fn set_passthrough(&self, available: bool) {
        self.passthrough.store(available, Ordering::Relaxed);
    }

    /// One more open; `register` makes this file known to the kernel.
    pub(super) fn opened(
        &self,
        ino: Ino,
        wish: &Io,
        register: impl FnOnce(&OwnedFd) -> io::Result<BackingId>,
    ) -> Way {
        let mut inodes = self.inodes();
        let (opens, kernel) = match inodes.remove(&ino) {
            Some(inode) if inode.opens > 0 => (inode.opens, inode.kernel),
            idle => (0, self.choose(wish, idle.and_then(|inode| inode.kernel), register)),
        };
        let way = match &kernel {
            Some(registered) => Way::Kernel(Arc::clone(&registered.id)),
            None => Way::Daemon(daemon_flags(wish)),
        };
        inodes.insert(ino, Inode { opens: opens + 1, kernel });
        way
    }

    /// One open is over, and the filesystem knows.
    pub(super) fn released(&self, ino: Ino) {
        let mut inodes = self.inodes();
        if let Some(inode) = inodes.get_mut(&ino) {
            inode.opens = inode.opens.saturating_sub(1);
        }
        forget_idle(&mut inodes, ino);
    }

    /// The filesystem may have let the inode's file go.
    pub(super) fn forgotten(&self, ino: Ino) {
        forget_idle(&mut self.inodes(), ino);
    }

    fn choose(
        &self,
        wish: &Io,
        kept: Option<Registered>,
        register: impl FnOnce(&OwnedFd) -> io::Result<BackingId>,
    ) -> Option<Registered> {
        let Io::Passthrough(file) = wish else { return None };
        if !self.passthrough() {
            return None;
        }
        let weak = Arc::downgrade(file);
        if let Some(kept) = kept.filter(|kept| kept.file.ptr_eq(&weak)) {
            return Some(kept);
        }
        match register(file) {
            Ok(id) => Some(Registered { id: Arc::new(id), file: weak }),
            Err(error) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the kernel refuses passthrough of a file; its i/o goes through the daemon");
                }
                None
            }
        }
    }

    fn inodes(&self) -> MutexGuard<'_, HashMap<Ino, Inode>> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An inode without opens stays only as long as its registration is worth keeping.
fn forget_idle(inodes: &mut HashMap<Ino, Inode>, ino: Ino) {
    let Some(inode) = inodes.get(&ino) else { return };
    let kept = inode.kernel.as_ref().is_some_and(|registered| registered.file.strong_count() > 0);
    if inode.opens == 0 && !kept {
        inodes.remove(&ino);
    }
}

/// `FLUSH` at each close would be a round trip that tells us nothing.
fn daemon_flags(wish: &Io) -> FopenFlags {
    FopenFlags::FOPEN_NOFLUSH
        | match wish {
            Io::Passthrough(_) | Io::Daemon => FopenFlags::empty(),
            Io::DaemonCached => FopenFlags::FOPEN_KEEP_CACHE,
            Io::DaemonDirect => FopenFlags::FOPEN_DIRECT_IO,
        }
}
