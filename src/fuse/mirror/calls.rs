//! The mirror's answers, call by call.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Gid, Mode, OFlags, RenameFlags, SeekFrom, Timestamps, Uid,
    XattrFlags,
};

use super::make::Thing;
use super::nodes::{Node, Open, proc_path};
use super::stat::{PERMISSIONS, PRIVILEGED, stat, timespec};
use super::{Mirror, entries, reopen};
use crate::fuse::errno::{RELEASED, UNKNOWN_FLAGS, of_system};
use crate::fuse::filesystem::{
    Answer, Caller, Change, DirEntry, Entry, FileSystem, Handle, Ino, Opened, Reply, Space,
};

#[deny(clippy::missing_trait_methods, reason = "what is not mirrored must be said here")]
impl FileSystem for Mirror {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        self.look_up(parent, name).map(|(_, entry)| entry)
    }

    fn forget(&self, ino: Ino, lookups: u64) {
        self.nodes.forget(ino, lookups);
    }

    fn getattr(&self, ino: Ino, _handle: Option<Handle>) -> Answer<Entry> {
        self.entry(&*self.nodes.get(ino)?)
    }

    fn setattr(&self, ino: Ino, handle: Option<Handle>, change: Change) -> Answer<Entry> {
        let node = self.nodes.get(ino)?;
        let open = handle.and_then(|handle| self.opens.get(handle).ok());
        change_owner(&node, change)?;
        if let Some(mode) = change.mode {
            change_mode(&node.file, mode)?;
        }
        if let Some(size) = change.size {
            self.change_size(&node, open.as_deref(), size)?;
        }
        change_times(&node, change)?;
        self.entry(&node)
    }

    fn readlink(&self, ino: Ino) -> Answer<Bytes> {
        let node = self.nodes.get(ino)?;
        let target = rustix::fs::readlinkat(&*node.file, "", Vec::new()).map_err(of_system)?;
        Ok(target.into_bytes().into())
    }

    fn mknod(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> Answer<Entry> {
        self.make(caller, parent, name, &Thing::Node { mode, device })
    }

    fn mkdir(&self, caller: Caller, parent: Ino, name: &OsStr, mode: u32) -> Answer<Entry> {
        self.make(caller, parent, name, &Thing::Directory { mode })
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        let parent = self.nodes.get(parent)?;
        rustix::fs::unlinkat(&*parent.file, name, AtFlags::empty()).map_err(of_system)
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        let parent = self.nodes.get(parent)?;
        rustix::fs::unlinkat(&*parent.file, name, AtFlags::REMOVEDIR).map_err(of_system)
    }

    fn symlink(&self, caller: Caller, parent: Ino, name: &OsStr, target: &OsStr) -> Answer<Entry> {
        self.make(caller, parent, name, &Thing::Link { target })
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: u32) -> Answer<()> {
        let flags = RenameFlags::from_bits(flags)
            .filter(|flags| !flags.contains(RenameFlags::WHITEOUT))
            .ok_or(UNKNOWN_FLAGS)?;
        let (old, new) = (self.nodes.get(from.0)?, self.nodes.get(to.0)?);
        rustix::fs::renameat_with(&*old.file, from.1, &*new.file, to.1, flags).map_err(of_system)
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Answer<Entry> {
        let (node, parent_node) = (self.nodes.get(ino)?, self.nodes.get(parent)?);
        let (path, flags) = (node.proc_path(), AtFlags::SYMLINK_FOLLOW);
        rustix::fs::linkat(CWD, path, &*parent_node.file, name, flags).map_err(of_system)?;
        self.lookup(parent, name)
    }

    fn open(&self, caller: Caller, ino: Ino, flags: i32, reply: Reply<Opened>) {
        reply.send(self.nodes.get(ino).and_then(|node| self.open_node(caller, &node, flags)));
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
        reply.send(self.make_open(caller, parent, name, mode, flags));
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, reply: Reply<Bytes>) {
        let open = self.opens.get(handle);
        let read = |open: Arc<Open>| read_all(self.descriptor(ino, &open)?, offset, size);
        reply.send(open.and_then(read));
    }

    fn write(
        &self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        data: &[u8],
        _flags: i32,
        reply: Reply<u32>,
    ) {
        let write = |open: Arc<Open>| write_open(&open, self.descriptor(ino, &open)?, offset, data);
        reply.send(self.opens.get(handle).and_then(write));
    }

    fn fsync(&self, ino: Ino, handle: Handle, datasync: bool, reply: Reply<()>) {
        let open = self.opens.get(handle).and_then(|open| {
            self.descriptor(ino, &open)?;
            Ok(open)
        });
        let open = match open {
            Ok(open) => open,
            Err(errno) => return reply.send(Err(errno)),
        };
        self.syncs.run(move || {
            let sync = |file: &OwnedFd| {
                let synced =
                    if datasync { rustix::fs::fdatasync(file) } else { rustix::fs::fsync(file) };
                synced.map_err(of_system)
            };
            // It was made above.
            reply.send(open.file(|| Err(RELEASED)).and_then(sync));
        });
    }

    fn release(&self, _ino: Ino, handle: Handle) {
        self.opens.remove(handle);
    }

    fn readdir(
        &self,
        ino: Ino,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, u64) -> bool,
    ) -> Answer<()> {
        entries::read(&*self.nodes.get(ino)?, offset, add)
    }

    fn fsyncdir(&self, ino: Ino, reply: Reply<()>) {
        let node = match self.nodes.get(ino) {
            Ok(node) => node,
            Err(errno) => return reply.send(Err(errno)),
        };
        self.syncs.run(move || {
            let directory = reopen(&node, OFlags::RDONLY | OFlags::DIRECTORY);
            reply.send(directory.and_then(|file| rustix::fs::fsync(file).map_err(of_system)));
        });
    }

    fn statfs(&self) -> Answer<Space> {
        let space = rustix::fs::fstatvfs(self.directory()).map_err(of_system)?;
        Ok(Space {
            block_size: u32::try_from(space.f_frsize).unwrap_or(4096),
            blocks: space.f_blocks,
            free: space.f_bfree,
            available: space.f_bavail,
            files: space.f_files,
            files_free: space.f_ffree,
            name_max: u32::try_from(space.f_namemax).unwrap_or(255),
        })
    }

    fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes> {
        let path = self.nodes.get(ino)?.proc_path();
        let get = |buffer: &mut Vec<u8>| rustix::fs::getxattr(&*path, name, spare_capacity(buffer));
        attribute(get)
    }

    fn listxattr(&self, ino: Ino) -> Answer<Bytes> {
        let path = self.nodes.get(ino)?.proc_path();
        attribute(|buffer| rustix::fs::listxattr(&*path, spare_capacity(buffer)))
    }

    fn setxattr(&self, ino: Ino, name: &OsStr, value: &[u8], flags: i32) -> Answer<()> {
        let path = self.nodes.get(ino)?.proc_path();
        let flags = XattrFlags::from_bits(flags.cast_unsigned()).ok_or(UNKNOWN_FLAGS)?;
        rustix::fs::setxattr(&*path, name, value, flags).map_err(of_system)
    }

    fn removexattr(&self, ino: Ino, name: &OsStr) -> Answer<()> {
        let path = self.nodes.get(ino)?.proc_path();
        rustix::fs::removexattr(&*path, name.as_bytes()).map_err(of_system)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: i32) -> Answer<()> {
        let open = self.opens.get(handle)?;
        let mode = FallocateFlags::from_bits_retain(mode.cast_unsigned());
        rustix::fs::fallocate(self.descriptor(ino, &open)?, mode, offset, len).map_err(of_system)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: i64, whence: i32) -> Answer<i64> {
        let open = self.opens.get(handle)?;
        let offset = u64::try_from(offset).map_err(|_| UNKNOWN_FLAGS)?;
        let to = match whence {
            libc::SEEK_DATA => SeekFrom::Data(offset),
            libc::SEEK_HOLE => SeekFrom::Hole(offset),
            _ => return Err(UNKNOWN_FLAGS),
        };
        let found = rustix::fs::seek(self.descriptor(ino, &open)?, to).map_err(of_system)?;
        i64::try_from(found).map_err(|_| UNKNOWN_FLAGS)
    }

    fn copy_file_range(
        &self,
        from: (Ino, Handle, u64),
        to: (Ino, Handle, u64),
        len: u64,
        _flags: u32,
    ) -> Answer<u64> {
        let (source, target) = (self.opens.get(from.1)?, self.opens.get(to.1)?);
        let (source, target) = (self.descriptor(from.0, &source)?, self.descriptor(to.0, &target)?);
        let (mut from, mut to) = (from.2, to.2);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let copied =
            rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), len);
        Ok(u64::try_from(copied.map_err(of_system)?).unwrap_or(u64::MAX))
    }

    fn destroy(&self) {}
}

