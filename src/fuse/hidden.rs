//! `.walfs` as a mount shows it: a directory that is found but never listed, with read-only files
//! that say how the mount is. Stands before another [`FileSystem`], whose own `.walfs` (walfs's
//! place on the disk) it hides.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::errno::{
    COPY_YOURSELF, NO_ATTRIBUTE, NO_NAME, READ_ONLY, RELEASED, RESERVED, UNKNOWN_FLAGS,
};
use super::filesystem::{
    Answer, Attr, Caller, Change, DirEntry, Entry, FileSystem, Handle, Ino, Io, Opened, Reply,
    Space,
};

/// The name, in the root of the mount and of the directory beneath.
pub const NAME: &str = ".walfs";

/// What the files of `.walfs` hold now, by name, always in the same order. Asked at each look-up and
/// each open.
pub type Content = dyn Fn() -> Vec<(&'static str, Bytes)> + Send + Sync;

/// The number of `.walfs`; its files have those above. No disk has inodes with such numbers.
const DIRECTORY: Ino = Ino(u64::MAX - 255);
/// Handles from here on are ours.
const FIRST_HANDLE: u64 = 1 << 63;

/// A filesystem with `.walfs` in its root.
pub struct Hidden {
    beneath: Arc<dyn FileSystem>,
    content: Arc<Content>,
    last_handle: AtomicU64,
    /// Guards: what each open reads, as it was at the open.
    opens: Mutex<HashMap<Handle, Bytes>>,
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hidden").field("beneath", &self.beneath).finish_non_exhaustive()
    }
}

impl Hidden {
    /// This filesystem, with these files in `.walfs`.
    pub fn new(beneath: Arc<dyn FileSystem>, content: Arc<Content>) -> Self {
        let (last_handle, opens) = (AtomicU64::new(FIRST_HANDLE), Mutex::default());
        Self { beneath, content, last_handle, opens }
    }

    /// The virtual file of this number.
    fn file(&self, ino: Ino) -> Answer<Bytes> {
        let index =
            ino.0.checked_sub(DIRECTORY.0 + 1).and_then(|index| usize::try_from(index).ok());
        let file = index.and_then(|index| (self.content)().into_iter().nth(index));
        file.map(|(_, bytes)| bytes).ok_or(NO_NAME)
    }

    fn look_up(&self, name: &OsStr) -> Answer<Entry> {
        let files = (self.content)();
        let index = files.iter().position(|(known, _)| *known == name).ok_or(NO_NAME)?;
        let index = u64::try_from(index).map_err(|_| NO_NAME)?;
        self.entry(Ino(DIRECTORY.0 + 1 + index))
    }

    /// As young as the mount's root, and its owner's.
    fn entry(&self, ino: Ino) -> Answer<Entry> {
        let root = self.beneath.getattr(Ino::ROOT, None)?.attr;
        let (mode, size, links) = match ino {
            DIRECTORY => (libc::S_IFDIR | 0o555, 0, 2),
            file => (libc::S_IFREG | 0o444, self.file(file)?.len(), 1),
        };
        let size = u64::try_from(size).unwrap_or(0);
        Ok(Entry { attr: Attr { ino, mode, size, links, blocks: 0, ..root }, ttl: Duration::ZERO })
    }

    fn open_file(&self, ino: Ino, flags: i32) -> Answer<Opened> {
        if flags & libc::O_ACCMODE != libc::O_RDONLY {
            return Err(READ_ONLY);
        }
        let bytes = self.file(ino)?;
        let handle = Handle(self.last_handle.fetch_add(1, Ordering::Relaxed) + 1);
        self.opens.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, bytes);
        // Without the kernel's cache, so that the size of a moment ago does not cut the text.
        Ok(Opened { handle, io: Io::DaemonDirect })
    }

    fn read_file(&self, handle: Handle, offset: u64, size: u32) -> Answer<Bytes> {
        let opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = opens.get(&handle).ok_or(RELEASED)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(bytes.slice(start..start.saturating_add(size).min(bytes.len())))
    }

    fn list(&self, offset: u64, add: &mut dyn FnMut(DirEntry, u64) -> bool) {
        let directory = libc::S_IFDIR;
        let dots = [(".", DIRECTORY, directory), ("..", Ino::ROOT, directory)];
        let files = (self.content)();
        let files = files.iter().zip(DIRECTORY.0 + 1..);
        let files = files.map(|((name, _), ino)| (*name, Ino(ino), libc::S_IFREG));
        for ((name, ino, kind), next) in dots.into_iter().chain(files).zip(1..) {
            if next > offset && !add(DirEntry { ino, kind, name: name.into() }, next) {
                break;
            }
        }
    }
}

fn is_ours(ino: Ino) -> bool {
    ino >= DIRECTORY
}

fn is_our_name(parent: Ino, name: &OsStr) -> bool {
    is_ours(parent) || (parent == Ino::ROOT && name == NAME)
}

/// Neither our name nor one within can be made, moved or removed.
fn keep_off(parent: Ino, name: &OsStr) -> Answer<()> {
    if is_our_name(parent, name) { Err(RESERVED) } else { Ok(()) }
}

fn keep_off_file(ino: Ino) -> Answer<()> {
    if is_ours(ino) { Err(RESERVED) } else { Ok(()) }
}

