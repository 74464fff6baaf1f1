//! What a mounted directory must answer. One trait, implemented by the mirror of a directory, by
//! the primary's view and by the replica's. Knows nothing of the kernel's wire format.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use nix::errno::Errno;

use super::errno::BROKEN;

/// The kernel's number for a file of this mount. The root is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the mount.
    pub const ROOT: Self = Self(1);
}

/// One open of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u64);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Process.
    pub pid: u32,
    /// The request's number, of which there is no other in this mount.
    pub request: u64,
    /// It was asked before, of a worker that died: what is asked for may be done already.
    pub again: bool,
}

/// What `stat` shows.
#[derive(Clone, Copy, Debug)]
pub struct Attr {
    /// The kernel's number for it.
    pub ino: Ino,
    /// `st_mode`: type and permissions.
    pub mode: u32,
    /// Length in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Number of names.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
    /// Device number, of device nodes.
    pub device: u32,
    /// Preferred size of reads and writes.
    pub block_size: u32,
    /// Last read.
    pub accessed: SystemTime,
    /// Last change of content.
    pub modified: SystemTime,
    /// Last change of attributes.
    pub changed: SystemTime,
}

/// Attributes, and for how long the kernel may believe them.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What `stat` shows.
    pub attr: Attr,
    /// How long attributes and the name may be cached. Zero for what a replica still follows.
    pub ttl: Duration,
}

/// What `setattr` changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// Permissions.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Owner's group.
    pub gid: Option<u32>,
    /// Length.
    pub size: Option<u64>,
    /// Last read.
    pub accessed: Option<Stamp>,
    /// Last change of content.
    pub modified: Option<Stamp>,
}

/// A time to set.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    /// The time of the call.
    Now,
    /// This one.
    At(SystemTime),
}

/// How the kernel is to do the I/O of an open file. A wish: in the kernel or by asking us cannot
/// change while an inode has opens, so the first of them decides; and where the kernel has no
/// passthrough, we are asked. Whoever answers `Passthrough` must answer `read` and `write` too.
#[derive(Clone, Debug)]
pub enum Io {
    /// In the kernel, on this file (a descriptor opened with `O_PATH` will do). Complete files
    /// only: a hole would read as zeros. The kernel keeps the file open as long as there are opens,
    /// and beyond that as long as this `Arc` lives: answering the same one makes later opens cheap.
    Passthrough(Arc<OwnedFd>),
    /// By asking us, with the kernel's page cache dropped at each open.
    Daemon,
    /// By asking us, keeping what the kernel has cached of it.
    DaemonCached,
    /// By asking us each time, without the kernel's page cache.
    DaemonDirect,
}

/// An open file.
#[derive(Debug)]
pub struct Opened {
    /// Names this open in later calls.
    pub handle: Handle,
    /// How its I/O is done.
    pub io: Io,
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The kernel's number for it.
    pub ino: Ino,
    /// The type bits of `st_mode`.
    pub kind: u32,
    /// Its name.
    pub name: OsString,
}

/// What `statfs` shows.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Size of a block.
    pub block_size: u32,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Free blocks for ordinary users.
    pub available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Longest name.
    pub name_max: u32,
}

/// The answer to a call that may take long. Answering from another thread frees the reader at
/// once. Dropped unanswered, the caller gets an I/O error.
pub struct Reply<T>(Option<Ending<T>>);

type Ending<T> = Box<dyn FnOnce(Answer<T>) + Send>;

