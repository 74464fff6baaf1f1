//! A file's number for ever: what the system's `name_to_handle_at` tells of it, so that it can be
//! opened again without any name and without a descriptor being kept. Not every filesystem knows
//! such handles, and only root may open them.

#![expect(unsafe_code, reason = "libc has these two calls, and no crate of ours wraps them")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use crate::fuse::errno::FORGOTTEN;
use crate::fuse::filesystem::Answer;

/// The longest handle that there is (linux/exportfs.h: `MAX_HANDLE_SZ`).
const MAX: usize = 128;

/// A file's number for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHandle {
    raw: Raw,
}

/// `struct file_handle` with room for its bytes; those behind the length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Raw {
    len: libc::c_uint,
    kind: libc::c_int,
    bytes: [u8; MAX],
}

impl FileHandle {
    /// The handle of this kind with these bytes, as [`FileHandle::parts`] told them.
    pub fn new(kind: i32, bytes: &[u8]) -> Option<Self> {
        let len = libc::c_uint::try_from(bytes.len()).ok()?;
        let mut raw = Raw { len, kind, bytes: [0; MAX] };
        raw.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { raw })
    }

    /// Its kind, which only the filesystem understands, and its bytes.
    pub fn parts(&self) -> (i32, &[u8]) {
        let len = usize::try_from(self.raw.len).unwrap_or(MAX).min(MAX);
        (self.raw.kind, self.raw.bytes.get(..len).unwrap_or(&self.raw.bytes))
    }

    /// The handle of this file; `None` where the filesystem has none.
    pub fn of(file: &OwnedFd) -> Option<Self> {
        let len = libc::c_uint::try_from(MAX).ok()?;
        let mut raw = Raw { len, kind: 0, bytes: [0; MAX] };
        let mut mount: libc::c_int = 0;
        // SAFETY: the path is a string that ends in NUL, empty because the descriptor is meant; the
        // handle has as much room behind its head as its length says, which is how the system
        // wants it; both pointers are to values that live through the call.
        let done = unsafe {
            let handle: *mut libc::file_handle = (&raw mut raw).cast();
            let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            libc::name_to_handle_at(file.as_raw_fd(), path, handle, &raw mut mount, flags)
        };
        (done == 0).then_some(Self { raw })
    }

    /// The file, opened with `O_PATH`; `root` is any file of the same filesystem. Forgotten if it is
    /// gone, or if we may not.
    pub fn open(&self, root: &OwnedFd) -> Answer<OwnedFd> {
        let mut raw = self.raw;
        let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: the handle is one that the system gave us, with its length, and lives through
        // the call. A descriptor that comes back is new, and nobody else's.
        unsafe {
            let handle: *mut libc::file_handle = (&raw mut raw).cast();
            let file = libc::open_by_handle_at(root.as_raw_fd(), handle, flags);
            if file >= 0 { Ok(OwnedFd::from_raw_fd(file)) } else { Err(why_not()) }
        }
    }
}

/// Why the last call did not open it: what we have no room for shall not pass for gone.
fn why_not() -> Errno {
    match Errno::last() {
        lack @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => lack,
        _ => FORGOTTEN,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_handle_finds_a_file_that_was_renamed_and_no_other_that_has_its_number() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let root = OwnedFd::from(File::open(directory.path()).unwrap());
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        fs::write(&old, "").unwrap();
        let file = OwnedFd::from(File::open(&old).unwrap());
        let Some(handle) = FileHandle::of(&file) else { return };
        fs::rename(&old, &new).unwrap();
        let Ok(found) = handle.open(&root) else { return };
        let inode = File::from(found).metadata().unwrap().ino();
        assert_eq!(inode, fs::metadata(&new).unwrap().ino());
        drop(file);
        fs::remove_file(&new).unwrap();
        fs::write(&new, "").unwrap();
        assert_eq!(handle.open(&root).err(), Some(FORGOTTEN));
    }
}
