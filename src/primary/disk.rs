//! The primary's own files, as the pipeline sees them: everything it does to a disk, so that a
//! simulation can stand in for it and stop at any effect.

use std::io;

use crate::layout::Files;
use crate::volume::RelPath;

/// The disk beneath the mount.
pub trait Disk: Files + Send {
    /// Makes the bytes of this file durable (`fdatasync`), whatever its name leads to now.
    fn sync(&self, path: &RelPath) -> io::Result<()>;

    /// What is held under this name was published: let it go. No error if nothing is held.
    fn release(&self, path: &RelPath) -> io::Result<()>;
}
