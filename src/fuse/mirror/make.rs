//! Makes files for somebody else: the daemon makes them, the caller owns them, with the group and
//! the permissions that they would have had without us.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};

use super::nodes::{Node, proc_path};
use super::stat::{PERMISSIONS, device, stat};
use super::{Mirror, kept, open_path};
use crate::fuse::errno::of_system;
use crate::fuse::filesystem::{Answer, Caller, Entry, Ino, Opened};

/// What is to be made.
pub(super) enum Thing<'a> {
    Directory { mode: u32 },
    Link { target: &'a OsStr },
    Node { mode: u32, device: u32 },
}

impl Mirror {
    pub(super) fn make(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        thing: &Thing<'_>,
    ) -> Answer<Entry> {
        let parent = self.nodes.get(parent)?;
        let directory = &*parent.file;
        let outcome = match *thing {
            Thing::Directory { mode } => rustix::fs::mkdirat(directory, name, permissions(mode)),
            Thing::Link { target } => rustix::fs::symlinkat(target, directory, name),
            Thing::Node { mode, device: number } => {
                let kind = FileType::from_raw_mode(mode);
                rustix::fs::mknodat(directory, name, kind, permissions(mode), device(number))
            }
        };
        match outcome {
            Err(rustix::io::Errno::EXIST) if caller.again => {}
            made => made.map_err(of_system)?,
        }
        let file = open_path(directory, name)?;
        let mode = match *thing {
            Thing::Directory { mode } | Thing::Node { mode, .. } => Some(mode),
            Thing::Link { .. } => None,
        };
        give(&file, caller, &parent, mode)?;
        self.adopt(file).map(|(_, entry)| entry)
    }

    /// Makes and opens a file; opens what is there if the flags allow it.
    pub(super) fn make_open(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Answer<(Entry, Opened)> {
        let directory = self.nodes.get(parent)?;
        let exclusive = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let flags_here = kept(flags) | exclusive;
        let outcome = rustix::fs::openat(&*directory.file, name, flags_here, permissions(mode));
        let file = match outcome {
            // Made by a worker that died before it gave it away.
            Err(rustix::io::Errno::EXIST) if caller.again => {
                give(&open_path(&directory.file, name)?, caller, &directory, Some(mode))?;
                return self.open_existing(caller, parent, name, flags);
            }
            Err(rustix::io::Errno::EXIST) if flags & libc::O_EXCL == 0 => {
                return self.open_existing(caller, parent, name, flags);
            }
            new => new.map_err(of_system)?,
        };
        give(&file, caller, &directory, Some(mode))?;
        let path = proc_path(&file);
        let handle = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let (node, entry) = self.adopt(handle.map_err(of_system)?)?;
        let opened = self.opened(caller, &node, file, flags);
        self.entry_and(&node, entry, opened)
    }

    /// Somebody else made it since the kernel looked.
    fn open_existing(
        &self,
        caller: Caller,
        parent: Ino,
        name: &OsStr,
        flags: i32,
    ) -> Answer<(Entry, Opened)> {
        let (node, entry) = self.look_up(parent, name)?;
        let opened = self.open_node(caller, &node, flags).and_then(|opened| {
            if flags & libc::O_TRUNC != 0 {
                let open = self.opens.get(opened.handle)?;
                let file = self.descriptor(node.ino, &open)?;
                rustix::fs::ftruncate(file, 0).map_err(of_system)?;
            }
            Ok(opened)
        });
        self.entry_and(&node, entry, opened)
    }

    /// A failed open takes the look-up back: the kernel is not told of the file.
    fn entry_and(
        &self,
        node: &Node,
        entry: Entry,
        opened: Answer<Opened>,
    ) -> Answer<(Entry, Opened)> {
        match opened {
            Ok(opened) => Ok((entry, opened)),
            Err(errno) => {
                self.nodes.forget(node.ino, 1);
                Err(errno)
            }
        }
    }
}

/// Gives a new file its owner, its group and the permissions that our own umask took.
fn give(file: &OwnedFd, caller: Caller, parent: &Node, mode: Option<u32>) -> Answer<()> {
    // In a directory with the setgid bit, the system gave the file the directory's group.
    let inherits = u32::from(stat(&*parent.file)?.stx_mode) & libc::S_ISGID != 0;
    let group = (!inherits).then(|| Gid::from_raw(caller.gid));
    let owner = Some(Uid::from_raw(caller.uid));
    rustix::fs::chownat(file, "", owner, group, AtFlags::EMPTY_PATH).map_err(of_system)?;
    let Some(mode) = mode else { return Ok(()) };
    let now = u32::from(stat(file)?.stx_mode);
    let inherited = if inherits && now & libc::S_IFMT == libc::S_IFDIR { libc::S_ISGID } else { 0 };
    let due = mode & PERMISSIONS | inherited;
    if now & PERMISSIONS != due {
        rustix::fs::chmod(proc_path(file), Mode::from_raw_mode(due)).map_err(of_system)?;
    }
    Ok(())
}

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & PERMISSIONS)
}
