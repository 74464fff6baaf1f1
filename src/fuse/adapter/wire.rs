//! Our values in the kernel library's words.

use std::time::UNIX_EPOCH;

use fuser::{FileAttr, FileType, INodeNo, Request, TimeOrNow};
use nix::errno::Errno;

use crate::fuse::filesystem::{Attr, Caller, Stamp};

pub(super) fn errno(errno: Errno) -> fuser::Errno {
    fuser::Errno::from(std::io::Error::from(errno))
}

/// The bit of a request's number that says that it is asked again (linux/fuse.h:
/// `FUSE_UNIQUE_RESEND`).
const AGAIN: u64 = 1 << 63;

pub(super) fn caller(request: &Request) -> Caller {
    let (uid, gid, pid) = (request.uid(), request.gid(), request.pid());
    Caller { uid, gid, pid, request: request.unique().0 & !AGAIN, again: again(request) }
}

/// Whether another worker was asked the same, and may have done it.
pub(super) fn again(request: &Request) -> bool {
    request.unique().0 & AGAIN != 0
}

pub(super) fn stamp(time: TimeOrNow) -> Stamp {
    match time {
        TimeOrNow::Now => Stamp::Now,
        TimeOrNow::SpecificTime(at) => Stamp::At(at),
    }
}

pub(super) fn attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size,
        blocks: attr.blocks,
        atime: attr.accessed,
        mtime: attr.modified,
        ctime: attr.changed,
        crtime: UNIX_EPOCH,
        kind: kind(attr.mode),
        perm: u16::try_from(attr.mode & 0o7777).unwrap_or(0),
        nlink: attr.links,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.device,
        blksize: attr.block_size,
        flags: 0,
    }
}

/// The type that the bits of a mode name; a regular file if they name none.
pub(super) fn kind(mode: u32) -> FileType {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => FileType::Directory,
        libc::S_IFLNK => FileType::Symlink,
        libc::S_IFIFO => FileType::NamedPipe,
        libc::S_IFSOCK => FileType::Socket,
        libc::S_IFCHR => FileType::CharDevice,
        libc::S_IFBLK => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}
