//! What the mount noticed since the loop last looked. Hints: they say when to look and where to
//! begin, never what changed.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::volume::RelPath;

/// Beyond so many paths, looking everywhere is cheaper.
const PATHS_MAX: usize = 1024;

/// One thing that the mount noticed about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The database made it durable: its commit.
    Synced,
    /// It was made, renamed, removed or changed in length.
    Changed,
    /// So many bytes went through the daemon.
    Wrote(u64),
}

/// The hints since the loop last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Where.
    pub paths: BTreeSet<RelPath>,
    /// More paths than are worth naming.
    pub everywhere: bool,
    /// Something was synced.
    pub synced: bool,
    /// How many bytes went through the daemon.
    pub written: u64,
}

impl Touched {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.everywhere && !self.synced
    }
}

/// Where the mount's threads leave hints for the loop.
#[derive(Debug, Default)]
pub struct Ticks {
    /// Guards: what was noticed since the loop last looked.
    touched: Mutex<Touched>,
    bell: Notify,
}

impl Ticks {
    /// Notes that a path was touched.
    pub fn touch(&self, path: &RelPath, touch: Touch) {
        let mut touched = self.lock();
        if touched.paths.len() < PATHS_MAX {
            touched.paths.insert(path.clone());
        } else {
            touched.everywhere = true;
        }
        match touch {
            Touch::Synced => touched.synced = true,
            Touch::Changed => {}
            Touch::Wrote(bytes) => touched.written = touched.written.saturating_add(bytes),
        }
        drop(touched);
        self.ring();
    }

    /// Wakes the loop.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Returns once the bell rang since the last time.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The hints so far: whether there are any, whether something was synced, and bytes written.
    pub(super) fn summary(&self) -> Summary {
        let touched = self.lock();
        Summary { any: !touched.is_empty(), synced: touched.synced, written: touched.written }
    }

    /// Takes the hints, so that new ones gather afresh.
    pub(super) fn take(&self) -> Touched {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known without looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// There are hints.
    pub(super) any: bool,
    /// Something was synced.
    pub(super) synced: bool,
    /// How many bytes went through the daemon.
    pub(super) written: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn hints_gather_until_they_are_taken() {
        let ticks = Ticks::default();
        ticks.touch(&path("a"), Touch::Wrote(3));
        ticks.touch(&path("b"), Touch::Synced);
        ticks.touch(&path("a"), Touch::Wrote(4));
        assert_eq!(ticks.summary(), Summary { any: true, synced: true, written: 7 });
        assert_eq!(ticks.take().paths, BTreeSet::from([path("a"), path("b")]));
        assert!(ticks.take().is_empty());
    }

    #[test]
    fn too_many_paths_mean_everywhere() {
        let ticks = Ticks::default();
        for number in 0..=PATHS_MAX {
            ticks.touch(&path(&number.to_string()), Touch::Changed);
        }
        let touched = ticks.take();
        assert!(touched.everywhere);
        assert_eq!(touched.paths.len(), PATHS_MAX);
    }
}
