//! Requests that are asked again, after a worker died that was asked before. It may have done what
//! was asked, and only the answer is missing: then what is there already is a success. What cannot
//! be done twice, and does not show whether it was done once, is an error.
//!
//! Files that are made again are the filesystem's concern: it must make sure of their owner, too.

use std::ffi::OsStr;

use fuser::Request;
use nix::errno::Errno;

use super::wire::again;
use crate::fuse::errno::BROKEN;
use crate::fuse::filesystem::{Answer, Entry, FileSystem, Handle, Ino};

/// The answer to a removal; `missing` says that there is nothing to remove.
pub(super) fn removed(request: &Request, missing: Errno, answer: Answer<()>) -> Answer<()> {
    match answer {
        Err(errno) if errno == missing && again(request) => Ok(()),
        answer => answer,
    }
}

pub(super) fn rename(
    request: &Request,
    filesystem: &dyn FileSystem,
    from: (Ino, &OsStr),
    to: (Ino, &OsStr),
    flags: u32,
) -> Answer<()> {
    if again(request) && flags & libc::RENAME_EXCHANGE != 0 {
        return Err(BROKEN);
    }
    let answer = filesystem.rename(from, to, flags);
    if answer != Err(Errno::ENOENT) || !again(request) {
        return answer;
    }
    let there = filesystem.lookup(to.0, to.1)?;
    filesystem.forget(there.attr.ino, 1);
    Ok(())
}

pub(super) fn link(
    request: &Request,
    filesystem: &dyn FileSystem,
    ino: Ino,
    parent: Ino,
    name: &OsStr,
) -> Answer<Entry> {
    match filesystem.link(ino, parent, name) {
        Err(Errno::EEXIST) if again(request) => {
            let there = filesystem.lookup(parent, name)?;
            if there.attr.ino == ino {
                return Ok(there);
            }
            filesystem.forget(there.attr.ino, 1);
            Err(Errno::EEXIST)
        }
        answer => answer,
    }
}

/// The flags with which an attribute is set.
pub(super) fn set_flags(request: &Request, flags: i32) -> i32 {
    if again(request) { flags & !libc::XATTR_CREATE } else { flags }
}

pub(super) fn fallocate(
    request: &Request,
    filesystem: &dyn FileSystem,
    open: (Ino, Handle),
    range: (u64, u64),
    mode: i32,
) -> Answer<()> {
    let moves = libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;
    if again(request) && mode & moves != 0 {
        return Err(BROKEN);
    }
    filesystem.fallocate(open.0, open.1, range.0, range.1, mode)
}
