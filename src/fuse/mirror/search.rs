//! Finds a file of which only the number is known, by looking through the whole directory. Needed
//! where a worker took over a file of which the system remembers no name.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::stat::{Identity, named};
use crate::fuse::errno::of_system;
use crate::fuse::filesystem::Answer;
use crate::fuse::hidden;

/// How often to look before believing that there is none: names move while they are looked for.
const TIMES: usize = 2;

/// A path of this file, from the root on; `None` if it has none there. `links`: how many names it
/// has altogether. An error: a directory cannot be listed, so that nobody knows.
pub(super) fn find(root: &OwnedFd, file: Identity, links: u32) -> Answer<Option<PathBuf>> {
    for _ in 0..TIMES {
        match look(root, file)? {
            Seen::Named(path) => return Ok(Some(path)),
            // Its other names are ours: there is nothing more to look for.
            Seen::Held(names) if names >= links => return Ok(None),
            Seen::Held(_) => {}
        }
    }
    Ok(None)
}

/// What a look through the whole directory saw of a file.
enum Seen {
    /// A name.
    Named(PathBuf),
    /// No name, but so many in our own place.
    Held(u32),
}

fn look(root: &OwnedFd, file: Identity) -> Answer<Seen> {
    let mut waiting = vec![PathBuf::new()];
    let mut held = 0;
    while let Some(place) = waiting.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if place.as_os_str().is_empty() { OsStr::new(".") } else { place.as_os_str() };
        let directory = match rustix::fs::openat(root, path, flags, Mode::empty()) {
            Ok(directory) => directory,
            // It went away, or what is called so now is no directory.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if path != "." => continue,
            Err(error) => return Err(of_system(error)),
        };
        for entry in Dir::read_from(&directory).map_err(of_system)? {
            let entry = match entry {
                Ok(entry) => entry,
                // It is just being removed, and empty.
                Err(Errno::NOENT) => break,
                Err(error) => return Err(of_system(error)),
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if entry.ino() == file.1 && named(&directory, name)? == Some(file) {
                if !place.starts_with(hidden::NAME) {
                    return Ok(Seen::Named(place.join(name)));
                }
                held += 1;
            }
            if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                waiting.push(place.join(name));
            }
        }
    }
    Ok(Seen::Held(held))
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
        assert_eq!(find(&root, id, 1), Ok(None));
        fs::hard_link(&held, &named).unwrap();
        assert_eq!(find(&root, id, 2), Ok(Some("a/b/c".into())));
        let outside = tempfile::tempdir().unwrap();
        fs::rename(&named, outside.path().join("c")).unwrap();
        assert_eq!(find(&root, id, 2), Ok(None));
    }

    #[test]
    fn what_cannot_be_listed_is_not_taken_for_a_place_without_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let id = file.as_file().metadata().map(|stat| (stat.dev(), stat.ino())).unwrap();
        let root = OwnedFd::from(file.into_file());
        assert_eq!(find(&root, id, 1), Err(nix::errno::Errno::ENOTDIR));
    }
}
