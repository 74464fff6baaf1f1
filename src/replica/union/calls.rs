//! The replica's answers, call by call. `open` and `lookup` of a name from the store never fail but
//! for a name that is not there: PostgreSQL stops at any other error.

use std::ffi::OsStr;

use bytes::Bytes;
use nix::errno::Errno;

use super::nodes::{self, Node};
use super::{Union, attributes};
use crate::fuse::errno::{COPY_YOURSELF, NO_ATTRIBUTE, NO_NAME, READ_ONLY, UNKNOWN_FLAGS, of_io};
use crate::fuse::filesystem::{
    Answer, Caller, Change, DirEntry, Entry, FileSystem, Handle, Ino, Opened, Reply, Space,
};
use crate::volume::{Content, File};

#[deny(clippy::missing_trait_methods, reason = "each call must choose between store and disk")]
impl FileSystem for Union {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        match self.find(parent, name)? {
            Some(node) => self.found(node),
            None => self.mirror.lookup(self.beneath(parent)?.ino, name),
        }
    }

    fn forget(&self, ino: Ino, lookups: u64) {
        if nodes::is_ours(ino) {
            self.nodes.forget(ino, lookups);
        } else {
            self.mirror.forget(ino, lookups);
        }
    }

    fn getattr(&self, ino: Ino, handle: Option<Handle>) -> Answer<Entry> {
        if nodes::is_ours(ino) {
            return self.entry(&self.latest(self.nodes.get(ino)?));
        }
        let mut entry = self.mirror.getattr(ino, handle)?;
        if ino == Ino::ROOT {
            entry.attr = attributes::root(entry.attr, self.shown.view().manifest.time);
        }
        Ok(entry)
    }

    fn setattr(&self, ino: Ino, handle: Option<Handle>, change: Change) -> Answer<Entry> {
        if !nodes::is_ours(ino) {
            self.local_writable()?;
            return self.mirror.setattr(ino, handle, change);
        }
        let entry = self.getattr(ino, handle)?;
        if attributes::changes_nothing(&change, &entry.attr) { Ok(entry) } else { Err(READ_ONLY) }
    }

    fn readlink(&self, ino: Ino) -> Answer<Bytes> {
        if nodes::is_ours(ino) { Err(Errno::EINVAL) } else { self.mirror.readlink(ino) }
    }

    fn mknod(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> Answer<Entry> {
        self.may_make(parent, name)?;
        self.mirror.mknod(caller, self.beneath_made(caller, parent)?.ino, name, mode, device)
    }

    fn mkdir(&self, caller: Caller, parent: Ino, name: &OsStr, mode: u32) -> Answer<Entry> {
        self.local_writable()?;
        if self.find(parent, name)?.is_some() {
            return Err(Errno::EEXIST);
        }
        self.mirror.mkdir(caller, self.beneath_made(caller, parent)?.ino, name, mode)
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        let removed = self.removed.as_ref().ok_or(READ_ONLY)?;
        match self.find(parent, name)? {
            None => self.mirror.unlink(self.beneath(parent)?.ino, name),
            Some(Node::Directory(_)) => Err(Errno::EISDIR),
            Some(Node::File(seen)) => {
                removed.add(seen.path).map_err(|error| of_io(&error))?;
                // The copy of the same name, if there is one, was not seen: it goes, too.
                match self.beneath(parent).and_then(|it| self.mirror.unlink(it.ino, name)) {
                    Ok(()) | Err(NO_NAME) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        self.local_writable()?;
        match self.find(parent, name)? {
            None => self.mirror.rmdir(self.beneath(parent)?.ino, name),
            Some(Node::Directory(_)) => Err(Errno::ENOTEMPTY),
            Some(Node::File(_)) => Err(Errno::ENOTDIR),
        }
    }

    fn symlink(&self, caller: Caller, parent: Ino, name: &OsStr, target: &OsStr) -> Answer<Entry> {
        self.may_make(parent, name)?;
        self.mirror.symlink(caller, self.beneath_made(caller, parent)?.ino, name, target)
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: u32) -> Answer<()> {
        self.local_writable()?;
        if self.find(from.0, from.1)?.is_some() {
            return Err(READ_ONLY);
        }
        if flags & libc::RENAME_EXCHANGE != 0 {
            self.may_make(from.0, from.1)?;
        }
        self.may_make(to.0, to.1).map_err(|_| READ_ONLY)?;
        let (source, target) = (self.beneath(from.0)?, self.beneath(to.0)?);
        self.mirror.rename((source.ino, from.1), (target.ino, to.1), flags)
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Answer<Entry> {
        if nodes::is_ours(ino) {
            return Err(READ_ONLY);
        }
        self.may_make(parent, name)?;
        self.mirror.link(ino, self.beneath(parent)?.ino, name)
    }

    fn open(&self, caller: Caller, ino: Ino, flags: i32, reply: Reply<Opened>) {
        if nodes::is_ours(ino) {
            reply.send(self.open_stored(ino, flags));
        } else {
            self.mirror.open(caller, ino, flags, reply);
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
        match self.find(parent, name) {
            Err(error) => reply.send(Err(error)),
            Ok(Some(node)) => reply.send(self.create_stored(node, flags)),
            Ok(None) => {
                let allowed = self.may_make(parent, name);
                match allowed.and_then(|()| self.beneath_made(caller, parent)) {
                    Ok(it) => self.mirror.create(caller, it.ino, name, mode, flags, reply),
                    Err(error) => reply.send(Err(error)),
                }
            }
        }
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, reply: Reply<Bytes>) {
        if !nodes::is_ours(ino) {
            return self.mirror.read(ino, handle, offset, size, reply);
        }
        match self.opens.get(handle) {
            Ok(open) => {
                let seen = self.shown.latest(&open.seen);
                if open.is_first_read() {
                    self.shown.fetch_ahead(&seen, self.settings.read_ahead);
                }
                self.read_shown(seen, offset, size, reply);
            }
            Err(error) => reply.send(Err(error)),
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
        if nodes::is_ours(ino) {
            reply.send(Err(READ_ONLY));
        } else {
            self.mirror.write(ino, handle, offset, data, flags, reply);
        }
    }

    fn fsync(&self, ino: Ino, handle: Handle, datasync: bool, reply: Reply<()>) {
        if nodes::is_ours(ino) {
            // PostgreSQL opens what it finds for writing, and syncs it. It is in the store.
            reply.send(Ok(()));
        } else {
            self.mirror.fsync(ino, handle, datasync, reply);
        }
    }

    fn release(&self, ino: Ino, handle: Handle) {
        if nodes::is_ours(ino) {
            self.opens.remove(handle);
        } else {
            self.mirror.release(ino, handle);
        }
    }

    fn readdir(
        &self,
        ino: Ino,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, u64) -> bool,
    ) -> Answer<()> {
        if Self::is_merged(ino) {
            self.list(ino, offset, add)
        } else {
            self.mirror.readdir(ino, offset, add)
        }
    }

    fn fsyncdir(&self, ino: Ino, reply: Reply<()>) {
        match self.beneath(ino) {
            Ok(beneath) => self.mirror.fsyncdir(beneath.ino, reply),
            // It is not on the disk, and needs no sync.
            Err(_) => reply.send(Ok(())),
        }
    }

    fn statfs(&self) -> Answer<Space> {
        self.mirror.statfs()
    }

    fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes> {
        if nodes::is_ours(ino) { Err(NO_ATTRIBUTE) } else { self.mirror.getxattr(ino, name) }
    }

    fn listxattr(&self, ino: Ino) -> Answer<Bytes> {
        if nodes::is_ours(ino) { Ok(Bytes::new()) } else { self.mirror.listxattr(ino) }
    }

    fn setxattr(&self, ino: Ino, name: &OsStr, value: &[u8], flags: i32) -> Answer<()> {
        ours_is_read_only(ino)?;
        self.local_writable()?;
        self.mirror.setxattr(ino, name, value, flags)
    }

    fn removexattr(&self, ino: Ino, name: &OsStr) -> Answer<()> {
        ours_is_read_only(ino)?;
        self.local_writable()?;
        self.mirror.removexattr(ino, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: i32) -> Answer<()> {
        ours_is_read_only(ino)?;
        self.mirror.fallocate(ino, handle, offset, len, mode)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: i64, whence: i32) -> Answer<i64> {
        if !nodes::is_ours(ino) {
            return self.mirror.lseek(ino, handle, offset, whence);
        }
        let seen = self.shown.latest(&self.opens.get(handle)?.seen);
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        let found = match whence {
            libc::SEEK_DATA => data_from(&seen.file, offset),
            libc::SEEK_HOLE => hole_from(&seen.file, offset),
            _ => return Err(UNKNOWN_FLAGS),
        };
        found.and_then(|at| i64::try_from(at).ok()).ok_or(Errno::ENXIO)
    }

    fn copy_file_range(
        &self,
        from: (Ino, Handle, u64),
        to: (Ino, Handle, u64),
        len: u64,
        flags: u32,
    ) -> Answer<u64> {
        ours_is_read_only(to.0)?;
        if nodes::is_ours(from.0) {
            return Err(COPY_YOURSELF);
        }
        self.mirror.copy_file_range(from, to, len, flags)
    }

    fn destroy(&self) {
        self.mirror.destroy();
    }
}

impl Union {
    fn open_stored(&self, ino: Ino, flags: i32) -> Answer<Opened> {
        let Node::File(seen) = self.latest(self.nodes.get(ino)?) else {
            return Err(Errno::EISDIR);
        };
        let whole = self.shown.whole(&seen);
        // A database may open all files only to sync them: what is not here yet is fetched when
        // somebody reads it. What is here will be read in the kernel, which we do not see.
        if whole.is_some() {
            self.shown.fetch_ahead(&seen, self.settings.read_ahead);
        }
        self.opens.add(seen, flags & libc::O_ACCMODE != libc::O_RDONLY, whole)
    }

    fn create_stored(&self, node: Node, flags: i32) -> Answer<(Entry, Opened)> {
        if flags & libc::O_EXCL != 0 {
            return Err(Errno::EEXIST);
        }
        if flags & libc::O_TRUNC != 0 {
            return Err(READ_ONLY);
        }
        let entry = self.found(node)?;
        let opened = self.open_stored(entry.attr.ino, flags);
        opened.map(|opened| (entry, opened)).inspect_err(|_| self.nodes.forget(entry.attr.ino, 1))
    }
}

fn ours_is_read_only(ino: Ino) -> Answer<()> {
    if nodes::is_ours(ino) { Err(READ_ONLY) } else { Ok(()) }
}

/// Where the next bytes are that were written; `None` at the end.
fn data_from(file: &File, offset: u64) -> Option<u64> {
    if offset >= file.size {
        return None;
    }
    match &file.content {
        Content::Sealed { .. } | Content::Pointer(_) => Some(offset),
        Content::Open(extents) => {
            extents.overlapping(offset..file.size).next().map(|next| next.offset.max(offset))
        }
    }
}

/// Where the next hole is, the file's end being one; `None` at the end.
fn hole_from(file: &File, offset: u64) -> Option<u64> {
    if offset >= file.size {
        return None;
    }
    match &file.content {
        Content::Sealed { .. } | Content::Pointer(_) => Some(file.size),
        Content::Open(extents) => {
            let mut at = offset;
            for extent in extents.overlapping(offset..file.size) {
                if extent.offset > at {
                    break;
                }
                at = extent.end();
            }
            Some(at.min(file.size))
        }
    }
}
