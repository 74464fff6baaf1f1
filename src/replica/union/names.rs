//! Which of the two a name leads to: the store or the directory beneath.

use std::ffi::OsStr;

use nix::errno::Errno;

use crate::fuse::errno::{NO_NAME, READ_ONLY};
use crate::fuse::filesystem::{Answer, Caller, Entry, FileSystem, Ino};
use crate::fuse::mirror::Mirror;
use crate::layout::Role;
use crate::replica::settings::Access;
use crate::volume::RelPath;

use super::nodes::{self, Node};
use super::{Union, attributes};

/// Rights of a directory that is made beneath because a local file needs it.
const OWNER_ONLY: u32 = 0o700;

/// A directory beneath the mount, looked up for one call.
pub(super) struct Beneath<'a> {
    mirror: &'a Mirror,
    /// Its number there.
    pub(super) ino: Ino,
    walked: Vec<Ino>,
}

impl Drop for Beneath<'_> {
    fn drop(&mut self) {
        self.walked.iter().for_each(|ino| self.mirror.forget(*ino, 1));
    }
}

impl Union {
    /// The path of a name in this directory; `None` if no volume can have it.
    pub(super) fn child(&self, parent: Ino, name: &OsStr) -> Answer<Option<RelPath>> {
        if !nodes::is_ours(parent) {
            return self.mirror.child(parent, name);
        }
        match self.nodes.get(parent)? {
            Node::Directory(directory) => Ok(name.to_str().and_then(|name| directory.join(name))),
            Node::File(_) => Err(Errno::ENOTDIR),
        }
    }

    /// What the store has under this name.
    pub(super) fn covered(&self, path: Option<&RelPath>) -> Option<Node> {
        let (path, view) = (path?, self.shown.view());
        if let Some(seen) = view.see(path) {
            let removed = self.removed.as_ref().is_some_and(|removed| removed.contains(path));
            return (!removed).then_some(Node::File(seen));
        }
        view.manifest.is_directory(path).then(|| Node::Directory(path.clone()))
    }

    /// What the store has under this name of this directory.
    pub(super) fn find(&self, parent: Ino, name: &OsStr) -> Answer<Option<Node>> {
        Ok(self.covered(self.child(parent, name)?.as_ref()))
    }

    /// The kernel is told of this node.
    pub(super) fn found(&self, node: Node) -> Answer<Entry> {
        let entry = self.entry(&node)?;
        self.nodes.remember(node);
        Ok(entry)
    }

    /// What `stat` shows of a node of ours, never to be believed for long: the follower goes on.
    pub(super) fn entry(&self, node: &Node) -> Answer<Entry> {
        let root = self.mirror.getattr(Ino::ROOT, None)?;
        let attr = match node {
            Node::File(seen) => attributes::file(node.ino(), &seen.file, &root.attr),
            Node::Directory(_) => {
                let changed = self.shown.view().manifest.time;
                attributes::directory(node.ino(), changed, &root.attr)
            }
        };
        Ok(Entry { attr, ttl: root.ttl })
    }

    /// This directory beneath the mount.
    pub(super) fn beneath(&self, ino: Ino) -> Answer<Beneath<'_>> {
        self.walk(ino, |parent, name| self.mirror.lookup(parent, name))
    }

    /// This directory beneath the mount, made if the volume has it and the disk has not.
    pub(super) fn beneath_made(&self, caller: Caller, ino: Ino) -> Answer<Beneath<'_>> {
        self.walk(ino, |parent, name| match self.mirror.lookup(parent, name) {
            Err(NO_NAME) => self.mirror.mkdir(caller, parent, name, OWNER_ONLY),
            found => found,
        })
    }

    /// An error if nothing local is shown.
    pub(super) fn local_shown(&self) -> Answer<()> {
        if self.settings.access == Access::Union { Ok(()) } else { Err(NO_NAME) }
    }

    /// An error if nothing local may be changed.
    pub(super) fn local_writable(&self) -> Answer<()> {
        if self.settings.access == Access::Union { Ok(()) } else { Err(READ_ONLY) }
    }

    /// An error if this name cannot be made here: it is taken by the store, or it is the kind of
    /// file that only a primary makes.
    pub(super) fn may_make(&self, parent: Ino, name: &OsStr) -> Answer<()> {
        self.local_writable()?;
        let Some(path) = self.child(parent, name)? else { return Ok(()) };
        if self.covered(Some(&path)).is_some() {
            return Err(Errno::EEXIST);
        }
        if self.layout.role(&path) == Role::Local {
            return Ok(());
        }
        self.tell_promotion(&path);
        Err(READ_ONLY)
    }

    fn walk(&self, ino: Ino, step: impl Fn(Ino, &OsStr) -> Answer<Entry>) -> Answer<Beneath<'_>> {
        self.local_shown()?;
        let mut beneath = Beneath { mirror: &self.mirror, ino, walked: Vec::new() };
        if !nodes::is_ours(ino) {
            return Ok(beneath);
        }
        let Node::Directory(path) = self.nodes.get(ino)? else { return Err(Errno::ENOTDIR) };
        beneath.ino = Ino::ROOT;
        for name in path.as_str().split('/') {
            beneath.ino = step(beneath.ino, name.as_ref())?.attr.ino;
            beneath.walked.push(beneath.ino);
        }
        Ok(beneath)
    }
}
