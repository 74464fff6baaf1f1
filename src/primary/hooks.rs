//! What the mount's calls have to do for the volume: which paths it is concerned with, hints for
//! the loop, and what a commit waits for.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::fuse::estate::Left;
use crate::fuse::filesystem::{Answer, Ino, Io, Opened, Reply};
use crate::fuse::mirror::Mirror;
use crate::layout::{FileId, Layout, Role};
use crate::volume::RelPath;

use super::front::Front;
use super::guard::Guard;
use super::local_disk::{LocalDisk, Writers};
use super::settings::Durability;
use super::ticks::Touch;

/// What the mount's calls have to do for the volume.
#[derive(Debug)]
pub(super) struct Hooks {
    pub(super) mirror: Arc<Mirror>,
    pub(super) guard: Guard,
    disk: Arc<LocalDisk>,
    layout: Arc<dyn Layout>,
    pub(super) front: Arc<Front>,
    pub(super) durability: Durability,
}

impl Writers for Mirror {
    fn write(&self, file: FileId) -> bool {
        self.writers(file.device, file.inode).all > 0
    }

    fn write_unseen(&self, file: FileId) -> bool {
        self.writers(file.device, file.inode).synchronous > 0
    }
}

impl Hooks {
    /// The hooks of this mirror's directory.
    pub(super) fn new(
        mirror: Arc<Mirror>,
        disk: Arc<LocalDisk>,
        layout: Arc<dyn Layout>,
        front: Arc<Front>,
        durability: Durability,
    ) -> Self {
        let guard = Guard::new(Arc::clone(&disk), Arc::clone(&layout), Arc::clone(&front));
        Self { mirror, guard, disk, layout, front, durability }
    }

    /// Another worker gave the kernel these opens.
    pub(super) fn inherit(&self, left: &Left) {
        for open in left.opens.iter().filter(|open| commits_by_itself(open.flags)) {
            self.has_name(self.file_if_known(open.ino).as_ref());
        }
    }

    /// Whether anything may be written at all.
    pub(super) fn writable(&self) -> Answer<()> {
        self.front.barrier.writable()
    }

    /// The path of a name, if the volume is concerned with it.
    fn concerned(&self, path: Option<RelPath>) -> Option<RelPath> {
        path.filter(|path| self.layout.role(path) != Role::Local)
    }

    /// The path of a file, if the volume is concerned with it; an error if that is not known.
    pub(super) fn file(&self, ino: Ino) -> Answer<Option<RelPath>> {
        Ok(self.concerned(self.mirror.path(ino)?))
    }

    /// The same where a path is but a hint.
    pub(super) fn file_if_known(&self, ino: Ino) -> Option<RelPath> {
        self.file(ino).ok().flatten()
    }

    /// The path of a name in a directory, if the volume is concerned with it; an error if that is
    /// not known.
    pub(super) fn child(&self, parent: Ino, name: &OsStr) -> Answer<Option<RelPath>> {
        Ok(self.concerned(self.mirror.child(parent, name)?))
    }

    /// A file has this name from now on, perhaps one with writers that give no hint.
    pub(super) fn has_name(&self, path: Option<&RelPath>) {
        if let Some(path) = path {
            self.disk.written_unseen(path);
        }
    }

    /// Leaves a hint for the loop.
    pub(super) fn touch(&self, path: Option<&RelPath>, touch: Touch) {
        if let Some(path) = path {
            self.front.ticks.touch(path, touch);
        }
    }

    /// Touches the path if the answer is good.
    pub(super) fn touched<T>(&self, path: Option<&RelPath>, answer: Answer<T>) -> Answer<T> {
        if answer.is_ok() {
            self.touch(path, Touch::Changed);
        }
        answer
    }

    /// What happens once an open for writing has succeeded. A file of which it is not known whether
    /// the volume is concerned is treated as if it were.
    pub(super) fn admit(&self, path: &Answer<Option<RelPath>>, flags: i32, opened: &mut Opened) {
        if matches!(path, Ok(None)) {
            return;
        }
        if let (Ok(Some(path)), true) = (path, commits_by_itself(flags)) {
            self.disk.written_unseen(path);
            self.front.ticks.ring();
        }
        // The first open decides for all that follow: in the kernel, nobody could wait for the
        // store after a write that is a commit.
        if self.durability == Durability::InStore {
            opened.io = Io::Daemon;
        }
    }

    /// The database made something durable. Answers once that is as durable as was asked for: with
    /// an error where the store has to have it, and nobody knows what it is.
    pub(super) fn committed(
        &self,
        path: Answer<Option<RelPath>>,
    ) -> impl FnOnce(Reply<()>) + Send + 'static {
        let (front, durability) = (Arc::clone(&self.front), self.durability);
        move |reply| {
            match &path {
                Ok(None) => return reply.send(Ok(())),
                Ok(Some(path)) => front.ticks.touch(path, Touch::Synced),
                Err(_) => {}
            }
            match (durability, path) {
                (Durability::Async, _) => front.barrier.wait_for_room(reply),
                (Durability::InStore, Ok(_)) => front.barrier.wait_for_store(&front.ticks, reply),
                (Durability::InStore, Err(errno)) => reply.send(Err(errno)),
            }
        }
    }
}

/// Whether writing through such an open is a commit of which we are not told.
pub(super) fn commits_by_itself(flags: i32) -> bool {
    writes(flags) && flags & (libc::O_DSYNC | libc::O_SYNC) != 0
}

/// Whether such an open may write.
pub(super) fn writes(flags: i32) -> bool {
    flags & libc::O_ACCMODE != libc::O_RDONLY
}
