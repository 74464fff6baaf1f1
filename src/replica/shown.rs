//! What the replica shows now, and its bytes. Readers take the view as it is when they begin; the
//! follower swaps it whole. Knows no kernel: usable by itself, in a simulation too.

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::volume::codec::EncodedLink;
use crate::volume::{Batch, Edit, Link, Manifest, RelPath};

use super::cache::Cache;
use super::cache::folder::Leased;
use super::cache::ledger::Name;
use super::fetch::Fetcher;
use super::tails;
use super::view::{Change, Seen, View};

/// How many names to look at for sealed segments that come next.
const NAMES_AHEAD: usize = 64;

/// What the replica shows.
#[derive(Debug)]
pub struct Shown {
    view: ArcSwap<View>,
    pub(super) cache: Arc<Cache>,
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) store_timeout: Duration,
    /// Guards: the file that was read last.
    reading: Mutex<Option<RelPath>>,
}

impl Shown {
    /// An empty volume, so far.
    pub fn new(cache: Arc<Cache>, fetcher: Arc<Fetcher>, store_timeout: Duration) -> Self {
        let view = ArcSwap::from_pointee(View::new(Manifest::empty()));
        Self { view, cache, fetcher, store_timeout, reading: Mutex::default() }
    }

    /// Shows the volume as a checkpoint has it.
    pub fn begin(&self, manifest: Manifest) {
        self.view.store(Arc::new(View::new(manifest)));
    }

    /// Shows the volume after this link; `manifest` is that volume. Returns what the kernel should
    /// not believe any longer.
    pub fn apply(&self, link: &EncodedLink, manifest: &Manifest) -> Vec<Change> {
        let before = self.view.load_full();
        let (after, changes) = before.after(&link.link, manifest.clone());
        let Link::Batch(batch) = &link.link else {
            self.view.store(Arc::new(after));
            return changes;
        };
        tails::arrive(&self.cache, &before.manifest, batch);
        self.view.store(Arc::new(after));
        tails::depart(&self.cache, &before.manifest, manifest, batch);
        self.go_on_reading(batch);
        changes
    }

    /// A file is being read.
    pub(super) fn reads(&self, path: &RelPath) {
        let mut reading = self.reading();
        if reading.as_ref() != Some(path) {
            *reading = Some(path.clone());
        }
    }

    /// The present view.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// What is here already.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The file of this name.
    pub fn see(&self, path: &RelPath) -> Option<Seen> {
        self.view.load().see(path)
    }

    /// The same file as it is now; as it was, if it is gone.
    pub fn latest(&self, seen: &Seen) -> Seen {
        let now = self.see(&seen.path).filter(|now| now.life == seen.life);
        now.unwrap_or_else(|| seen.clone())
    }

    /// The file in the cache, if the kernel may read it by itself: whole, checked, and nothing
    /// but this file.
    pub fn whole(&self, seen: &Seen) -> Option<Arc<Leased>> {
        let (id, body) = seen.body.as_ref()?;
        let alone = body.len == seen.file.size && body.len > 0;
        alone.then(|| self.cache.verified(Name::Body(*id))).flatten()
    }

    /// A sealed file is being read: it and the next ones in the order of names will be wanted.
    pub fn fetch_ahead(&self, seen: &Seen, files: usize) {
        let Some((id, body)) = &seen.body else { return };
        drop(self.fetcher.complete(*id, body));
        let view = self.view.load();
        let following = (Bound::Excluded(&seen.path), Bound::Unbounded);
        let names = view.manifest.files.range::<_, RelPath>(following).map(|(path, _)| path);
        let bodies = names.take(NAMES_AHEAD).filter_map(|path| view.see(path)?.body);
        for (id, body) in bodies.filter(|(next, _)| next != id).take(files) {
            drop(self.fetcher.complete(id, &body));
        }
    }

    /// Whoever follows the tail of a segment reads on when it is sealed: what was never shipped as
    /// tail is fetched now.
    fn go_on_reading(&self, batch: &Batch) {
        let sealed = batch.edits.iter().filter_map(|edit| match edit {
            Edit::Seal(seal) => Some(&seal.members),
            _ => None,
        });
        let reading = self.reading().clone();
        let read = sealed.flatten().find(|member| Some(&member.path) == reading.as_ref());
        if let Some(seen) = read.and_then(|member| self.see(&member.path)) {
            self.fetch_ahead(&seen, 0);
        }
    }

    fn reading(&self) -> MutexGuard<'_, Option<RelPath>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
