//! The mount of a replica: what the volume has comes from the store, unless it was removed here;
//! everything else from the writable directory beneath. A name from the store wins over a local
//! one, and nothing in here changes the volume.
//!
//! | file | idea |
//! |---|---|
//! | `calls` | the answers, call by call |
//! | `names` | which of the two a name leads to |
//! | `nodes` | what the kernel knows of, by its numbers |
//! | `opens` | what is open, and how it is read |
//! | `listing` | a directory's entries from both |
//! | `attributes` | what `stat` shows of files from the store |

mod attributes;
mod calls;
mod listing;
mod names;
mod nodes;
mod opens;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::FutureExt;
use tokio::runtime::Handle as Runtime;
use tracing::{error, warn};

use self::nodes::{Node, Nodes};
use self::opens::Opens;
use super::reading::ReadError;
use super::removed::Removed;
use super::settings::Settings;
use super::shown::Shown;
use super::view::{Change, Seen};
use crate::fuse::errno::UNREADABLE;
use crate::fuse::filesystem::{Answer, Kernel, Reply};
use crate::fuse::mirror::Mirror;
use crate::layout::Layout;
use crate::volume::RelPath;

/// The mount of a replica.
pub struct Union {
    shown: Arc<Shown>,
    mirror: Mirror,
    layout: Arc<dyn Layout>,
    removed: Option<Removed>,
    settings: Settings,
    runtime: Runtime,
    nodes: Nodes,
    opens: Opens,
    kernel: OnceLock<Arc<dyn Kernel>>,
    promotion_told: AtomicBool,
}

impl std::fmt::Debug for Union {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Union").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Union {
    /// What is shown over the mirrored directory; slow reads wait on this runtime.
    pub fn new(
        shown: Arc<Shown>,
        (mirror, removed): (Mirror, Option<Removed>),
        layout: Arc<dyn Layout>,
        settings: Settings,
        runtime: Runtime,
    ) -> Self {
        Self {
            shown,
            mirror,
            layout,
            removed,
            settings,
            runtime,
            nodes: Nodes::default(),
            opens: Opens::default(),
            kernel: OnceLock::new(),
            promotion_told: AtomicBool::new(false),
        }
    }

    /// The mount is there, and with it the whole volume: from now on the kernel is told what
    /// changed.
    pub fn set_kernel(&self, kernel: Arc<dyn Kernel>) {
        if self.kernel.set(kernel).is_err() {
            warn!("a mount was told of its kernel twice");
        }
        self.prune();
    }

    /// The view changed so. The kernel may have to finish calls into the mount first: not to be
    /// called from within one, nor with a lock held.
    pub fn tell(&self, changes: &[Change]) {
        // Until then the view may be an earlier one, which lacks names that were removed here.
        let Some(kernel) = self.kernel.get() else { return };
        if changes.iter().any(|change| matches!(change, Change::Name(_))) {
            self.prune();
        }
        for change in changes {
            match change {
                Change::Content(path, life) => {
                    let ino = nodes::file(path, *life);
                    if self.nodes.knows(ino) {
                        kernel.changed(ino);
                    }
                }
                Change::Name(path) => kernel.renamed(nodes::parent(path), path.name().as_ref()),
            }
        }
    }

    /// Names that the volume has no more need not be hidden any longer.
    fn prune(&self) {
        let (Some(removed), view) = (&self.removed, self.shown.view()) else { return };
        let pruned = removed.prune(|path| view.manifest.files.contains_key(path));
        if let Err(error) = pruned {
            warn!("cannot forget removed names the volume does not have any more: {error}");
        }
    }

    /// Reads at once what is here; waits for the rest elsewhere, so that the kernel's other
    /// requests go on.
    fn read_shown(&self, seen: Seen, offset: u64, size: u32, reply: Reply<Bytes>) {
        let shown = Arc::clone(&self.shown);
        let size = usize::try_from(size).expect("a request fits in memory");
        let mut reading =
            Box::pin(async move { answer(shown.read_file(&seen, offset, size).await) });
        let _entered = self.runtime.enter();
        if let Some(answer) = (&mut reading).now_or_never() {
            reply.send(answer);
        } else {
            self.runtime.spawn(async move { reply.send(reading.await) });
        }
    }

    /// A node as it is now.
    fn latest(&self, node: Node) -> Node {
        match node {
            Node::File(seen) => Node::File(self.shown.latest(&seen)),
            directory @ Node::Directory(_) => directory,
        }
    }

    /// A local file cannot become part of the volume.
    fn tell_promotion(&self, path: &RelPath) {
        if !self.promotion_told.swap(true, Ordering::Relaxed) {
            warn!(
                %path,
                "the database makes log files of its own, as a primary does, but this mount is a \
                 replica: stop it, and mount as primary with `-o primary,takeover`"
            );
        }
    }
}

/// An error of a read ends here.
fn answer(read: Result<Bytes, ReadError>) -> Answer<Bytes> {
    read.map_err(|error| {
        match error {
            ReadError::Away { .. } => warn!("{error}"),
            ReadError::Lost { .. } => error!("{error}"),
        }
        UNREADABLE
    })
}
