//! The directory beneath the mount, reached through the descriptor that was opened before
//! mounting. Follows no symbolic link and leaves the directory by none.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::layout::{FileId, Found, Kind, OpenFile};
use crate::volume::RelPath;

/// The directory beneath the mount.
#[derive(Clone, Debug)]
pub(super) struct Beneath {
    root: Arc<OwnedFd>,
}

impl Beneath {
    /// This directory.
    pub(super) fn new(root: Arc<OwnedFd>) -> Self {
        Self { root }
    }

    /// Its descriptor.
    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// A regular file or a directory, to read; `None` if there is no such name, or it is neither.
    pub(super) fn open(&self, path: Option<&RelPath>) -> io::Result<Option<File>> {
        match self.open_with(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()) {
            Ok(file) => {
                let kind = kind(&fstat(&file)?);
                Ok((kind != Kind::Other).then_some(file))
            }
            // A symbolic link or a device is not ours to follow or to open.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A regular file, to read.
    pub(super) fn open_file(&self, path: &RelPath) -> io::Result<Option<File>> {
        let Some(file) = self.open(Some(path))? else { return Ok(None) };
        Ok((kind(&fstat(&file)?) == Kind::File).then_some(file))
    }

    /// A name, with these flags.
    pub(super) fn open_with(
        &self,
        path: Option<&RelPath>,
        flags: OFlag,
        mode: Mode,
    ) -> nix::Result<File> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
            .mode(mode)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let path: &Path = path.map_or(Path::new("."), AsRef::as_ref);
        openat2(&*self.root, path, how).map(File::from)
    }

    /// What a directory has, but for `.` and `..` and names that no volume can have.
    pub(super) fn entries(
        &self,
        directory: Option<&RelPath>,
    ) -> io::Result<Vec<(RelPath, FileStat)>> {
        let Some(file) = self.open(directory)? else { return Ok(Vec::new()) };
        if kind(&fstat(&file)?) != Kind::Directory {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for entry in Dir::from_fd(file.try_clone()?.into())?.iter() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let path = match directory {
                Some(directory) => directory.join(name),
                None => RelPath::new(name),
            };
            let Some(path) = path else { continue };
            match fstatat(&file, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push((path, stat)),
                // A name that went since it was read is no news.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(entries)
    }

    /// Makes the names in this directory and in those above it durable.
    pub(super) fn sync_names(&self, directory: Option<&RelPath>) -> io::Result<()> {
        let mut directory = directory.cloned();
        loop {
            if let Some(file) = self.open(directory.as_ref())? {
                file.sync_all()?;
            }
            let Some(below) = directory else { return Ok(()) };
            directory = below.parent();
        }
    }
}

/// What a file is, under this name.
pub(super) fn found(path: &RelPath, stat: &FileStat, writers: bool) -> Found {
    Found {
        path: path.clone(),
        kind: kind(stat),
        size: stat.st_size.try_into().unwrap_or(0),
        modified: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        id: id(stat),
        writers,
    }
}

/// Which incarnation a file is.
pub(super) fn id(stat: &FileStat) -> FileId {
    FileId { device: stat.st_dev, inode: stat.st_ino }
}

fn kind(stat: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFDIR => Kind::Directory,
        _ => Kind::Other,
    }
}

/// A local file that is being looked at.
#[derive(Debug)]
pub(super) struct LocalFile {
    /// The name that it was found under.
    pub(super) path: RelPath,
    /// The file.
    pub(super) file: File,
    /// Somebody had it open for writing.
    pub(super) writers: bool,
}

impl OpenFile for LocalFile {
    fn found(&self) -> io::Result<Found> {
        Ok(found(&self.path, &fstat(&self.file)?, self.writers))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + u64::try_from(done).map_err(io::Error::other)?;
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
