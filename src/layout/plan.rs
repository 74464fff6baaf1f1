//! What a layout is asked and what it answers. Plain values.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::volume::{LeftOut, Manifest, RelPath};

use super::Files;

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
    /// What an operator must hear, one sentence each, because replicas would wait for ever.
    /// Complete where [`Scope::All`] was looked at.
    pub problems: Vec<String>,
    /// Commits that the steps bring and that mean nothing to a replica.
    pub left_out: Vec<LeftOut>,
}

/// One thing to ship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This range of an open segment's file, from a block's border on. Blocks of zeros that were
    /// never shipped are left out: what no write covered reads as zeros.
    Tail {
        /// Which file.
        path: RelPath,
        /// What replicas show as its size; the rest reads as zeros.
        size: u64,
        /// From where; a multiple of [`crate::volume::edit::BLOCK`].
        offset: u64,
        /// How much; up to a block's border or to the end of the file. None at all: the step
        /// only tells the size.
        len: u64,
    },
    /// These files will never change again. A seal changes no byte that replicas see of a file
    /// which the manifest has open: the tails that it lacked stand before the seal in the same
    /// plan. Once these are shipped, later steps need not wait for the upload of the body. A
    /// segment whose files the manifest does not have was never shipped as tail: there later
    /// steps do wait.
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
    /// Nothing is shipped, but this file is durable on this disk before later steps count: they
    /// rely on what the database remembers in it.
    Rely {
        /// Which.
        path: RelPath,
    },
}

impl Step {
    /// How many bytes it carries.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Tail { len, .. } => *len,
            Self::Seal { files } => files.iter().map(|(_, size)| size).sum(),
            Self::Pointer { content, .. } => u64::try_from(content.len()).unwrap_or(u64::MAX),
            Self::Remove { .. } | Self::Rename { .. } | Self::Rely { .. } => 0,
        }
    }
}
