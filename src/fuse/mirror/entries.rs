//! Reads a directory from an offset on, keeping nothing between calls: the offsets are the
//! system's own, which stay right while names come and go.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};

use super::nodes::Node;
use crate::fuse::errno::of_system;
use crate::fuse::filesystem::{Answer, DirEntry, Ino};

/// What the kernel asks for at once is at most this much too.
const BUFFER: usize = 32 << 10;

pub(super) fn read(
    node: &Node,
    offset: u64,
    add: &mut dyn FnMut(DirEntry, u64) -> bool,
) -> Answer<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory =
        rustix::fs::openat(&*node.file, ".", flags, Mode::empty()).map_err(of_system)?;
    if offset > 0 {
        rustix::fs::seek(&directory, SeekFrom::Start(offset)).map_err(of_system)?;
    }
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(of_system)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        let ino = if name == "." { node.ino } else { Ino(entry.ino()) };
        let kind = entry.file_type().as_raw_mode();
        if !add(DirEntry { ino, kind, name }, entry.next_entry_cookie()) {
            break;
        }
    }
    Ok(())
}
