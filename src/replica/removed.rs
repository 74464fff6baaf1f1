//! Names from the store that the local database removed: its own housekeeping, which neither the
//! volume nor other replicas care about. Kept as `.walfs/removed` in the directory beneath the
//! mount, one path per line; a takeover does not bring them back.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;

use crate::volume::RelPath;

use super::cache::folder::open_dir;

const NAME: &str = "removed";
const NEW_NAME: &str = "removed.new";

/// The names that are not shown though the store has them.
#[derive(Debug)]
pub struct Removed {
    folder: OwnedFd,
    /// Guards: the names, and that the file agrees with them.
    paths: Mutex<BTreeSet<RelPath>>,
}

impl Removed {
    /// What was removed so far in this directory.
    pub fn open(directory: BorrowedFd<'_>) -> io::Result<Self> {
        let folder = open_dir(directory, Path::new(crate::fuse::hidden::NAME))?;
        let mut text = String::new();
        open(&folder, NAME, OFlag::O_RDONLY | OFlag::O_CREAT)?.read_to_string(&mut text)?;
        let paths = text.lines().filter_map(RelPath::new).collect();
        Ok(Self { folder, paths: Mutex::new(paths) })
    }

    /// Whether this name was removed here.
    pub fn contains(&self, path: &RelPath) -> bool {
        self.lock().contains(path)
    }

    /// Removes this name. A name with a line break cannot be kept, and is not removed.
    pub fn add(&self, path: RelPath) -> io::Result<()> {
        if path.as_str().contains('\n') {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let mut paths = self.lock();
        let mut file = open(&self.folder, NAME, OFlag::O_WRONLY | OFlag::O_APPEND)?;
        file.write_all(format!("{path}\n").as_bytes())?;
        paths.insert(path);
        Ok(())
    }

    /// Forgets the names that the volume does not have any more: if they come again, they are
    /// other files.
    pub fn prune(&self, exists: impl Fn(&RelPath) -> bool) -> io::Result<()> {
        let mut paths = self.lock();
        let before = paths.len();
        paths.retain(exists);
        if paths.len() == before {
            return Ok(());
        }
        let lines: Vec<_> = paths.iter().map(RelPath::as_str).chain([""]).collect();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        open(&self.folder, NEW_NAME, flags)?.write_all(lines.join("\n").as_bytes())?;
        Ok(renameat(&self.folder, NEW_NAME, &self.folder, NAME)?)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<RelPath>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(folder: &OwnedFd, name: &str, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(File::from(openat(folder.as_fd(), name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn open_in(directory: &tempfile::TempDir) -> Removed {
        Removed::open(File::open(directory.path()).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn removed_names_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let removed = open_in(&directory);
        removed.add(path("000000010000000000000001")).unwrap();
        removed.add(path("a/b")).unwrap();
        assert!(removed.add(path("a\nb")).is_err());
        let again = open_in(&directory);
        assert!(again.contains(&path("a/b")) && !again.contains(&path("a")));
    }

    #[test]
    fn a_name_that_the_volume_forgot_is_shown_when_it_comes_again() {
        let directory = tempfile::tempdir().unwrap();
        let removed = open_in(&directory);
        removed.add(path("a")).unwrap();
        removed.add(path("b")).unwrap();
        removed.prune(|known| *known == path("b")).unwrap();
        for removed in [removed, open_in(&directory)] {
            assert!(removed.contains(&path("b")) && !removed.contains(&path("a")));
        }
    }
}
