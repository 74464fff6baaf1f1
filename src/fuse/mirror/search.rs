//! Finds a file of which only the number is known, by looking through the whole directory. Needed
//! where a worker took over a file of which the system remembers no name.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::stat::Identity;
use crate::fuse::hidden;

/// How often to look before believing that there is none: names move while they are looked for.
const TIMES: usize = 2;

/// A path of this file, from the root on; `None` if it has none there. An error: a directory cannot
/// be listed, so that nobody knows.
pub(super) fn find(root: &OwnedFd, file: Identity) -> io::Result<Option<PathBuf>> {
    for _ in 0..TIMES {
        if let Some(found) = look(root, file)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn look(root: &OwnedFd, file: Identity) -> io::Result<Option<PathBuf>> {
    let mut waiting = vec![PathBuf::new()];
    while let Some(place) = waiting.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if place.as_os_str().is_empty() { OsStr::new(".") } else { place.as_os_str() };
        let directory = match rustix::fs::openat(root, path, flags, Mode::empty()) {
            Ok(directory) => directory,
            // It went away, or what is called so now is no directory.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if place != Path::new("") => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." || place.as_os_str().is_empty() && name == hidden::NAME {
                continue;
            }
            if entry.ino() == file.1 && is_it(directory.as_fd(), name, file) {
                return Ok(Some(place.join(name)));
            }
            if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                waiting.push(place.join(name));
            }
        }
    }
    Ok(None)
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
        assert_eq!(find(&root, id).unwrap(), None);
        fs::hard_link(&held, &named).unwrap();
        assert_eq!(find(&root, id).unwrap(), Some("a/b/c".into()));
    }

    #[test]
    fn what_cannot_be_listed_is_not_taken_for_a_place_without_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let id = file.as_file().metadata().map(|stat| (stat.dev(), stat.ino())).unwrap();
        let root = OwnedFd::from(file.into_file());
        let error = find(&root, id).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTDIR));
    }
}
