//! The read-only view through which a layout sees the primary's files. Its implementations are
//! the disk beneath the mount, the simulation's disk, and [`super::recorded`].

use std::fmt::Debug;
use std::io;

use crate::volume::RelPath;

/// The primary's files, to read. Includes what is held: a removed segment that was not shipped
/// yet is still found under its name.
pub trait Files: Debug {
    /// What a directory has (`None`: the root), by name, in no order. Not recursive. A directory
    /// that is gone has nothing.
    fn list(&self, dir: Option<&RelPath>) -> io::Result<Vec<Found>>;

    /// The file of this name, opened for reading; `None` if there is none.
    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn OpenFile>>>;
}

/// A file that is being looked at.
pub trait OpenFile: Debug {
    /// What it is now.
    fn found(&self) -> io::Result<Found>;

    /// Fills the buffer from `offset`; less only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A file or directory as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// Its length.
    pub size: u64,
    /// Nanoseconds of its last change of content; equal twice means unchanged, but for mmap.
    pub modified: i128,
    /// Which incarnation stands behind the name: a name is not an identity.
    pub id: FileId,
    /// Somebody has it open for writing, as far as the mount knows.
    pub writers: bool,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Neither; never replicated.
    Other,
}

/// One incarnation of a file: equal before and after a read means that the bytes are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}
