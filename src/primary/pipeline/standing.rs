//! How things stand: the account for the mount, the backlog and its bound, trouble on this host.

use std::io;
use std::sync::Arc;

use tokio::time::{Duration, Instant};
use tracing::{error, info, warn};

use crate::fuse::status::Aims;
use crate::layout::Scope;
use crate::volume::LeftOut;

use super::super::about::COMMITS_MAX;
use super::super::barrier::State;
use super::super::capture;
use super::super::front::Leftover;
use super::super::settings::BacklogFull;
use super::shipping::MEASURE_EVERY;
use super::{Ended, Parts, Pipeline};

/// After trouble on this host, the next attempt.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// A backlog that was full has room again when one part in so many is gone.
const ROOM_SHARE: u64 = 10;
/// Of the time that the loop waits for the store, measuring may take one part in so many.
const MEASURE_SHARE: u32 = 20;

impl Pipeline {
    /// Tells how far the volume is.
    pub(super) fn tell(&self) {
        self.parts.front.shipped.store(Arc::new(self.manifest.clone()));
        self.parts.front.note(|account| {
            account.position = self.manifest.position;
            account.time = self.manifest.time;
            account.database.clone_from(&self.manifest.database);
            account.reign.clone_from(&self.manifest.reign);
        });
    }

    /// The store lacks so many bytes: tells, and holds writers back or says that it should.
    pub(super) fn weigh(&self, backlog: u64) {
        let (front, settings) = (&self.parts.front, &self.parts.settings);
        front.note(|account| account.backlog = backlog);
        let before = front.barrier.state();
        // Once full, it has room again only when a good part of it is gone: no flapping.
        let spare = if before == State::Open { 0 } else { settings.backlog_max / ROOM_SHARE };
        let full = backlog > settings.backlog_max - spare;
        let state = match settings.backlog_full {
            _ if !full => State::Open,
            BacklogFull::Block => State::Blocked,
            BacklogFull::Shout => State::Loud,
        };
        if before == state {
            return;
        }
        let max = settings.backlog_max;
        match state {
            State::Blocked => error!(backlog, max, "the backlog is full: the database waits"),
            State::Loud => error!(
                backlog,
                max,
                "the backlog is full: the database goes on, and syncs do not wait for the store"
            ),
            State::Open | State::Fenced => info!(backlog, max, "the backlog has room again"),
        }
        front.barrier.set(state);
    }

    /// Takes the interval that the aims ask for, and tells how well they are met.
    pub(super) fn steer(&mut self, now: Instant) {
        let Some(steering) = &mut self.steering else { return };
        let Parts { front, settings, clock, .. } = &mut self.parts;
        let oldest = front.account().oldest;
        let behind = oldest.and_then(|oldest| {
            let micros = clock.now().0.saturating_sub(oldest.0);
            u64::try_from(micros).ok().map(Duration::from_micros)
        });
        let Some(course) = steering.steer(now, behind) else { return };
        settings.interval = course.bound(self.interval);
        self.rounds.follow(settings);
        let told = steering.told();
        let aims = Aims {
            max_lag_seconds: told.max_lag,
            budget_dollars_per_month: told.budget,
            last_hour_dollars: told.last_hour,
            interval_seconds: Some(settings.interval.as_secs_f64()),
            missed: told.missed,
            ..Aims::default()
        };
        front.note(|account| account.aims = Some(aims));
    }

    /// Measures the backlog while the loop waits for the store.
    pub(super) fn measure(&mut self) {
        let started = Instant::now();
        self.steer(started);
        let parts = &self.parts;
        if parts.front.ticks.summary().any || !parts.disk.unseen().is_empty() {
            let looked = capture::look(&*parts.disk, &*parts.layout, &self.manifest, Scope::All);
            match looked {
                Ok(work) => self.weigh(work.backlog),
                Err(error) => self.trouble(&error),
            }
        }
        if self.parts.front.barrier.state() == State::Loud {
            self.covered.drain(..).for_each(|sync| sync.send(Ok(())));
        }
        let cost = started.elapsed();
        self.measure_at = Some(Instant::now() + MEASURE_EVERY.max(cost * MEASURE_SHARE));
    }

    /// Something on this host failed: says so once, and looks again, everywhere, in a while.
    pub(super) fn trouble(&mut self, cause: &io::Error) {
        let text = format!("cannot read what is to be shipped: {cause}");
        let front = Arc::clone(&self.parts.front);
        if front.account().problem.as_deref() != Some(&text) {
            warn!("{text}");
            front.note(|account| account.problem = Some(text));
        }
        self.look_again(TROUBLE_PAUSE);
    }

    /// What was in trouble works.
    pub(super) fn clear_trouble(&self) {
        if self.parts.front.account().problem.is_some() {
            self.parts.front.note(|account| account.problem = None);
            info!("the files can be read again");
        }
    }

    /// The layout says what is wrong with the files. What it still says at the next look is not
    /// passing: an operator hears it, once.
    pub(super) fn hear(&mut self, flaws: Vec<String>) {
        let last = std::mem::replace(&mut self.flaws, flaws);
        let stayed: Vec<String> =
            self.flaws.iter().filter(|flaw| last.contains(flaw)).cloned().collect();
        let front = &self.parts.front;
        let known = &front.account().flaws;
        for flaw in stayed.iter().filter(|flaw| !known.contains(flaw)) {
            warn!("{flaw}");
        }
        if *known != stayed {
            front.note(|account| account.flaws = stayed);
        }
    }

    /// These commits mean nothing to a replica: an operator hears it, once.
    pub(super) fn tell_left_out(&self, mut found: Vec<LeftOut>) {
        let front = &self.parts.front;
        found.retain(|it| !front.account().left_out.contains(it));
        for LeftOut { table, commit, what } in &found {
            warn!(table, commit, "not replicated: {what}");
        }
        if !found.is_empty() {
            front.note(|account| {
                account.left_out.extend(found);
                let old = account.left_out.len().saturating_sub(COMMITS_MAX);
                account.left_out.drain(..old);
            });
        }
    }

    /// Forgets the plan and looks everywhere after this pause. Syncs that were covered stay so:
    /// that look begins after them too.
    pub(super) fn look_again(&mut self, pause: Duration) {
        self.not_before = Instant::now() + pause;
        self.rounds.next = self.not_before;
        self.watch.disturb();
    }

    /// Ends with what is left.
    pub(super) fn leave(&self) -> Ended {
        let parts = &self.parts;
        let looked = capture::look(&*parts.disk, &*parts.layout, &self.manifest, Scope::All);
        Ended::Stopped(match looked {
            Ok(work) => Leftover { bytes: work.backlog, files: work.paths().into_iter().collect() },
            Err(_) => Leftover { bytes: parts.front.account().backlog, files: Vec::new() },
        })
    }
}