impl<T> Reply<T> {
    /// A reply that ends in this function.
    pub fn new(answer: impl FnOnce(Answer<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(answer)))
    }

    /// Answers.
    pub fn send(mut self, answer: Answer<T>) {
        if let Some(send) = self.0.take() {
            send(answer);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(send) = self.0.take() {
            send(Err(BROKEN));
        }
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

/// What a call may end in, besides an answer.
pub type Answer<T> = Result<T, Errno>;

/// A mounted directory. Calls come from several threads at once.
#[expect(clippy::too_many_arguments, reason = "the arguments are those of the system calls")]
pub trait FileSystem: Send + Sync + 'static {
    /// The file of this name. `ENOENT` is never cached by the kernel.
    fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry>;
    /// The kernel dropped so many look-ups of this file.
    fn forget(&self, ino: Ino, lookups: u64);
    /// What `stat` shows.
    fn getattr(&self, ino: Ino, handle: Option<Handle>) -> Answer<Entry>;
    /// Changes attributes; a change of size is `ftruncate`.
    fn setattr(&self, ino: Ino, handle: Option<Handle>, change: Change) -> Answer<Entry>;
    /// The target of a symbolic link.
    fn readlink(&self, ino: Ino) -> Answer<Bytes>;
    /// Makes a file, a pipe, a socket or a device node, owned by the caller.
    fn mknod(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> Answer<Entry>;
    /// Makes a directory, owned by the caller.
    fn mkdir(&self, caller: Caller, parent: Ino, name: &OsStr, mode: u32) -> Answer<Entry>;
    /// Removes a name.
    fn unlink(&self, parent: Ino, name: &OsStr) -> Answer<()>;
    /// Removes an empty directory.
    fn rmdir(&self, parent: Ino, name: &OsStr) -> Answer<()>;
    /// Makes a symbolic link, owned by the caller.
    fn symlink(&self, caller: Caller, parent: Ino, name: &OsStr, target: &OsStr) -> Answer<Entry>;
    /// Renames; `flags` are those of `renameat2`.
    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: u32) -> Answer<()>;
    /// Gives a file another name.
    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Answer<Entry>;
    /// Opens a file; `flags` are those of `open`.
    fn open(&self, caller: Caller, ino: Ino, flags: i32, reply: Reply<Opened>);
    /// Makes and opens a file, owned by the caller; opens it if it is there and `flags` lack
    /// `O_EXCL`. Only here may `flags` have `O_TRUNC`: for `open` it arrives as `setattr`.
    fn create(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        flags: i32,
        reply: Reply<(Entry, Opened)>,
    );
    /// Reads; less than `size` only at the end of the file.
    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, reply: Reply<Bytes>);
    /// Writes all of `data`, at the end if the file was opened with `O_APPEND`. A write that is to
    /// be durable may have to wait for the store.
    fn write(
        &self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        data: &[u8],
        flags: i32,
        reply: Reply<u32>,
    );
    /// Makes a file durable: the database's commit. Never `ENOSYS`: the kernel would stop asking.
    fn fsync(&self, ino: Ino, handle: Handle, datasync: bool, reply: Reply<()>);
    /// One open is over.
    fn release(&self, ino: Ino, handle: Handle);
    /// Calls `add` with the entries from `offset` on and the offset of the next one, until it says
    /// `false`. `.` and `..` included.
    fn readdir(
        &self,
        ino: Ino,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, u64) -> bool,
    ) -> Answer<()>;
    /// Makes a directory's names durable.
    fn fsyncdir(&self, ino: Ino, reply: Reply<()>);
    /// How much room there is.
    fn statfs(&self) -> Answer<Space>;
    /// An extended attribute.
    fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes>;
    /// The names of the extended attributes, each ended by a NUL.
    fn listxattr(&self, ino: Ino) -> Answer<Bytes>;
    /// Sets an extended attribute; `flags` are those of `setxattr`.
    fn setxattr(&self, ino: Ino, name: &OsStr, value: &[u8], flags: i32) -> Answer<()>;
    /// Removes an extended attribute.
    fn removexattr(&self, ino: Ino, name: &OsStr) -> Answer<()>;
    /// `fallocate`, with its modes.
    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: i32) -> Answer<()>;
    /// `SEEK_DATA` and `SEEK_HOLE`.
    fn lseek(&self, ino: Ino, handle: Handle, offset: i64, whence: i32) -> Answer<i64>;
    /// `copy_file_range`.
    fn copy_file_range(
        &self,
        from: (Ino, Handle, u64),
        to: (Ino, Handle, u64),
        len: u64,
        flags: u32,
    ) -> Answer<u64>;
    /// The mount is gone.
    fn destroy(&self) {}
}

impl std::fmt::Debug for dyn FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileSystem")
    }
}

/// What a mounted directory may tell the kernel by itself: that something it cached is no longer so.
/// The kernel may have to finish calls into the directory first: never tell it anything while
/// holding a lock that a [`FileSystem`] call takes, nor from within such a call.
pub trait Kernel: Send + Sync {
    /// Forget size, attributes and cached bytes of this file. No error if it is not known.
    fn changed(&self, ino: Ino);
    /// Forget this name.
    fn renamed(&self, parent: Ino, name: &OsStr);
}