impl Mirror {
    fn change_size(&self, node: &Arc<Node>, open: Option<&Open>, size: u64) -> Answer<()> {
        match open.filter(|open| open.is_for_writing()) {
            Some(open) => rustix::fs::ftruncate(self.descriptor(node.ino, open)?, size),
            None => rustix::fs::ftruncate(reopen(node, OFlags::WRONLY)?, size),
        }
        .map_err(of_system)?;
        drop_privileges(&node.file)
    }
}

fn change_owner(node: &Node, change: Change) -> Answer<()> {
    let (owner, group) = (change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw));
    if owner.is_none() && group.is_none() {
        return Ok(());
    }
    rustix::fs::chownat(&*node.file, "", owner, group, AtFlags::EMPTY_PATH).map_err(of_system)
}

fn change_mode(file: &OwnedFd, mode: u32) -> Answer<()> {
    let mode = Mode::from_raw_mode(mode & PERMISSIONS);
    rustix::fs::chmod(proc_path(file), mode).map_err(of_system)
}

fn change_times(node: &Node, change: Change) -> Answer<()> {
    if change.accessed.is_none() && change.modified.is_none() {
        return Ok(());
    }
    let times = Timestamps {
        last_access: timespec(change.accessed),
        last_modification: timespec(change.modified),
    };
    rustix::fs::utimensat(CWD, node.proc_path(), &times, AtFlags::empty()).map_err(of_system)
}

