//! When a whole manifest is saved, and the saving of it beside the loop. A checkpoint spares
//! others a long way; nothing depends on it, so a failure is told and forgotten.

use std::fmt;

use futures::future::BoxFuture;
use tracing::warn;

use crate::store::Chain;
use crate::volume::Manifest;

/// At the end of a reign, fewer batches than this are not worth a checkpoint.
const WORTH_AT_END: u64 = 64;

/// The checkpoints of one reign.
pub(super) struct Checkpoints {
    every: u64,
    since_last: u64,
    saving: Option<BoxFuture<'static, ()>>,
}

impl Checkpoints {
    /// One after so many batches.
    pub(super) fn new(every: u64) -> Self {
        Self { every: every.max(1), since_last: 0, saving: None }
    }

    /// A batch was published; this is the manifest after it.
    pub(super) fn published(&mut self, chain: &Chain, manifest: &Manifest) {
        self.since_last += 1;
        if self.since_last < self.every || self.saving.is_some() {
            return;
        }
        self.since_last = 0;
        self.saving = Some(Box::pin(save(chain.clone(), manifest.clone())));
    }

    /// The reign ends.
    pub(super) async fn end(self, chain: &Chain, manifest: &Manifest) {
        if self.since_last >= WORTH_AT_END {
            save(chain.clone(), manifest.clone()).await;
        }
    }

    /// Returns once a checkpoint was saved; never while there is none to save.
    pub(super) async fn saved(&mut self) {
        match &mut self.saving {
            Some(saving) => saving.await,
            None => std::future::pending().await,
        }
        self.saving = None;
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoints").field("since_last", &self.since_last).finish_non_exhaustive()
    }
}

async fn save(chain: Chain, manifest: Manifest) {
    if let Err(error) = chain.save_checkpoint(&manifest).await {
        warn!("a checkpoint could not be saved; the next one will be tried in its turn: {error}");
    }
}
