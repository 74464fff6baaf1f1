//! Which way the I/O of each inode goes: in the kernel (passthrough) or through the daemon. The
//! kernel demands one way for an inode as long as it has opens, and one registered file; breaking
//! either is an I/O error for the application.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fuser::{BackingId, FopenFlags};

use crate::fuse::estate::{Decided, Estate, Left};
use crate::fuse::filesystem::{Handle, Ino, Io};

/// How the kernel is told to do an open's I/O.
pub(super) enum Way {
    Kernel(Arc<BackingId>),
    Daemon(FopenFlags),
    /// Not at all: the kernel refused what the mount insists on.
    Refused,
}

/// Makes files known to the kernel; what answers an open can.
pub(super) trait Registrar {
    /// Makes this file known.
    fn register(&self, file: &OwnedFd) -> io::Result<BackingId>;

    /// Takes up a number by which a file was made known, and which nobody else has.
    fn take_up(&self, number: u32) -> BackingId;

    /// Makes this file known, and tells by which number.
    fn register_numbered(&self, file: &OwnedFd) -> io::Result<(u32, BackingId)> {
        let number = self.register(file)?.into_raw();
        Ok((number, self.take_up(number)))
    }
}

/// The way of every inode that has opens, and registrations kept for the next open.
#[derive(Debug, Default)]
pub(super) struct Ways {
    passthrough: AtomicBool,
    /// A file that asks for passthrough has it, or is not opened.
    insists: bool,
    warned: AtomicBool,
    /// Where the ways are kept for the worker after this one.
    estate: Option<Arc<Estate>>,
    /// Guards: the ways of inodes, and that an inode is registered once.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    inodes: HashMap<Ino, Inode>,
    /// Numbers of another worker that nothing needs. To be let go of by the next to answer an open.
    orphans: Vec<u32>,
}

#[derive(Debug, Default)]
struct Inode {
    opens: HashSet<Handle>,
    /// Set if the I/O is done in the kernel.
    kernel: Option<Registered>,
}

/// A file that the kernel holds open for us. Dropping it lets the file go.
#[derive(Debug)]
struct Registered {
    id: Id,
    /// Whether the filesystem still keeps the file that it once gave.
    file: Weak<OwnedFd>,
}

#[derive(Debug)]
enum Id {
    Ours(Arc<BackingId>),
    /// Another worker's, not taken up yet.
    Inherited(u32),
}

impl Ways {
    /// Whether the kernel may be asked to do I/O.
    pub(super) fn passthrough(&self) -> bool {
        self.passthrough.load(Ordering::Relaxed)
    }

    pub(super) fn set_passthrough(&self, available: bool) {
        self.passthrough.store(available, Ordering::Relaxed);
    }

    /// Nothing is open yet; what will be is kept here. With `insists`, the i/o of a file that the
    /// kernel refuses to do by itself is not done at all.
    pub(super) fn new(estate: Option<Arc<Estate>>, insists: bool) -> Self {
        Self { insists, estate, ..Self::default() }
    }

    /// The kernel was given these opens by another worker. One that is not decided was never given:
    /// the kernel asks for it again.
    pub(super) fn inherit(&self, left: &Left) {
        let mut opens: HashMap<Ino, HashSet<Handle>> = HashMap::new();
        for open in &left.opens {
            opens.entry(open.ino).or_default().insert(open.handle);
        }
        let mut table = self.lock();
        for inode in &left.inodes {
            let opens = opens.remove(&inode.ino).unwrap_or_default();
            let kernel = match inode.decided {
                Decided::Not => continue,
                Decided::Daemon => None,
                Decided::Kernel(number) => {
                    Some(Registered { id: Id::Inherited(number), file: Weak::new() })
                }
            };
            table.inodes.insert(inode.ino, Inode { opens, kernel });
            self.forget_idle(&mut table, inode.ino);
        }
    }

