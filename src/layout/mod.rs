//! What a database's files mean. The only place that knows a database. A layout sees files
//! through a read-only view ([`Files`]), so that a recorded directory is a complete test; it does
//! no network I/O, reads no clock, and writes nothing.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::volume::{Manifest, RelPath};

/// What a path is to the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Log data: grows, then becomes immutable. Replicated.
    Segment,
    /// Small, rewritten in place, shipped whole. Replicated.
    Pointer,
    /// Never leaves this host; on a replica it lives in the directory beneath the mount.
    Local,
}

/// What the database's removal of a segment's name means to the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Housekeeping of one host: the volume keeps the segment, and what was not shipped yet is
    /// held until it is (PostgreSQL's `pg_wal`).
    Housekeeping,
    /// Part of the history: the volume forgets the file too.
    History,
}

/// The meaning of one database's files.
pub trait Layout: Debug + Send + Sync {
    /// What operators call it: the value of `layout=`.
    fn name(&self) -> &'static str;

    /// What this path is. Depends on nothing but the path.
    fn role(&self, path: &RelPath) -> Role;

    /// What a removal of this path by the database means.
    fn removal(&self, path: &RelPath) -> Removal;

    /// What of these files the store lacks, in the order in which replicas may see it.
    /// Complete for what `look.scope` names; it may leave later steps out, never earlier ones.
    fn capture(&self, look: &Look<'_>) -> io::Result<Plan>;

    /// Whether this path has bytes that matter and that `shipped` lacks. Asked before the
    /// database's removal, rename or overwrite of a name destroys them.
    fn owes(&self, files: &dyn Files, path: &RelPath, shipped: &Manifest) -> io::Result<bool>;
}

/// What a layout looks at.
#[derive(Debug)]
pub struct Look<'a> {
    /// The primary's files.
    pub files: &'a dyn Files,
    /// What the store has.
    pub shipped: &'a Manifest,
    /// Where to look.
    pub scope: Scope<'a>,
}

/// Where to look. A hint saves work and never decides: [`Scope::All`] comes round regularly and
/// compares everything that is not sealed, block by block.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Everywhere.
    All,
    /// At these paths, which something touched since the last look.
    Only(&'a BTreeSet<RelPath>),
}

/// What may be shipped, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which replicas may see the effects.
    pub steps: Vec<Step>,
    /// What the database calls the point that the steps lead to.
    pub database: Option<String>,
    /// How many bytes the steps will carry: the backlog, before compression.
    pub backlog: u64,
}

/// One thing to ship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This range of an open segment's file, from a block's border on.
    Tail {
        /// Which file.
        path: RelPath,
        /// What replicas show as its size; the rest reads as zeros.
        size: u64,
        /// From where; a multiple of [`crate::volume::edit::BLOCK`].
        offset: u64,
        /// How much.
        len: u64,
    },
    /// These files will never change again. If their tails have all been shipped, later steps
    /// need not wait for the upload of the body.
    Seal {
        /// The files of the segment and their sizes.
        files: Vec<(RelPath, u64)>,
    },
    /// This pointer, with this content.
    Pointer {
        /// Which.
        path: RelPath,
        /// All of it.
        content: Bytes,
    },
    /// The file is gone.
    Remove {
        /// Which.
        path: RelPath,
    },
    /// The file has another name.
    Rename {
        /// Its name in the manifest.
        from: RelPath,
        /// Its name on the disk.
        to: RelPath,
    },
}

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

/// The layout that operators call so.
pub fn by_name(name: &str) -> Option<Arc<dyn Layout>> {
    let _ = name;
    None
}

/// The layout that these files look like; `None` if nothing is recognised.
pub fn recognise(files: &dyn Files) -> io::Result<Option<Arc<dyn Layout>>> {
    let _ = files;
    Ok(None)
}
