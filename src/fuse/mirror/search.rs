//! Finds a file of which only the number is known, by looking through the whole directory. Needed
//! where a worker took over a file of which the system remembers no name.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::stat::Identity;
use crate::fuse::hidden;

/// A path of this file, from the root on.
pub(super) fn find(root: &OwnedFd, file: Identity) -> Option<PathBuf> {
    let mut waiting = vec![PathBuf::new()];
    while let Some(place) = waiting.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if place.as_os_str().is_empty() { OsStr::new(".") } else { place.as_os_str() };
        let Ok(directory) = rustix::fs::openat(root, path, flags, Mode::empty()) else { continue };
        let Ok(entries) = Dir::read_from(&directory) else { continue };
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." || place.as_os_str().is_empty() && name == hidden::NAME {
                continue;
            }
            if entry.ino() == file.1 && is_it(directory.as_fd(), name, file) {
                return Some(place.join(name));
            }
            if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                waiting.push(place.join(name));
            }
        }
    }
    None
}

fn is_it(directory: impl AsFd, name: &OsStr, file: Identity) -> bool {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| (stat.st_dev, stat.st_ino) == file)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_is_found_wherever_it_is_but_in_our_own_place() {
        let directory = tempfile::tempdir().unwrap();
        let root = OwnedFd::from(File::open(directory.path()).unwrap());
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::create_dir(directory.path().join(hidden::NAME)).unwrap();
        let (held, named) = (directory.path().join(".walfs/1-c"), directory.path().join("a/b/c"));
        fs::write(&held, "").unwrap();
        let id = fs::metadata(&held).map(|stat| (stat.dev(), stat.ino())).unwrap();
        assert_eq!(find(&root, id), None);
        fs::hard_link(&held, &named).unwrap();
        assert_eq!(find(&root, id), Some("a/b/c".into()));
    }
}
