//! Commits that no call tells of: numbers in files that change with each of them. Says when to
//! look, never what changed.

use std::collections::BTreeMap;
use std::io;

use crate::layout::Layout;
use crate::volume::RelPath;

use super::disk::{Disk, Signal};

/// The numbers that are watched.
#[derive(Debug, Default)]
pub(super) struct Signals {
    watched: BTreeMap<RelPath, Watched>,
}

#[derive(Debug)]
struct Watched {
    signal: Box<dyn Signal>,
    last: u64,
}

impl Signals {
    /// Watches those of these files that have a signal. To be called before they are looked at: no
    /// commit between the two is missed then.
    pub(super) fn watch<'p>(
        &mut self,
        disk: &dyn Disk,
        layout: &dyn Layout,
        paths: impl Iterator<Item = &'p RelPath>,
    ) -> io::Result<()> {
        for path in paths {
            let Some(offset) = layout.signal(path) else { continue };
            if self.watched.contains_key(path) {
                continue;
            }
            if let Some(signal) = disk.signal(path, offset)? {
                let last = signal.value();
                self.watched.insert(path.clone(), Watched { signal, last });
            }
        }
        Ok(())
    }

    /// Forgets the files for which this does not hold.
    pub(super) fn keep(&mut self, holds: impl Fn(&RelPath) -> bool) {
        self.watched.retain(|path, _| holds(path));
    }

    /// Whether there is anything to watch.
    pub(super) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// The files whose number changed since it was last asked for.
    pub(super) fn changed(&mut self) -> Vec<RelPath> {
        let mut changed = Vec::new();
        for (path, watched) in &mut self.watched {
            let now = watched.signal.value();
            if std::mem::replace(&mut watched.last, now) != now {
                changed.push(path.clone());
            }
        }
        changed
    }
}
