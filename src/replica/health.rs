//! How a replica is doing, told once when it changes. Decides nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::fuse::status::{Aims, Status};
use crate::store::StoreError;
use crate::volume::WallTime;

use super::shown::Shown;

/// How a replica is doing.
#[derive(Debug, Default)]
pub struct Health {
    /// Guards: the account.
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    trouble: Option<Trouble>,
    answered: Option<WallTime>,
    lag_us: Option<i64>,
    aims: Option<Aims>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// The store does not answer, or refuses: what is here goes on being served.
    Away(String),
    /// The next link is not what it should be, and is not shown.
    Damaged(String),
}

impl Health {
    /// The store answered.
    pub fn answered(&self, now: WallTime) {
        let mut account = self.lock();
        account.answered = Some(now);
        if account.trouble.take().is_some() {
            info!("following again");
        }
    }

    /// How long the store has not answered.
    pub fn silent(&self, now: WallTime) -> Option<Duration> {
        let micros = now.0.saturating_sub(self.lock().answered?.0);
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// How well the aims are met.
    pub fn aims(&self, aims: Aims) {
        self.lock().aims = Some(aims);
    }

    /// A batch that was cut at this time is shown now.
    pub fn shown(&self, cut: WallTime, now: WallTime) {
        self.lock().lag_us = Some(now.0.saturating_sub(cut.0));
    }

    /// The store did not answer, or not what it should have.
    pub fn failed(&self, error: &StoreError) {
        let mut account = self.lock();
        let trouble = match error {
            StoreError::Unavailable(_) | StoreError::Refused(_) => Trouble::Away(error.to_string()),
            _ => Trouble::Damaged(error.to_string()),
        };
        match (&account.trouble, &trouble) {
            (Some(Trouble::Away(_)), Trouble::Away(_)) => {}
            (Some(before), after) if before == after => {}
            (_, Trouble::Away(why)) => warn!("serving what is here, trying again: {why}"),
            (_, Trouble::Damaged(why)) => {
                error!("the next link cannot be shown, trying again: {why}");
            }
        }
        account.trouble = Some(trouble);
    }

    /// Fills in what this replica knows about itself.
    pub fn tell(&self, status: &mut Status, shown: &Shown, now: WallTime) {
        let account = self.lock();
        let (state, problem) = match &account.trouble {
            None => ("running", None),
            Some(Trouble::Away(why)) => ("store-away", Some(why.clone())),
            Some(Trouble::Damaged(why)) => ("damaged", Some(why.clone())),
        };
        status.state = state.to_owned();
        status.problem = problem;
        status.store_seconds = account.answered.map(|then| seconds(now.0 - then.0));
        status.publish_lag_seconds = account.lag_us.map(seconds);
        status.aims.clone_from(&account.aims);
        status.cache_bytes = Some(shown.cache().bytes());
        status.cache_size = Some(shown.cache().limit());
        let manifest = &shown.view().manifest;
        status.epoch = manifest.epoch().0;
        status.primary = manifest.reign.as_ref().map(|fence| fence.node_name.clone());
        status.primary_since = manifest.reign.as_ref().map(|fence| fence.time.to_string());
        status.position = manifest.position.map(|position| position.to_string());
        status.position_time = manifest.position.map(|_| manifest.time.to_string());
        status.database.clone_from(&manifest.database);
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(us: i64) -> f64 {
    let whole = Duration::from_micros(us.unsigned_abs()).as_secs_f64();
    if us < 0 { -whole } else { whole }
}
