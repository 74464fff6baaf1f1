//! The directory of the cache, reached through its descriptor, so that a mount over its path
//! changes nothing. Does not decide what stays: see `ledger`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, Whence, linkat, lseek64, unlinkat};

use super::ledger::Name;

/// The directory.
#[derive(Debug)]
pub struct Folder {
    dir: OwnedFd,
    _lock: Flock<File>,
}

/// A file of the cache in use. While one of these lives, the file stays.
#[derive(Debug)]
pub struct Leased {
    /// The file, to read and write.
    pub file: File,
    shared: OnceLock<Arc<OwnedFd>>,
}

/// How a file looked: equal twice means that nobody wrote to it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Folder {
    /// Opens the directory, making it and its parents where they are missing. A relative path
    /// begins at `at`. Only one mount may use it at a time.
    pub fn open(at: Option<BorrowedFd<'_>>, path: &Path) -> io::Result<Self> {
        let dir = open_dir(at.unwrap_or(AT_FDCWD), path)?;
        let lock = openat(&dir, "lock", OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC, OWNER)?;
        let lock = Flock::lock(File::from(lock), FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| busy(path, error))?;
        Ok(Self { dir, _lock: lock })
    }

    /// The files that are there, with their bytes on disk and their last change.
    pub fn list(&self) -> io::Result<Vec<(Name, u64, i64)>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut files = Vec::new();
        for entry in Dir::openat(&self.dir, ".", flags, Mode::empty())?.iter() {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().and_then(Name::parse) else {
                continue;
            };
            let stat = self.stat(name)?;
            files.push((name, allocated(stat.st_blocks), stat.st_mtime));
        }
        Ok(files)
    }

    /// Opens a file that is there.
    pub fn find(&self, name: Name) -> io::Result<Option<Leased>> {
        self.open_file(name, OFlag::empty())
    }

    /// Opens a file, made if it is not there.
    pub fn make(&self, name: Name) -> io::Result<Leased> {
        self.open_file(name, OFlag::O_CREAT)?.ok_or_else(|| io::Error::from(Errno::ENOENT))
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: Name) -> io::Result<()> {
        found(unlinkat(&self.dir, name.to_string().as_str(), UnlinkatFlags::NoRemoveDir))
    }

    /// Gives a file a second name; a file of that name is replaced.
    pub fn link(&self, name: Name, to: Name) -> io::Result<()> {
        self.remove(to)?;
        let (name, to) = (name.to_string(), to.to_string());
        found(linkat(&self.dir, name.as_str(), &self.dir, to.as_str(), AtFlags::empty()))
    }

    fn open_file(&self, name: Name, flags: OFlag) -> io::Result<Option<Leased>> {
        let flags = flags | OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        match openat(&self.dir, name.to_string().as_str(), flags, OWNER) {
            Ok(file) => Ok(Some(Leased { file: File::from(file), shared: OnceLock::new() })),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn stat(&self, name: Name) -> io::Result<FileStat> {
        let name = name.to_string();
        Ok(fstatat(&self.dir, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }
}

impl Leased {
    /// Its bytes on the disk.
    pub fn allocated(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }

    /// How it looks now.
    pub fn stamp(&self) -> io::Result<Stamp> {
        let found = self.file.metadata()?;
        Ok(Stamp {
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// The file once more, for the kernel to read from. The same one as long as the lease lives.
    pub fn shared(&self) -> io::Result<Arc<OwnedFd>> {
        if let Some(shared) = self.shared.get() {
            return Ok(Arc::clone(shared));
        }
        let copy = Arc::new(OwnedFd::from(self.file.try_clone()?));
        Ok(Arc::clone(self.shared.get_or_init(|| copy)))
    }

    /// The bytes of this range; `None` if not all of them were ever written.
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
        let whence = Whence::SeekHole;
        let start = i64::try_from(offset).map_err(io::Error::other)?;
        let hole = match lseek64(&self.file, start, whence) {
            Ok(hole) => u64::try_from(hole).map_err(io::Error::other)?,
            Err(Errno::ENXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = offset + u64::try_from(len).map_err(io::Error::other)?;
        if hole < end {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const OWNER: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// Opens a directory, making what is missing of its path.
pub fn open_dir(at: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let mut made = PathBuf::new();
    for part in path.components() {
        made.push(part);
        if matches!(part, Component::Normal(_)) {
            match mkdirat(at.as_fd(), &made, Mode::S_IRWXU) {
                // A parent that cannot be written to may still lead there.
                Ok(()) | Err(Errno::EEXIST | Errno::EROFS | Errno::EACCES) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

fn found(outcome: nix::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn allocated(blocks: i64) -> u64 {
    u64::try_from(blocks).unwrap_or(0) * 512
}

fn busy(path: &Path, error: Errno) -> io::Error {
    match error {
        Errno::EWOULDBLOCK => io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "the cache {} is used by another mount: choose another one with cache=DIR",
                path.display()
            ),
        ),
        error => error.into(),
    }
}
