//! What the mount's threads and the loop share: hints one way, answers and an account the other.

use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fuse::status::Aims;
use crate::volume::{About, Fence, LeftOut, Manifest, Position, RelPath, WallTime};

use super::barrier::Barrier;
use super::outage::Outage;
use super::ticks::Ticks;

/// What the mount's threads and the loop share.
#[derive(Debug)]
pub struct Front {
    /// Hints for the loop.
    pub ticks: Ticks,
    /// Who waits for the loop.
    pub barrier: Barrier,
    /// What the store has.
    pub(super) shipped: ArcSwap<Manifest>,
    /// How things stand.
    pub(super) account: ArcSwap<Account>,
    /// Whether the store answers.
    pub(super) outage: std::sync::Arc<Outage>,
    /// Until when the loop may go on, once it is to stop.
    stop: watch::Sender<Option<Instant>>,
}

/// How things stand, as the loop last saw them.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The newest published position.
    pub position: Option<Position>,
    /// When it was cut.
    pub time: WallTime,
    /// What the database calls it.
    pub database: Option<String>,
    /// The fence that began this reign.
    pub reign: Option<Fence>,
    /// Who ended it, if somebody did.
    pub fenced: Option<String>,
    /// How many bytes the store lacks.
    pub backlog: u64,
    /// Since when it has lacked the oldest of them.
    pub oldest: Option<WallTime>,
    /// How many files are held until they are shipped.
    pub held: u64,
    /// What is wrong on this host, and what to do about it.
    pub problem: Option<String>,
    /// What the layout found wrong with the files, two looks in a row.
    pub flaws: Vec<String>,
    /// What the volume is told of this database besides its log.
    pub about: About,
    /// Commits that were seen since the start and that mean nothing to a replica.
    pub left_out: Vec<LeftOut>,
    /// The loop is shipping what is left.
    pub stopping: bool,
    /// How well its aims are met, if it has any.
    pub aims: Option<Aims>,
}

/// What a primary that stopped could not ship. It is on the disk, and the next start finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftover {
    /// How many bytes.
    pub bytes: u64,
    /// Of which files.
    pub files: Vec<RelPath>,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            ticks: Ticks::default(),
            barrier: Barrier::default(),
            shipped: ArcSwap::from_pointee(Manifest::empty()),
            account: ArcSwap::default(),
            outage: std::sync::Arc::default(),
            stop: watch::Sender::new(None),
        }
    }
}

impl Front {
    /// How things stand.
    pub fn account(&self) -> std::sync::Arc<Account> {
        self.account.load_full()
    }

    /// Tells the loop to ship what is durable and to end, within this time.
    pub fn stop(&self, within: Duration) {
        self.stop.send_replace(Some(Instant::now() + within));
    }

    /// Until when the loop may go on, if it is to stop.
    pub(super) fn deadline(&self) -> Option<Instant> {
        *self.stop.borrow()
    }

    /// Returns once the loop is to stop.
    pub(super) async fn stopping(&self) {
        let mut told = self.stop.subscribe();
        // The sender lives as long as `self`: waiting cannot fail.
        let _told = told.wait_for(Option::is_some).await;
    }

    /// Returns once the loop was to stop and its time is over.
    pub(super) async fn out_of_time(&self) {
        self.stopping().await;
        if let Some(deadline) = self.deadline() {
            tokio::time::sleep_until(deadline).await;
        }
    }

    /// Changes the account.
    pub(super) fn note(&self, change: impl FnOnce(&mut Account)) {
        let mut account = Account::clone(&self.account.load());
        change(&mut account);
        self.account.store(std::sync::Arc::new(account));
    }
}
