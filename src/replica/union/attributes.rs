//! What `stat` shows of files from the store: the owner and the rights of the directory beneath,
//! the times of the batches.

use std::time::{Duration, SystemTime};

use crate::fuse::filesystem::{Attr, Change, Ino, Stamp};
use crate::volume::{Content, File, WallTime};

/// The rights of a file among those of a directory: no one may run it.
const FILE_RIGHTS: u32 = 0o666;
/// The bits of a mode that say who may do what.
const RIGHTS: u32 = 0o777;
/// The bits of a mode that `chmod` sets.
const PERMISSIONS: u32 = 0o7777;
/// What `st_blocks` counts in.
const SECTOR: u64 = 512;

/// A file's; `root` are those of the directory beneath.
pub(super) fn file(ino: Ino, file: &File, root: &Attr) -> Attr {
    let allocated = match &file.content {
        Content::Open(extents) => extents.end(),
        Content::Sealed { .. } | Content::Pointer(_) => file.size,
    };
    let mode = libc::S_IFREG | (root.mode & FILE_RIGHTS);
    let size = file.size;
    let attr = Attr { ino, mode, size, blocks: allocated.div_ceil(SECTOR), links: 1, ..*root };
    at(attr, file.changed)
}

/// A directory's that the volume has; it changes when the volume does.
pub(super) fn directory(ino: Ino, changed: WallTime, root: &Attr) -> Attr {
    let mode = libc::S_IFDIR | (root.mode & RIGHTS);
    at(Attr { ino, mode, size: 4096, blocks: 8, links: 2, ..*root }, changed)
}

/// The root's: the directory beneath, which also changes when the volume does.
pub(super) fn root(root: Attr, changed: WallTime) -> Attr {
    let changed = time(changed);
    Attr { modified: root.modified.max(changed), changed: root.changed.max(changed), ..root }
}

/// Whether a change leaves all as it is. The last read is nobody's concern.
pub(super) fn changes_nothing(change: &Change, attr: &Attr) -> bool {
    let same_time = match change.modified {
        None => true,
        Some(Stamp::At(time)) => time == attr.modified,
        Some(Stamp::Now) => false,
    };
    same_time
        && change.mode.is_none_or(|mode| mode & PERMISSIONS == attr.mode & PERMISSIONS)
        && change.uid.is_none_or(|uid| uid == attr.uid)
        && change.gid.is_none_or(|gid| gid == attr.gid)
        && change.size.is_none_or(|size| size == attr.size)
}

fn at(attr: Attr, changed: WallTime) -> Attr {
    let changed = time(changed);
    Attr { accessed: changed, modified: changed, changed, ..attr }
}

fn time(wall: WallTime) -> SystemTime {
    let since = Duration::from_micros(u64::try_from(wall.0).unwrap_or(0));
    SystemTime::UNIX_EPOCH + since
}
