//! A local directory as a [`FileSystem`](super::filesystem::FileSystem): every call goes to the file of the same name beneath the
//! mount. Both roles build on it. The directory is reached only through the descriptor that was
//! opened before mounting, and each file through a descriptor of its own.
//!
//! Permissions are the kernel's to check (`default_permissions`); what is made here belongs to the
//! caller. Locks stay in the kernel. Knows nothing of volumes; does not hide `.walfs`:
//! [`super::hidden`] does.

mod calls;
mod entries;
mod make;
mod nodes;
mod opens;
mod search;
mod stat;
mod sync_pool;

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, Statx};

use self::nodes::{Node, Nodes, Open, where_is};
use self::opens::Opens;
use self::sync_pool::SyncPool;
use super::errno::{BROKEN, of_system};
use super::estate::{self, Estate, Kept};
use super::filesystem::{Answer, Caller, Entry, Ino, Io, Opened};
use super::hidden;
use crate::volume::RelPath;

/// How long the kernel may believe names and attributes when all changes go through the mount.
pub const TTL_ALONE: Duration = Duration::from_secs(60);

/// The flags of an open that its descriptor here has too. `O_DIRECT` is not among them: buffers
/// from the kernel are not aligned as it demands.
const KEPT_FLAGS: i32 =
    libc::O_ACCMODE | libc::O_APPEND | libc::O_DSYNC | libc::O_SYNC | libc::O_NOATIME;

/// Bounds of the files that are kept within reach.
const AWAKE_MIN: usize = 64;
const AWAKE_MAX: usize = 16 << 10;

/// A mirrored directory.
#[derive(Debug)]
pub struct Mirror {
    directory: Arc<OwnedFd>,
    nodes: Nodes,
    opens: Opens,
    syncs: SyncPool,
    ttl: Duration,
    /// The kernel may know files that this process never opened by a name.
    inherited: bool,
    /// Open files cost a descriptor only when it is needed.
    lean: bool,
}

/// How a file is open for writing, all opens together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writers {
    /// Opens for writing.
    pub all: u32,
    /// Those of them with `O_DSYNC` or `O_SYNC`: they commit without asking us.
    pub synchronous: u32,
}

impl Mirror {
    /// A mirror of this directory; the kernel may believe what it is told for so long.
    pub fn new(directory: Arc<OwnedFd>, ttl: Duration) -> io::Result<Self> {
        Self::keeping(directory, ttl, None)
    }

    /// The same with a file kept open only while its descriptor is needed, because the kernel keeps
    /// it open: for mounts that insist on passthrough.
    pub fn lean(directory: Arc<OwnedFd>, ttl: Duration) -> io::Result<Self> {
        Ok(Self { lean: true, ..Self::keeping(directory, ttl, None)? })
    }

    /// One of either kind: what the kernel is told is kept for the worker after this one, and what it
    /// was told by the one before is taken up.
    pub fn with_estate(
        directory: Arc<OwnedFd>,
        ttl: Duration,
        kept: &Kept,
        lean: bool,
    ) -> io::Result<Self> {
        let left = &kept.left;
        let mut mirror = Self::keeping(directory, ttl, Some(Arc::clone(&kept.estate)))?;
        mirror.lean = lean;
        mirror.inherited = !left.inodes.is_empty();
        mirror.nodes.inherit(&left.inodes);
        for open in &left.opens {
            if let Err(errno) = mirror.inherit(open) {
                tracing::warn!(%errno, "a file that was open when the daemon died is not to be found");
            }
        }
        Ok(mirror)
    }

    fn keeping(
        directory: Arc<OwnedFd>,
        ttl: Duration,
        estate: Option<Arc<Estate>>,
    ) -> io::Result<Self> {
        let nodes = Nodes::new(Arc::clone(&directory), awake_max(), estate.clone())?;
        let (opens, syncs) = (Opens::new(estate), SyncPool::start()?);
        Ok(Self { directory, nodes, opens, syncs, ttl, inherited: false, lean: false })
    }

    fn inherit(&self, open: &estate::Open) -> Answer<()> {
        let node = self.nodes.get(open.ino)?;
        let file = reopen(&node, kept(open.flags))?;
        let privileged = is_privileged(&stat::stat(&file)?);
        let kept = Open::new(&node, open.flags, privileged);
        if !self.lean {
            kept.file(|| Ok(file))?;
        }
        self.opens.inherit(open.handle, kept);
        Ok(())
    }

