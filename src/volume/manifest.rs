//! What the volume contains at a position. Cheap to clone and to swap whole (persistent maps).
//! Says where bytes are, holds none but those of pointers, fetches nothing. How a link changes
//! it: see [`fold`](super::fold).

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::frames::Frame;
use super::{Digest, Epoch, Extents, Fence, Position, RelPath, SegmentId, WallTime};

/// What the volume contains at a position.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The last link that was folded; `None` before the first one.
    pub position: Option<Position>,
    /// The digest of that link: what the next one must name.
    pub digest: Digest,
    /// When that link was cut.
    pub time: WallTime,
    /// What the database called this point, when last told.
    pub database: Option<String>,
    /// The fence that began this epoch: who is primary, and since when.
    pub reign: Option<Fence>,
    /// The files.
    pub files: OrdMap<RelPath, Arc<File>>,
    /// The bodies that the files name, and no others.
    pub segments: OrdMap<SegmentId, Arc<Segment>>,
    /// How long things are kept: the policy's document.
    pub policy: Option<Bytes>,
    /// How many files name each body; the last one to go takes the body along.
    pub(super) names: OrdMap<SegmentId, usize>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its length, holes included.
    pub size: u64,
    /// When the batch that changed it last was cut.
    pub changed: WallTime,
    /// Where its bytes are.
    pub content: Content,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its segment is open: the bytes are in batches.
    Open(Extents),
    /// Its segment is sealed: `size` bytes of the body's stream, from `start`.
    Sealed {
        /// Which body.
        segment: SegmentId,
        /// Where the file begins in the body's stream.
        start: u64,
    },
    /// It is a pointer.
    Pointer(Bytes),
}

/// A body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The length of its stream.
    pub len: u64,
    /// Its frames, in order.
    pub frames: Vec<Frame>,
}

/// Why a link does not fit a manifest. Always corruption or a bug of the writer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link {position} does not fit: {reason}")]
pub struct Misfit {
    /// Which link.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// A file.
    File(&'a Arc<File>),
    /// A directory: files exist below it.
    Directory,
}

impl Manifest {
    /// The volume before its first link.
    pub fn empty() -> Self {
        Self {
            position: None,
            digest: Digest::GENESIS,
            time: WallTime::default(),
            database: None,
            reign: None,
            files: OrdMap::new(),
            segments: OrdMap::new(),
            policy: None,
            names: OrdMap::new(),
        }
    }

    /// The epoch whose chain comes next: the one after a fence, else the current one.
    pub fn epoch(&self) -> Epoch {
        self.reign.as_ref().map_or(Epoch::GENESIS, |fence| fence.next)
    }

    /// Where the next link stands.
    pub fn successor(&self) -> Position {
        let epoch = self.epoch();
        self.position
            .filter(|position| position.epoch == epoch)
            .map_or(Position::first(epoch), Position::next)
    }

    /// The file of this name.
    pub fn file(&self, path: &RelPath) -> Option<&Arc<File>> {
        self.files.get(path)
    }

    /// What this name leads to.
    pub fn node(&self, path: &RelPath) -> Option<Node<'_>> {
        match self.file(path) {
            Some(file) => Some(Node::File(file)),
            None => self.is_directory(path).then_some(Node::Directory),
        }
    }

    /// Whether files exist below this path.
    pub fn is_directory(&self, path: &RelPath) -> bool {
        self.below(path).next().is_some()
    }

    /// The files below this path, in order.
    pub fn below(&self, path: &RelPath) -> impl Iterator<Item = (&RelPath, &Arc<File>)> {
        let directory = format!("{path}/");
        let from = (Bound::Excluded(directory.as_str()), Bound::Unbounded);
        let files = self.files.range::<_, str>(from);
        files.take_while(move |(path, _)| is_below(path, &directory))
    }

    /// What a directory (`None`: the root) has directly below it, by name. Costs one step per
    /// entry, whatever lies deeper.
    pub fn list(&self, dir: Option<&RelPath>) -> Vec<(&str, Node<'_>)> {
        let below = dir.map_or_else(String::new, |dir| format!("{dir}/"));
        let mut from = Bound::Included(below.clone());
        let mut found = Vec::new();
        loop {
            let range = (from.as_ref().map(String::as_str), Bound::Unbounded);
            let next = self.files.range::<_, str>(range).next();
            let Some((path, file)) = next.filter(|(path, _)| is_below(path, &below)) else { break };
            let rest = path.as_str().get(below.len()..).unwrap_or_default();
            if let Some((name, _)) = rest.split_once('/') {
                found.push((name, Node::Directory));
                // `0` is the character after `/`: the first name that is not below this one.
                from = Bound::Included(format!("{below}{name}0"));
            } else {
                found.push((rest, Node::File(file)));
                from = Bound::Excluded(path.as_str().to_owned());
            }
        }
        found.sort_unstable_by_key(|(name, _)| *name);
        found
    }

    /// Up to where the store has this file's bytes: the end of the last extent of an open file,
    /// all of a sealed one and of a pointer; 0 if there is none.
    pub fn shipped_len(&self, path: &RelPath) -> u64 {
        self.file(path).map_or(0, |file| match &file.content {
            Content::Open(extents) => extents.end(),
            Content::Sealed { .. } | Content::Pointer(_) => file.size,
        })
    }

    /// How many files there are.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// How long the files are in all, holes included. Looks at each of them.
    pub fn byte_count(&self) -> u64 {
        self.files.values().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

fn is_below(path: &RelPath, below: &str) -> bool {
    path.as_str().starts_with(below)
}
