//! The primary's mount: the mirror of the directory, with a hook wherever the database commits, or
//! is about to destroy bytes that the store lacks. Changes nothing that the database can see.

use std::ffi::OsStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::fuse::filesystem::{
    Answer, Caller, Change, DirEntry, Entry, FileSystem, Handle, Ino, Opened, Reply, Space,
};

use super::hooks::{Hooks, commits_by_itself, writes};
use super::settings::Durability;
use super::ticks::Touch;

/// The primary's mount.
#[derive(Debug)]
pub(super) struct View {
    hooks: Arc<Hooks>,
}

impl View {
    /// The mount with these hooks.
    pub(super) fn new(hooks: Hooks) -> Self {
        Self { hooks: Arc::new(hooks) }
    }
}

/// A reply that goes on only if the answer is good.
fn and_then<T: 'static>(
    reply: Reply<T>,
    next: impl FnOnce(T, Reply<T>) + Send + 'static,
) -> Reply<T> {
    Reply::new(move |answer| match answer {
        Ok(value) => next(value, reply),
        Err(errno) => reply.send(Err(errno)),
    })
}

#[deny(clippy::missing_trait_methods, reason = "a call that slips past loses its hook")]
impl FileSystem for View {
    fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        self.hooks.mirror.lookup(parent, name)
    }

    fn forget(&self, ino: Ino, lookups: u64) {
        self.hooks.mirror.forget(ino, lookups);
    }

    fn getattr(&self, ino: Ino, handle: Option<Handle>) -> Answer<Entry> {
        self.hooks.mirror.getattr(ino, handle)
    }

    fn setattr(&self, ino: Ino, handle: Option<Handle>, change: Change) -> Answer<Entry> {
        self.hooks.writable()?;
        let Some(size) = change.size else { return self.hooks.mirror.setattr(ino, handle, change) };
        let path = self.hooks.file(ino)?;
        if let Some(path) = &path {
            self.hooks.guard.before_resize(path, size)?;
        }
        self.hooks.touched(path.as_ref(), self.hooks.mirror.setattr(ino, handle, change))
    }

    fn readlink(&self, ino: Ino) -> Answer<Bytes> {
        self.hooks.mirror.readlink(ino)
    }

    fn mknod(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> Answer<Entry> {
        self.hooks.writable()?;
        let path = self.hooks.child(parent, name)?;
        let answer = self.hooks.mirror.mknod(caller, parent, name, mode, device);
        self.hooks.touched(path.as_ref(), answer)
    }

    fn mkdir(&self, caller: Caller, parent: Ino, name: &OsStr, mode: u32) -> Answer<Entry> {
        self.hooks.writable()?;
        let path = self.hooks.child(parent, name)?;
        self.hooks.touched(path.as_ref(), self.hooks.mirror.mkdir(caller, parent, name, mode))
    }

    fn unlink(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        self.hooks.writable()?;
        let path = self.hooks.child(parent, name)?;
        if let Some(path) = &path {
            self.hooks.guard.before_name_goes(path)?;
        }
        self.hooks.touched(path.as_ref(), self.hooks.mirror.unlink(parent, name))
    }

    fn rmdir(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        self.hooks.writable()?;
        let path = self.hooks.child(parent, name)?;
        self.hooks.touched(path.as_ref(), self.hooks.mirror.rmdir(parent, name))
    }

    fn symlink(&self, caller: Caller, parent: Ino, name: &OsStr, target: &OsStr) -> Answer<Entry> {
        self.hooks.writable()?;
        self.hooks.mirror.symlink(caller, parent, name, target)
    }

    fn rename(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), flags: u32) -> Answer<()> {
        self.hooks.writable()?;
        let (old, new) = (self.hooks.child(from.0, from.1)?, self.hooks.child(to.0, to.1)?);
        self.hooks.guard.before_rename(old.as_ref(), new.as_ref(), flags)?;
        let renamed = self.hooks.mirror.rename(from, to, flags);
        self.hooks.has_name(new.as_ref());
        self.hooks.touched(old.as_ref(), self.hooks.touched(new.as_ref(), renamed))
    }

    fn link(&self, ino: Ino, parent: Ino, name: &OsStr) -> Answer<Entry> {
        self.hooks.writable()?;
        let path = self.hooks.child(parent, name)?;
        self.hooks.touched(path.as_ref(), self.hooks.mirror.link(ino, parent, name))
    }

    fn open(&self, caller: Caller, ino: Ino, flags: i32, reply: Reply<Opened>) {
        if !writes(flags) && self.hooks.durability == Durability::Async {
            return self.hooks.mirror.open(caller, ino, flags, reply);
        }
        let this = Arc::clone(&self.hooks);
        let reply = and_then(reply, move |mut opened, reply: Reply<Opened>| {
            this.admit(&this.file(ino), flags, &mut opened);
            reply.send(Ok(opened));
        });
        if !writes(flags) {
            return self.hooks.mirror.open(caller, ino, flags, reply);
        }
        let mirror = Arc::clone(&self.hooks.mirror);
        self.hooks.front.barrier.wait_for_room(Reply::new(move |room| match room {
            Ok(()) => mirror.open(caller, ino, flags, reply),
            Err(errno) => reply.send(Err(errno)),
        }));
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
        let (this, name) = (Arc::clone(&self.hooks), name.to_owned());
        self.hooks.front.barrier.wait_for_room(Reply::new(move |room| {
            let ready = room.and_then(|()| {
                let path = this.child(parent, &name)?;
                if let Some(path) = path.as_ref().filter(|_| flags & libc::O_TRUNC != 0) {
                    this.guard.before_resize(path, 0)?;
                }
                Ok(path)
            });
            let path = match ready {
                Ok(path) => path,
                Err(errno) => return reply.send(Err(errno)),
            };
            let hooked = Arc::clone(&this);
            let reply = and_then(reply, move |(entry, mut opened), reply: Reply<_>| {
                hooked.touch(path.as_ref(), Touch::Changed);
                hooked.admit(&Ok(path), flags, &mut opened);
                reply.send(Ok((entry, opened)));
            });
            this.mirror.create(caller, parent, &name, mode, flags, reply);
        }));
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, reply: Reply<Bytes>) {
        self.hooks.mirror.read(ino, handle, offset, size, reply);
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
        if let Err(errno) = self.hooks.writable() {
            return reply.send(Err(errno));
        }
        let this = Arc::clone(&self.hooks);
        let reply = and_then(reply, move |count, reply: Reply<u32>| {
            let path = this.file(ino);
            let known = path.as_ref().ok().and_then(Option::as_ref);
            this.touch(known, Touch::Wrote(u64::from(count)));
            if !commits_by_itself(flags) {
                return reply.send(Ok(count));
            }
            let committed = this.committed(path);
            committed(Reply::new(move |answer| reply.send(answer.map(|()| count))));
        });
        self.hooks.mirror.write(ino, handle, offset, data, flags, reply);
    }

    fn fsync(&self, ino: Ino, handle: Handle, datasync: bool, reply: Reply<()>) {
        if let Err(errno) = self.hooks.writable() {
            return reply.send(Err(errno));
        }
        let this = Arc::clone(&self.hooks);
        let reply = and_then(reply, move |(), reply| this.committed(this.file(ino))(reply));
        self.hooks.mirror.fsync(ino, handle, datasync, reply);
    }

    fn release(&self, ino: Ino, handle: Handle) {
        self.hooks.mirror.release(ino, handle);
    }

    fn readdir(
        &self,
        ino: Ino,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, u64) -> bool,
    ) -> Answer<()> {
        self.hooks.mirror.readdir(ino, offset, add)
    }

    fn fsyncdir(&self, ino: Ino, reply: Reply<()>) {
        if let Err(errno) = self.hooks.writable() {
            return reply.send(Err(errno));
        }
        let (front, durability) = (Arc::clone(&self.hooks.front), self.hooks.durability);
        let reply = and_then(reply, move |(), reply| match durability {
            Durability::Async => reply.send(Ok(())),
            // The names that changed left their hints when they did.
            Durability::InStore => front.barrier.wait_for_store(&front.ticks, reply),
        });
        self.hooks.mirror.fsyncdir(ino, reply);
    }

    fn statfs(&self) -> Answer<Space> {
        self.hooks.mirror.statfs()
    }

    fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes> {
        self.hooks.mirror.getxattr(ino, name)
    }

    fn listxattr(&self, ino: Ino) -> Answer<Bytes> {
        self.hooks.mirror.listxattr(ino)
    }

    fn setxattr(&self, ino: Ino, name: &OsStr, value: &[u8], flags: i32) -> Answer<()> {
        self.hooks.writable()?;
        self.hooks.mirror.setxattr(ino, name, value, flags)
    }

    fn removexattr(&self, ino: Ino, name: &OsStr) -> Answer<()> {
        self.hooks.writable()?;
        self.hooks.mirror.removexattr(ino, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: i32) -> Answer<()> {
        self.hooks.writable()?;
        let path = self.hooks.file(ino)?;
        if let Some(path) = path.as_ref().filter(|_| mode & !libc::FALLOC_FL_KEEP_SIZE != 0) {
            self.hooks.guard.before_resize(path, 0)?;
        }
        let allocated = self.hooks.mirror.fallocate(ino, handle, offset, len, mode);
        self.hooks.touched(path.as_ref(), allocated)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: i64, whence: i32) -> Answer<i64> {
        self.hooks.mirror.lseek(ino, handle, offset, whence)
    }

    fn copy_file_range(
        &self,
        from: (Ino, Handle, u64),
        to: (Ino, Handle, u64),
        len: u64,
        flags: u32,
    ) -> Answer<u64> {
        self.hooks.writable()?;
        let copied = self.hooks.mirror.copy_file_range(from, to, len, flags)?;
        self.hooks.touch(self.hooks.file_if_known(to.0).as_ref(), Touch::Wrote(copied));
        Ok(copied)
    }

    fn destroy(&self) {
        self.hooks.mirror.destroy();
    }
}
