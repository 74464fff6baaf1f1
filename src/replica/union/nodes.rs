//! The files and directories from the store that the kernel knows of, by its numbers. A number
//! follows from the path and the life of the file: it is the same while a segment grows and when
//! it is sealed, and another one when the name leads to another file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fuse::errno::FORGOTTEN;
use crate::fuse::filesystem::{Answer, Ino};
use crate::replica::view::{Life, Seen};
use crate::volume::{Digest, RelPath};

/// Our numbers have the highest bit and not the next one: no disk's inodes, nor `.walfs`'s.
const OURS: u64 = 1 << 63;

/// What a number of ours stands for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A file, as it was when it was last looked up.
    File(Seen),
    /// A directory that holds files from the store.
    Directory(RelPath),
}

impl Node {
    /// The kernel's number for it.
    pub(super) fn ino(&self) -> Ino {
        match self {
            Self::File(seen) => file(&seen.path, seen.life),
            Self::Directory(path) => directory(path),
        }
    }
}

/// The number of a file.
pub(super) fn file(path: &RelPath, life: Life) -> Ino {
    number(&format!("{}\0{path}", life.0))
}

/// The number of a directory.
pub(super) fn directory(path: &RelPath) -> Ino {
    number(&format!("/{path}"))
}

/// The number of a file's directory; `None`: the root's.
pub(super) fn parent(path: &RelPath) -> Ino {
    path.parent().map_or(Ino::ROOT, |parent| directory(&parent))
}

/// Whether this is a number of ours.
pub(super) fn is_ours(ino: Ino) -> bool {
    ino.0 >> 62 == OURS >> 62
}

fn number(text: &str) -> Ino {
    let digest = Digest::of(text.as_bytes());
    let head = digest.0.first_chunk().expect("a digest has 32 bytes");
    Ino(OURS | u64::from_le_bytes(*head) >> 2)
}

/// What the kernel knows of.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Guards: which nodes are known, and how often the kernel looked each up.
    known: Mutex<HashMap<Ino, (Node, u64)>>,
}

impl Nodes {
    pub(super) fn get(&self, ino: Ino) -> Answer<Node> {
        self.lock().get(&ino).map(|(node, _)| node.clone()).ok_or(FORGOTTEN)
    }

    pub(super) fn knows(&self, ino: Ino) -> bool {
        self.lock().contains_key(&ino)
    }

    /// The kernel is about to be told of this node once more.
    pub(super) fn remember(&self, node: Node) {
        let mut known = self.lock();
        let (kept, lookups) = known.entry(node.ino()).or_insert_with(|| (node.clone(), 0));
        *kept = node;
        *lookups += 1;
    }

    /// The kernel dropped so many look-ups.
    pub(super) fn forget(&self, ino: Ino, count: u64) {
        let mut known = self.lock();
        let Some((_, lookups)) = known.get_mut(&ino) else { return };
        *lookups = lookups.saturating_sub(count);
        if *lookups == 0 {
            known.remove(&ino);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ino, (Node, u64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