/// A changed program no longer has its owner's rights. The system would see to that itself, were
/// the writer not us.
fn drop_privileges(file: &OwnedFd) -> Answer<()> {
    let mode = u32::from(stat(file)?.stx_mode);
    if mode & PRIVILEGED == 0 {
        return Ok(());
    }
    change_mode(file, mode & !PRIVILEGED)
}

/// All of the range that the file has.
fn read_all(file: &OwnedFd, offset: u64, size: u32) -> Answer<Bytes> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut buffer = Vec::with_capacity(size);
    let mut at = offset;
    while buffer.len() < size {
        match rustix::io::pread(file, spare_capacity(&mut buffer), at) {
            Ok(0) => break,
            Ok(count) => at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(of_system(error)),
        }
    }
    buffer.truncate(size);
    Ok(buffer.into())
}

fn write_open(open: &Open, file: &OwnedFd, offset: u64, data: &[u8]) -> Answer<u32> {
    let written = write_all(file, offset, data)?;
    if open.privileged {
        drop_privileges(file)?;
    }
    u32::try_from(written).map_err(|_| UNKNOWN_FLAGS)
}

/// All of the data, or as much as there was room for.
fn write_all(file: &OwnedFd, offset: u64, data: &[u8]) -> Answer<usize> {
    let (mut rest, mut at) = (data, offset);
    while !rest.is_empty() {
        match rustix::io::pwrite(file, rest, at) {
            Ok(0) => break,
            Ok(count) => {
                rest = rest.get(count..).unwrap_or_default();
                at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) if rest.len() == data.len() => return Err(of_system(error)),
            Err(_) => break,
        }
    }
    Ok(data.len() - rest.len())
}

/// An attribute as long as it is: 256 bytes nearly always hold it.
fn attribute(get: impl Fn(&mut Vec<u8>) -> rustix::io::Result<usize>) -> Answer<Bytes> {
    const LENGTHS: [usize; 2] = [256, 64 << 10];
    let mut answer = Err(rustix::io::Errno::RANGE);
    for length in LENGTHS {
        let mut buffer = Vec::with_capacity(length);
        answer = get(&mut buffer).map(|_| buffer);
        if !matches!(answer, Err(rustix::io::Errno::RANGE)) {
            break;
        }
    }
    answer.map(Bytes::from).map_err(of_system)
}
