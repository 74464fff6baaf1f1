//! A directory's entries, from the store and from beneath, in an order that does not change while
//! names come and go: that of a hash of the name, which is also the offset to go on from.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::fuse::filesystem::{Answer, DirEntry, FileSystem, Ino};
use crate::volume::{Digest, RelPath};

use super::Union;
use super::nodes::{self, Node};

/// Offsets of `.` and `..`; names come after them.
const DOTS: u64 = 2;

impl Union {
    /// Whether this directory has names from both.
    pub(super) fn is_merged(ino: Ino) -> bool {
        ino == Ino::ROOT || nodes::is_ours(ino)
    }

    /// Calls `add` with the entries from `offset` on, until it says `false`.
    pub(super) fn list(
        &self,
        ino: Ino,
        offset: u64,
        add: &mut dyn FnMut(DirEntry, u64) -> bool,
    ) -> Answer<()> {
        let directory = match ino {
            Ino::ROOT => None,
            ino => match self.nodes.get(ino)? {
                Node::Directory(path) => Some(path),
                Node::File(_) => return Err(nix::errno::Errno::ENOTDIR),
            },
        };
        let up = directory.as_ref().map_or(Ino::ROOT, nodes::parent);
        for (name, ino, next) in [(".", ino, 1), ("..", up, DOTS)] {
            let dot = DirEntry { ino, kind: libc::S_IFDIR, name: name.into() };
            if next > offset && !add(dot, next) {
                return Ok(());
            }
        }
        let mut entries = self.stored(directory.as_ref());
        self.add_local(ino, &mut entries)?;
        let mut entries: Vec<_> = entries.into_iter().map(|it| (order(&it.name), it)).collect();
        entries.retain(|(order, _)| *order > offset);
        entries.sort_unstable_by_key(|(order, _)| *order);
        for (order, entry) in entries {
            if !add(entry, order) {
                break;
            }
        }
        Ok(())
    }

    fn stored(&self, directory: Option<&RelPath>) -> Vec<DirEntry> {
        let view = self.shown.view();
        let names = view.manifest.list(directory);
        let paths = names.into_iter().filter_map(|(name, _)| match directory {
            None => RelPath::new(name),
            Some(directory) => directory.join(name),
        });
        let nodes = paths.filter_map(|path| Some((self.covered(Some(&path))?, path)));
        let entry = |(node, path): (Node, RelPath)| DirEntry {
            ino: node.ino(),
            kind: match node {
                Node::File(_) => libc::S_IFREG,
                Node::Directory(_) => libc::S_IFDIR,
            },
            name: path.name().into(),
        };
        nodes.map(entry).collect()
    }

    fn add_local(&self, ino: Ino, entries: &mut Vec<DirEntry>) -> Answer<()> {
        // A directory that the volume has need not be on the disk.
        let Ok(beneath) = self.beneath(ino) else { return Ok(()) };
        let stored: std::collections::HashSet<OsString> =
            entries.iter().map(|entry| entry.name.clone()).collect();
        self.mirror.readdir(beneath.ino, 0, &mut |entry, _| {
            if entry.name != "." && entry.name != ".." && !stored.contains(&entry.name) {
                entries.push(entry);
            }
            true
        })
    }
}

/// Where a name stands: positive as a signed number, which the kernel makes of it.
fn order(name: &OsStr) -> u64 {
    let digest = Digest::of(name.as_bytes());
    let head = digest.0.first_chunk().expect("a digest has 32 bytes");
    (u64::from_le_bytes(*head) >> 1).max(DOTS + 1)
}
