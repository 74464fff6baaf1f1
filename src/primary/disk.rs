//! The primary's own files, as the pipeline sees them: everything it does to a disk, so that a
//! simulation can stand in for it and stop at any effect.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;

use bytes::Bytes;

use crate::layout::{FileId, Files};
use crate::volume::RelPath;

/// Eight bytes of a file, which somebody else changes.
pub trait Signal: Debug + Send {
    /// What they are now, as a number; perhaps half-way between two.
    fn value(&self) -> u64;
}

/// The disk beneath the mount, while the primary runs.
pub trait Disk: Files + Send + Sync {
    /// Makes the bytes of the file that this name leads to durable (`fdatasync`), and says which
    /// incarnation it was. `None` if there is no such file: nothing was made durable.
    fn sync(&self, path: &RelPath) -> io::Result<Option<FileId>>;

    /// Begins to write out the bytes of this file, so that [`Disk::sync`] need not wait for them
    /// alone. What fails is left for that to find.
    fn sync_soon(&self, _path: &RelPath) {}

    /// Eight bytes of this file, to be watched; `None` if it does not have them.
    fn signal(&self, _path: &RelPath, _offset: u64) -> io::Result<Option<Box<dyn Signal>>> {
        Ok(None)
    }

    /// Makes the names in this directory durable (`None`: the root), and its own name too.
    /// A directory that is gone has no names.
    fn sync_names(&self, dir: Option<&RelPath>) -> io::Result<()>;

    /// Files that somebody has open in a way that makes bytes durable without a hint
    /// (`O_DSYNC`, `O_SYNC`).
    fn unseen(&self) -> BTreeSet<RelPath>;

    /// The names under which something is held.
    fn held(&self) -> io::Result<BTreeSet<RelPath>>;

    /// What is held longest under this name was published: let it go. No error if nothing is held.
    fn release(&self, path: &RelPath) -> io::Result<()>;
}

/// What a node's reign needs of the disk besides: its own note, and files to write at a takeover.
pub trait Home: Disk {
    /// The note that was kept last.
    fn recall(&self) -> io::Result<Option<Bytes>>;

    /// Keeps this note in place of the last one: atomically, and durable on return.
    fn remember(&self, note: &[u8]) -> io::Result<()>;

    /// The names that the replica which used this directory before had whited out.
    fn removed(&self) -> io::Result<BTreeSet<RelPath>>;

    /// Begins a file that is to stand under this name, of this size, all holes.
    fn create(&self, path: &RelPath, size: u64) -> io::Result<Box<dyn NewFile>>;

    /// Moves everything that is held out of the way, too. Returns the places.
    fn set_held_aside(&self) -> io::Result<Vec<String>>;

    /// Moves the file out of the way, to a place where people can find it. Returns that place.
    fn set_aside(&self, path: &RelPath) -> io::Result<String>;
}

/// A file that is being made. Dropped, it leaves nothing behind.
pub trait NewFile: Debug + Send {
    /// Writes all of these bytes.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Gives the file its name, in place of whatever had it. Bytes and name are durable on return.
    fn keep(self: Box<Self>) -> io::Result<()>;
}
