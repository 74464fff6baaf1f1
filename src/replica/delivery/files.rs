//! Files in place: changed where they are, never replaced, so that who has one mapped or open sees
//! the change. Written only where they differ.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Gid, Uid};

/// How much is compared at once.
const CHUNK: usize = 1 << 20;

/// Whose the files are: those of the database's directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) user: Uid,
    pub(super) group: Gid,
}

/// The permissions of new files, and of new directories, as the server itself gives them.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o775;

impl Owner {
    /// Opens a file to change it; makes it if there is none.
    pub(super) fn open(self, path: &Path) -> io::Result<File> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        self.give(path)?;
        Ok(file)
    }

    /// Makes a directory and those above it.
    pub(super) fn make_directory(self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = path.parent().ok_or(error)?;
                self.make_directory(above)?;
                return self.make_directory(path);
            }
            Err(error) => return Err(error),
        }
        fs::set_permissions(path, fs::Permissions::from_mode(DIRECTORY_MODE))?;
        self.give(path)
    }

    /// Makes this name, a symbolic link as well, the owner's.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        if Uid::effective().is_root() {
            std::os::unix::fs::lchown(path, Some(self.user.as_raw()), Some(self.group.as_raw()))?;
        }
        Ok(())
    }

    /// Gives a file this content and this length, in place.
    pub(super) fn put(self, path: &Path, content: &[u8]) -> io::Result<()> {
        let file = self.open(path)?;
        write_where_different(&file, 0, content)?;
        let len = u64::try_from(content.len()).map_err(io::Error::other)?;
        if file.metadata()?.len() != len {
            file.set_len(len)?;
        }
        Ok(())
    }
}

/// Writes what is not there already.
pub(super) fn write_where_different(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut here = vec![0; bytes.len().min(CHUNK)];
    let mut at = offset;
    for chunk in bytes.chunks(CHUNK) {
        let buffer = here.get_mut(..chunk.len()).unwrap_or_default();
        if read_up_to(file, at, buffer)? < chunk.len() || *buffer != *chunk {
            file.write_all_at(chunk, at)?;
        }
        at += u64::try_from(chunk.len()).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Fills the buffer; less only at the end of the file.
pub(super) fn read_up_to(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset + u64::try_from(done).map_err(io::Error::other)?;
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The beginning of a file, up to this length; `None` if there is no file.
pub(super) fn beginning(path: &Path, len: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(len.min(file.metadata()?.len())).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = read_up_to(&file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// What a removal of something that may be gone already amounts to.
pub(super) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