    /// This open is about to be given to the kernel.
    pub(super) fn opened(
        &self,
        ino: Ino,
        handle: Handle,
        wish: &Io,
        registrar: &impl Registrar,
    ) -> Way {
        let mut table = self.lock();
        for orphan in std::mem::take(&mut table.orphans) {
            drop(registrar.take_up(orphan));
        }
        let mut inode = table.inodes.remove(&ino).unwrap_or_default();
        if inode.opens.is_empty() {
            inode.kernel = self.choose(ino, wish, inode.kernel, registrar);
            if inode.kernel.is_none() && self.insists && matches!(wish, Io::Passthrough(_)) {
                self.keep(ino, Decided::Not);
                return Way::Refused;
            }
        }
        inode.opens.insert(handle);
        let way = match inode.kernel.as_mut().map(|kernel| &mut kernel.id) {
            Some(Id::Ours(id)) => Way::Kernel(Arc::clone(id)),
            Some(id @ &mut Id::Inherited(number)) => {
                let ours = Arc::new(registrar.take_up(number));
                *id = Id::Ours(Arc::clone(&ours));
                Way::Kernel(ours)
            }
            None => Way::Daemon(daemon_flags(wish)),
        };
        table.inodes.insert(ino, inode);
        way
    }

    /// One open is over, and the filesystem knows.
    pub(super) fn released(&self, ino: Ino, handle: Handle) {
        let mut table = self.lock();
        if let Some(inode) = table.inodes.get_mut(&ino) {
            inode.opens.remove(&handle);
        }
        self.forget_idle(&mut table, ino);
    }

    /// The filesystem may have let the inode's file go.
    pub(super) fn forgotten(&self, ino: Ino) {
        self.forget_idle(&mut self.lock(), ino);
    }

    fn choose(
        &self,
        ino: Ino,
        wish: &Io,
        kept: Option<Registered>,
        registrar: &impl Registrar,
    ) -> Option<Registered> {
        let registered = match wish {
            Io::Passthrough(file) if self.passthrough() => {
                let weak = Arc::downgrade(file);
                if let Some(kept) = kept.filter(|kept| kept.file.ptr_eq(&weak)) {
                    return Some(kept);
                }
                self.register(file, registrar)
            }
            _ => None,
        };
        let (decided, kernel) = match registered {
            Some((number, kernel)) => (Decided::Kernel(number), Some(kernel)),
            None => (Decided::Daemon, None),
        };
        self.keep(ino, decided);
        kernel
    }

    fn register(
        &self,
        file: &Arc<OwnedFd>,
        registrar: &impl Registrar,
    ) -> Option<(u32, Registered)> {
        match registrar.register_numbered(file) {
            Ok((number, id)) => {
                let id = Id::Ours(Arc::new(id));
                Some((number, Registered { id, file: Arc::downgrade(file) }))
            }
            Err(error) => {
                if self.insists {
                    tracing::error!(%error, "the kernel refuses passthrough of a file, which this mount insists on: the file is not opened");
                } else if !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the kernel refuses passthrough of a file; its i/o goes through the daemon");
                }
                None
            }
        }
    }

    /// An inode without opens stays only as long as its registration is worth keeping.
    fn forget_idle(&self, table: &mut Table, ino: Ino) {
        let Some(inode) = table.inodes.get(&ino) else { return };
        let kept =
            inode.kernel.as_ref().is_some_and(|registered| registered.file.strong_count() > 0);
        if !inode.opens.is_empty() || kept {
            return;
        }
        // First, so that nobody takes up a number which the kernel has given to another file.
        self.keep(ino, Decided::Not);
        let inode = table.inodes.remove(&ino);
        let id = inode.and_then(|inode| inode.kernel).map(|kernel| kernel.id);
        if let Some(Id::Inherited(number)) = id {
            table.orphans.push(number);
        }
    }

    fn keep(&self, ino: Ino, decided: Decided) {
        if let Some(estate) = &self.estate {
            estate.decided(ino, decided);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses;

    impl Registrar for Refuses {
        fn register(&self, _file: &OwnedFd) -> io::Result<BackingId> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn take_up(&self, _number: u32) -> BackingId {
            panic!("nothing was registered")
        }
    }

    #[test]
    fn an_open_that_the_kernel_refuses_passthrough_fails_where_the_mount_insists_on_it() {
        let file = Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        let wish = Io::Passthrough(file);
        for insists in [true, false] {
            let ways = Ways::new(None, insists);
            ways.set_passthrough(true);
            let way = ways.opened(Ino(2), Handle(1), &wish, &Refuses);
            assert_eq!(matches!(way, Way::Refused), insists);
            assert!(matches!(
                ways.opened(Ino(3), Handle(2), &Io::Daemon, &Refuses),
                Way::Daemon(_)
            ));
        }
    }
}
