//! Our answers, as the kernel library sends them.

#![expect(unsafe_code, reason = "numbers of registered files have to be kept, and taken up again")]

use std::io;
use std::os::fd::OwnedFd;

use fuser::{
    BackingId, FileHandle, FopenFlags, Generation, ReplyAttr, ReplyCreate, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyXattr,
};

use super::Shared;
use super::ways::{Registrar, Way};
use super::wire::{attr, errno};
use crate::fuse::errno::{NOT_PASSED, TOO_SMALL};
use crate::fuse::filesystem::{Answer, Entry, Ino, Opened, Space};

/// File numbers are not reused while the kernel knows them.
const GENERATION: Generation = Generation(0);

pub(super) fn reply_empty(reply: ReplyEmpty, answer: Answer<()>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

/// A name that is not there is an error, never an entry: the kernel would remember it.
pub(super) fn reply_entry(reply: ReplyEntry, answer: Answer<Entry>) {
    match answer {
        Ok(entry) => reply.entry(&entry.ttl, &attr(&entry.attr), GENERATION),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn reply_attr(reply: ReplyAttr, answer: Answer<Entry>) {
    match answer {
        Ok(entry) => reply.attr(&entry.ttl, &attr(&entry.attr)),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn reply_space(reply: ReplyStatfs, answer: Answer<Space>) {
    match answer {
        Ok(space) => reply.statfs(
            space.blocks,
            space.free,
            space.available,
            space.files,
            space.files_free,
            space.block_size,
            space.name_max,
            space.block_size,
        ),
        Err(error) => reply.error(errno(error)),
    }
}

/// Asked with size 0, the kernel wants to know the size.
pub(super) fn reply_attribute(reply: ReplyXattr, size: u32, answer: Answer<bytes::Bytes>) {
    match answer.and_then(|value| Ok((u32::try_from(value.len()).map_err(|_| TOO_SMALL)?, value))) {
        Ok((length, _)) if size == 0 => reply.size(length),
        Ok((length, _)) if length > size => reply.error(errno(TOO_SMALL)),
        Ok((_, value)) => reply.data(&value),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn reply_open(shared: &Shared, ino: Ino, reply: ReplyOpen, answer: Answer<Opened>) {
    let opened = match answer {
        Ok(opened) => opened,
        Err(error) => return reply.error(errno(error)),
    };
    let handle = FileHandle(opened.handle.0);
    match shared.ways.opened(ino, opened.handle, &opened.io, &reply) {
        Way::Kernel(id) => reply.opened_passthrough(handle, FopenFlags::FOPEN_NOFLUSH, &id),
        Way::Daemon(flags) => reply.opened(handle, flags),
        Way::Refused => {
            shared.filesystem.release(ino, opened.handle);
            reply.error(errno(NOT_PASSED));
        }
    }
}

pub(super) fn reply_create(shared: &Shared, reply: ReplyCreate, answer: Answer<(Entry, Opened)>) {
    let (entry, opened) = match answer {
        Ok(created) => created,
        Err(error) => return reply.error(errno(error)),
    };
    let (handle, file) = (FileHandle(opened.handle.0), attr(&entry.attr));
    match shared.ways.opened(entry.attr.ino, opened.handle, &opened.io, &reply) {
        Way::Kernel(id) => {
            let flags = FopenFlags::FOPEN_NOFLUSH;
            reply.created_passthrough(&entry.ttl, &file, GENERATION, handle, flags, &id);
        }
        Way::Daemon(flags) => reply.created(&entry.ttl, &file, GENERATION, handle, flags),
        Way::Refused => {
            shared.filesystem.release(entry.attr.ino, opened.handle);
            shared.filesystem.forget(entry.attr.ino, 1);
            reply.error(errno(NOT_PASSED));
        }
    }
}

impl Registrar for ReplyOpen {
    fn register(&self, file: &OwnedFd) -> io::Result<BackingId> {
        self.open_backing(file)
    }

    fn take_up(&self, number: u32) -> BackingId {
        // SAFETY: the number is one that the kernel gave for this very connection, and whoever had
        // it let go of it without closing it: another worker by dying, we by `into_raw`.
        unsafe { self.wrap_backing(number) }
    }
}

impl Registrar for ReplyCreate {
    fn register(&self, file: &OwnedFd) -> io::Result<BackingId> {
        self.open_backing(file)
    }

    fn take_up(&self, number: u32) -> BackingId {
        // SAFETY: as for `ReplyOpen`.
        unsafe { self.wrap_backing(number) }
    }
}
