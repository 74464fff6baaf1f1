//! The kernel's requests, one by one.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileHandle, INodeNo, IoctlFlags, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request,
    TimeOrNow, WriteFlags,
};

use super::Shared;
use super::again;
use super::replies::{
    reply_attr, reply_attribute, reply_create, reply_empty, reply_entry, reply_open, reply_space,
};
use super::session::negotiate;
use super::wire::{caller, errno, kind, stamp};
use crate::fuse::errno::{NO_ATTRIBUTE, NO_CONTROLS, NO_NAME};
use crate::fuse::filesystem::{Answer, Change, Handle, Ino, Reply};

/// The filesystem as the kernel library wants it.
#[derive(Debug)]
pub(super) struct Requests {
    shared: Arc<Shared>,
    want_passthrough: bool,
}

impl Requests {
    pub(super) fn new(shared: Arc<Shared>, want_passthrough: bool) -> Self {
        Self { shared, want_passthrough }
    }

    fn call(&self, name: &'static str) -> &dyn crate::fuse::filesystem::FileSystem {
        self.shared.calls.count(name);
        &*self.shared.filesystem
    }
}

impl fuser::Filesystem for Requests {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let passthrough = negotiate(config, self.want_passthrough)?;
        self.shared.ways.set_passthrough(passthrough);
        Ok(())
    }

    fn destroy(&mut self) {
        self.shared.filesystem.destroy();
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        reply_entry(reply, self.call("lookup").lookup(Ino(parent.0), name));
    }

    fn forget(&self, _request: &Request, ino: INodeNo, count: u64) {
        self.call("forget").forget(Ino(ino.0), count);
        self.shared.ways.forgotten(Ino(ino.0));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        let handle = handle.map(|handle| Handle(handle.0));
        reply_attr(reply, self.call("getattr").getattr(Ino(ino.0), handle));
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        handle: Option<FileHandle>,
        _created: Option<SystemTime>,
        _attributes_changed: Option<SystemTime>,
        _backed_up: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (accessed, modified) = (accessed.map(stamp), modified.map(stamp));
        let change = Change { mode, uid, gid, size, accessed, modified };
        let handle = handle.map(|handle| Handle(handle.0));
        reply_attr(reply, self.call("setattr").setattr(Ino(ino.0), handle, change));
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        match self.call("readlink").readlink(Ino(ino.0)) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let filesystem = self.call("mknod");
        reply_entry(reply, filesystem.mknod(caller(request), Ino(parent.0), name, mode, device));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let filesystem = self.call("mkdir");
        reply_entry(reply, filesystem.mkdir(caller(request), Ino(parent.0), name, mode));
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self.call("unlink").unlink(Ino(parent.0), name);
        reply_empty(reply, again::removed(request, NO_NAME, answer));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self.call("rmdir").rmdir(Ino(parent.0), name);
        reply_empty(reply, again::removed(request, NO_NAME, answer));
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (filesystem, target) = (self.call("symlink"), target.as_os_str());
        reply_entry(reply, filesystem.symlink(caller(request), Ino(parent.0), name, target));
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((Ino(parent.0), name), (Ino(new_parent.0), new_name));
        reply_empty(reply, again::rename(request, self.call("rename"), from, to, flags.bits()));
    }

    fn link(&self, of: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let filesystem = self.call("link");
        reply_entry(reply, again::link(of, filesystem, Ino(ino.0), Ino(parent.0), name));
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (shared, ino) = (Arc::clone(&self.shared), Ino(ino.0));
        let answer = Reply::new(move |answer| reply_open(&shared, ino, reply, answer));
        self.call("open").open(caller(request), ino, flags.0, answer);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let shared = Arc::clone(&self.shared);
        let answer = Reply::new(move |answer| reply_create(&shared, reply, answer));
        self.call("create").create(caller(request), Ino(parent.0), name, mode, flags, answer);
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let answer = Reply::new(move |answer: Answer<bytes::Bytes>| match answer {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno(error)),
        });
        self.call("read").read(Ino(ino.0), Handle(handle.0), offset, size, answer);
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let answer = Reply::new(move |answer: Answer<u32>| match answer {
            Ok(count) => reply.written(count),
            Err(error) => reply.error(errno(error)),
        });
        let (ino, handle) = (Ino(ino.0), Handle(handle.0));
        self.call("write").write(ino, handle, offset, data, flags.0, answer);
    }

    fn flush(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn release(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        // First, so that a filesystem never takes an inode for one without opens in the kernel
        // which has some: it may be about to let a writer in.
        self.shared.ways.released(Ino(ino.0), Handle(handle.0));
        self.call("release").release(Ino(ino.0), Handle(handle.0));
        self.shared.ways.forgotten(Ino(ino.0));
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        let answer = Reply::new(move |answer| reply_empty(reply, answer));
        self.call("fsync").fsync(Ino(ino.0), Handle(handle.0), datasync, answer);
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let read = self.call("readdir").readdir(Ino(ino.0), offset, &mut |entry, next| {
            !reply.add(INodeNo(entry.ino.0), next, kind(entry.kind), entry.name)
        });
        match read {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let answer = Reply::new(move |answer| reply_empty(reply, answer));
        self.call("fsyncdir").fsyncdir(Ino(ino.0), answer);
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply_space(reply, self.call("statfs").statfs());
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let flags = again::set_flags(request, flags);
        reply_empty(reply, self.call("setxattr").setxattr(Ino(ino.0), name, value, flags));
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        reply_attribute(reply, size, self.call("getxattr").getxattr(Ino(ino.0), name));
    }

    fn listxattr(&self, _request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        reply_attribute(reply, size, self.call("listxattr").listxattr(Ino(ino.0)));
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self.call("removexattr").removexattr(Ino(ino.0), name);
        reply_empty(reply, again::removed(request, NO_ATTRIBUTE, answer));
    }

    fn ioctl(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(errno(NO_CONTROLS));
    }

    fn fallocate(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let (filesystem, open) = (self.call("fallocate"), (Ino(ino.0), Handle(handle.0)));
        reply_empty(reply, again::fallocate(request, filesystem, open, (offset, len), mode));
    }

    fn lseek(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        match self.call("lseek").lseek(Ino(ino.0), Handle(handle.0), offset, whence) {
            Ok(offset) => reply.offset(offset),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        from: INodeNo,
        from_handle: FileHandle,
        from_offset: u64,
        to: INodeNo,
        to_handle: FileHandle,
        to_offset: u64,
        len: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let from = (Ino(from.0), Handle(from_handle.0), from_offset);
        let to = (Ino(to.0), Handle(to_handle.0), to_offset);
        // The answer has 32 bits; the caller asks again for the rest.
        let len = len.min(u64::from(u32::MAX >> 1));
        let flags = u32::try_from(flags.bits()).unwrap_or(u32::MAX);
        match self.call("copy_file_range").copy_file_range(from, to, len, flags) {
            Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }
}
