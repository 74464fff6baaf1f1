//! walfs's own place beneath the mount: `.walfs` with the node's note, the held files, what was
//! set aside, and files in the making. The mount shows another `.walfs`, never this one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use crate::volume::RelPath;

use super::beneath::Beneath;
use super::disk::NewFile;

/// The name, in the root of the directory.
pub(super) const NAME: &str = ".walfs";
/// The node's note.
pub(super) const NOTE: &str = "node.json";
/// What replicas should know of this database.
pub(super) const ABOUT: &str = crate::volume::about::NAME;
/// What the replica that used the directory before had whited out: one path per line.
pub(super) const REMOVED: &str = "removed";

/// walfs's own place.
#[derive(Debug)]
pub(super) struct Own {
    directory: OwnedFd,
    new_files: AtomicU64,
}

impl Own {
    /// The place in this directory, made if it is not there.
    pub(super) fn open(beneath: &Beneath) -> io::Result<Self> {
        let directory = directory(beneath.root(), NAME)?;
        Ok(Self { directory, new_files: AtomicU64::new(0) })
    }

    /// A directory in it, made if it is not there.
    pub(super) fn directory(&self, name: &str) -> io::Result<OwnedFd> {
        directory(&self.directory, name)
    }

    /// The content of a file in it.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mut file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    /// Replaces a file in it: atomically, and durable on return.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = format!("{name}.new");
        let mut file = create(&self.directory, &new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(&self.directory, new.as_str(), &self.directory, name)?;
        sync(&self.directory)
    }

    /// Begins a file that is to stand in the directory beneath.
    pub(super) fn begin(
        &self,
        beneath: &Beneath,
        path: &RelPath,
        size: u64,
    ) -> io::Result<Incoming> {
        let name = format!("new-{}", self.new_files.fetch_add(1, Ordering::Relaxed));
        let file = create(&self.directory, &name)?;
        file.set_len(size)?;
        let place = self.directory.try_clone()?;
        let beneath = beneath.clone();
        Ok(Incoming { beneath, place, name, file, path: path.clone(), kept: false })
    }

    /// Moves the file of this name in that directory, which was `path` to the database, to a place
    /// where people find it. Says which.
    pub(super) fn set_aside(
        &self,
        from: impl AsFd,
        name: &str,
        path: &RelPath,
    ) -> io::Result<String> {
        let old = name;
        let aside = self.directory("aside")?;
        let escaped = escape(path);
        for number in 1_u64.. {
            let name = format!("{escaped}.{number}");
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            if openat(&aside, name.as_str(), flags, Mode::empty()).is_ok() {
                continue;
            }
            renameat(&from, old, &aside, name.as_str())?;
            sync(&aside)?;
            return Ok(format!("{NAME}/aside/{name}"));
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// A file in the making: in walfs's place until it is kept.
#[derive(Debug)]
pub(super) struct Incoming {
    beneath: Beneath,
    place: OwnedFd,
    name: String,
    file: File,
    path: RelPath,
    kept: bool,
}

impl NewFile for Incoming {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn keep(mut self: Box<Self>) -> io::Result<()> {
        give_to_owner(&self.file, &self.beneath)?;
        self.file.sync_all()?;
        make_parents(&self.beneath, self.path.parent().as_ref())?;
        renameat(&self.place, self.name.as_str(), self.beneath.root(), self.path.as_str())?;
        self.kept = true;
        self.beneath.sync_names(self.path.parent().as_ref())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is overwritten by the next file in the making.
            let _gone = unlinkat(&self.place, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// A path as one file name.
pub(super) fn escape(path: &RelPath) -> String {
    path.as_str().replace('%', "%25").replace('/', "%2F")
}

/// The path that was escaped so.
pub(super) fn unescape(name: &str) -> Option<RelPath> {
    RelPath::new(&name.replace("%2F", "/").replace("%25", "%"))
}

/// A new file that only we may read, in place of an old one of that name.
pub(super) fn create(directory: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    Ok(File::from(openat(directory, name, flags | OFlag::O_NOFOLLOW, mode)?))
}

/// Makes the names in this directory durable.
pub(super) fn sync(directory: &OwnedFd) -> io::Result<()> {
    Ok(nix::unistd::fsync(directory)?)
}

fn directory(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(&parent, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// What a takeover makes belongs to whom the directory belongs to: the database.
fn give_to_owner(file: &File, beneath: &Beneath) -> io::Result<()> {
    let root = fstat(beneath.root())?;
    let (uid, gid) = (Uid::from_raw(root.st_uid), Gid::from_raw(root.st_gid));
    Ok(fchown(file, Some(uid), Some(gid))?)
}

fn make_parents(beneath: &Beneath, directory: Option<&RelPath>) -> io::Result<()> {
    let Some(path) = directory else { return Ok(()) };
    if beneath.open(Some(path))?.is_some() {
        return Ok(());
    }
    make_parents(beneath, path.parent().as_ref())?;
    mkdirat(beneath.root(), path.as_str(), Mode::S_IRWXU)?;
    let Some(made) = beneath.open(Some(path))? else { return Ok(()) };
    fchmod(&made, Mode::S_IRWXU)?;
    give_to_owner(&made, beneath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_path_comes_back() {
        for text in ["a", "a/b", "100%/%2F", "%25"] {
            let path = RelPath::new(text).unwrap();
            assert!(!escape(&path).contains('/'));
            assert_eq!(unescape(&escape(&path)), Some(path));
        }
    }
}