    /// The descriptor of this open file.
    fn descriptor<'a>(&self, ino: Ino, open: &'a Open) -> Answer<&'a OwnedFd> {
        open.file(|| reopen(&*self.nodes.get(ino)?, kept(open.flags)))
    }

    /// The directory.
    pub fn directory(&self) -> &Arc<OwnedFd> {
        &self.directory
    }

    /// A path of this file now. `None` for the root, for a file without a name, and for names that
    /// a volume cannot have. An error: the disk fails, and nobody knows.
    pub fn path(&self, ino: Ino) -> Answer<Option<RelPath>> {
        let node = self.nodes.get(ino)?;
        let root = where_is(&self.directory).ok_or(BROKEN)?;
        let real = stat::stat(&*node.file)?;
        let file = stat::identity(&real);
        let placed = node.by_place(|path| {
            let path = path.strip_prefix(&root).ok()?;
            // A file that is held has a second name there, which is nobody's but ours.
            let path = Some(path).filter(|path| !path.starts_with(hidden::NAME))?;
            let path = RelPath::new(path.to_str()?)?;
            // The name may be removed, and may be another file's by now.
            match stat::named(&self.directory, path.as_str()) {
                Ok(named) => (named == Some(file)).then_some(Ok(path)),
                Err(errno) => Some(Err(errno)),
            }
        });
        if placed.is_some() || !self.inherited || real.stx_nlink == 0 {
            return placed.transpose();
        }
        let found = search::find(&self.directory, file, real.stx_nlink).inspect_err(|errno| {
            tracing::error!(
                inode = file.1,
                "a file that was open when the daemon died has a name that is not to be found, as \
                 the directory cannot be listed: {errno}. Nothing is lost: what is written to it \
                 waits for the next look round everything, and a sync that has to reach the store \
                 fails until then"
            );
        })?;
        let Some(found) = found else { return Ok(None) };
        node.named_too(open_path(&self.directory, found.as_ref())?);
        Ok(found.to_str().and_then(RelPath::new))
    }

    /// The path of a name in this directory, if a volume can have it. An error as of [`Self::path`].
    pub fn child(&self, parent: Ino, name: &OsStr) -> Answer<Option<RelPath>> {
        let Some(name) = name.to_str() else { return Ok(None) };
        if parent == Ino::ROOT {
            return Ok(RelPath::new(name));
        }
        Ok(self.path(parent)?.and_then(|parent| parent.join(name)))
    }

    /// How the file of this device and inode is open for writing through the mount.
    pub fn writers(&self, device: u64, inode: u64) -> Writers {
        self.nodes.writers((device, inode)).map_or_else(Writers::default, |counts| Writers {
            all: counts.writing.load(Ordering::Relaxed),
            synchronous: counts.synchronous.load(Ordering::Relaxed),
        })
    }

    fn look_up(&self, parent: Ino, name: &OsStr) -> Answer<(Arc<Node>, Entry)> {
        let parent = self.nodes.get(parent)?;
        self.adopt(open_path(&parent.file, name)?)
    }

    /// The kernel is about to be told of this file.
    fn adopt(&self, file: OwnedFd) -> Answer<(Arc<Node>, Entry)> {
        let (node, stat) = self.nodes.remember(file)?;
        let entry = Entry { attr: stat::attr(node.ino, &stat), ttl: self.ttl };
        Ok((node, entry))
    }

    fn entry(&self, node: &Node) -> Answer<Entry> {
        let stat = stat::stat(&*node.file)?;
        Ok(Entry { attr: stat::attr(node.ino, &stat), ttl: self.ttl })
    }

    fn open_node(&self, caller: Caller, node: &Node, flags: i32) -> Answer<Opened> {
        let file = reopen(node, kept(flags))?;
        self.opened(caller, node, file, flags)
    }

    fn opened(&self, caller: Caller, node: &Node, file: OwnedFd, flags: i32) -> Answer<Opened> {
        let stat = stat::stat(&file)?;
        // In the kernel nobody would take the rights away when the file is written.
        let privileged = is_privileged(&stat);
        let io = if stat::is_regular(&stat) && !privileged {
            Io::Passthrough(Arc::clone(&node.file))
        } else {
            Io::Daemon
        };
        let open = Open::new(node, flags, privileged);
        if !self.lean || matches!(io, Io::Daemon) {
            open.file(|| Ok(file))?;
        }
        let handle = self.opens.add(caller.request, node.ino, flags, open);
        Ok(Opened { handle, io })
    }
}

fn kept(flags: i32) -> OFlags {
    OFlags::from_bits_retain((flags & KEPT_FLAGS).cast_unsigned())
}

fn is_privileged(stat: &Statx) -> bool {
    u32::from(stat.stx_mode) & stat::PRIVILEGED != 0
}

/// How many files may be within reach besides those that are open: a part of what a process may
/// have open, which is the open files' for the most part.
fn awake_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let part = limit.map_or(AWAKE_MAX, |limit| usize::try_from(limit / 8).unwrap_or(AWAKE_MAX));
    part.clamp(AWAKE_MIN, AWAKE_MAX)
}

/// The file of this name, to be reached whatever happens to the name.
fn open_path(parent: &OwnedFd, name: &OsStr) -> Answer<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(of_system)
}

/// The same file once more, with this access.
fn reopen(node: &Node, access: OFlags) -> Answer<OwnedFd> {
    let flags = access | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, node.proc_path(), flags, Mode::empty()).map_err(of_system)
}
