//! A store that does not answer is said once when it begins and once when it ends; in between,
//! patience.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use crate::store::StoreError;

/// Whether the store is away, and why.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Guards: what the store's trouble is now.
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Debug)]
struct Trouble {
    kind: std::mem::Discriminant<StoreError>,
    text: String,
}

impl Outage {
    /// A request failed, and will be tried again.
    pub(super) fn goes_on(&self, verb: &str, error: &StoreError) {
        let trouble =
            Trouble { kind: std::mem::discriminant(error), text: format!("{verb}: {error}") };
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = known.as_ref().is_none_or(|known| known.kind != trouble.kind);
        if news {
            warn!("the backlog grows until the store takes it: {}", trouble.text);
        }
        *known = Some(trouble);
    }

    /// A request succeeded.
    pub(super) fn is_over(&self) {
        let ended = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        if ended.is_some() {
            info!("the store answers again");
        }
    }

    /// What the trouble is now.
    pub(super) fn trouble(&self) -> Option<String> {
        let known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|trouble| trouble.text.clone())
    }
}

/// How long to wait before the next attempt: twice as long each time, within bounds.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    /// Waits.
    pub(super) async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}