#[deny(clippy::missing_trait_methods, reason = "each call must choose between ours and beneath")]
impl FileSystem for Hidden {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        match parent {
            DIRECTORY => self.look_up(name),
            Ino::ROOT if name == NAME => self.entry(DIRECTORY),
            _ => self.beneath.lookup(parent, name),
        }
    }

    fn forget(&self, ino: Ino, lookups: u64) {
        if !is_ours(ino) {
            self.beneath.forget(ino, lookups);
        }
    }

    fn getattr(&self, ino: Ino, handle: Option<Handle>) -> Answer<Entry> {
        if is_ours(ino) { self.entry(ino) } else { self.beneath.getattr(ino, handle) }
    }

    fn setattr(&self, ino: Ino, handle: Option<Handle>, change: Change) -> Answer<Entry> {
        keep_off_file(ino)?;
        self.beneath.setattr(ino, handle, change)
    }

    fn readlink(&self, ino: Ino) -> Answer<Bytes> {
        keep_off_file(ino)?;
        self.beneath.readlink(ino)
    }

    fn mknod(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> Answer<Entry> {
        keep_off(parent, name)?;
        self.beneath.mknod(caller, parent, name, mode, device)
    }

    fn mkdir(&self, caller: Caller, parent: Ino, name: &OsStr, mode: u32) -> Answer<Entry> {
        keep_off(parent, name)?;
        self.beneath.mkdir(caller, parent, name, mode)
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        keep_off(parent, name)?;
        self.beneath.unlink(parent, name)
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        keep_off(parent, name)?;
        self.beneath.rmdir(parent, name)
    }

    fn symlink(&self, caller: Caller, parent: Ino, name: &OsStr, target: &OsStr) -> Answer<Entry> {
        keep_off(parent, name)?;
        self.beneath.symlink(caller, parent, name, target)
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: u32) -> Answer<()> {
        keep_off(from.0, from.1)?;
        keep_off(to.0, to.1)?;
        self.beneath.rename(from, to, flags)
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Answer<Entry> {
        keep_off_file(ino)?;
        keep_off(parent, name)?;
        self.beneath.link(ino, parent, name)
    }

    fn open(&self, caller: Caller, ino: Ino, flags: i32, reply: Reply<Opened>) {
        if is_ours(ino) {
            reply.send(self.open_file(ino, flags));
        } else {
            self.beneath.open(caller, ino, flags, reply);
        }
    }

    fn create(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        flags: i32,
        reply: Reply<(Entry, Opened)>,
    ) {
        match keep_off(parent, name) {
            Ok(()) => self.beneath.create(caller, parent, name, mode, flags, reply),
            Err(errno) => reply.send(Err(errno)),
        }
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, reply: Reply<Bytes>) {
        if is_ours(ino) {
            reply.send(self.read_file(handle, offset, size));
        } else {
            self.beneath.read(ino, handle, offset, size, reply);
        }
    }

    fn write(
        &self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        data: &[u8],
        flags: i32,
        reply: Reply<u32>,
    ) {
        match keep_off_file(ino) {
            Ok(()) => self.beneath.write(ino, handle, offset, data, flags, reply),
            Err(errno) => reply.send(Err(errno)),
        }
    }

    fn fsync(&self, ino: Ino, handle: Handle, datasync: bool, reply: Reply<()>) {
        if is_ours(ino) {
            reply.send(Ok(()));
        } else {
            self.beneath.fsync(ino, handle, datasync, reply);
        }
    }

    fn release(&self, ino: Ino, handle: Handle) {
        if is_ours(ino) {
            self.opens.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle);
        } else {
            self.beneath.release(ino, handle);
        }
    }

    fn readdir(
        &self,
        ino: Ino,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, u64) -> bool,
    ) -> Answer<()> {
        if is_ours(ino) {
            self.list(offset, add);
            return Ok(());
        }
        self.beneath.readdir(ino, offset, &mut |entry, next| {
            (ino == Ino::ROOT && entry.name == NAME) || add(entry, next)
        })
    }

    fn fsyncdir(&self, ino: Ino, reply: Reply<()>) {
        if is_ours(ino) {
            reply.send(Ok(()));
        } else {
            self.beneath.fsyncdir(ino, reply);
        }
    }

    fn statfs(&self) -> Answer<Space> {
        self.beneath.statfs()
    }

    fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes> {
        if is_ours(ino) { Err(NO_ATTRIBUTE) } else { self.beneath.getxattr(ino, name) }
    }

    fn listxattr(&self, ino: Ino) -> Answer<Bytes> {
        if is_ours(ino) { Ok(Bytes::new()) } else { self.beneath.listxattr(ino) }
    }

    fn setxattr(&self, ino: Ino, name: &OsStr, value: &[u8], flags: i32) -> Answer<()> {
        keep_off_file(ino)?;
        self.beneath.setxattr(ino, name, value, flags)
    }

    fn removexattr(&self, ino: Ino, name: &OsStr) -> Answer<()> {
        keep_off_file(ino)?;
        self.beneath.removexattr(ino, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: i32) -> Answer<()> {
        keep_off_file(ino)?;
        self.beneath.fallocate(ino, handle, offset, len, mode)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: i64, whence: i32) -> Answer<i64> {
        if is_ours(ino) {
            return Err(UNKNOWN_FLAGS);
        }
        self.beneath.lseek(ino, handle, offset, whence)
    }

    fn copy_file_range(
        &self,
        from: (Ino, Handle, u64),
        to: (Ino, Handle, u64),
        len: u64,
        flags: u32,
    ) -> Answer<u64> {
        if is_ours(from.0) || is_ours(to.0) {
            return Err(COPY_YOURSELF);
        }
        self.beneath.copy_file_range(from, to, len, flags)
    }

    fn destroy(&self) {
        self.beneath.destroy();
    }
}
