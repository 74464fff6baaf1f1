//! The loop of a primary: wait, look, cut, publish. One batch at a time; bodies of sealed segments
//! and checkpoints travel beside it. Runs on any single-threaded runtime, on a paused clock too.
//!
//! | file | idea |
//! |---|---|
//! | this one | when and where to look |
//! | `shipping` | cut, publish, and what goes on beside it |
//! | `standing` | how things stand: account, backlog, trouble |

mod shipping;
mod standing;

use std::io;
use std::sync::Arc;

use tokio::select;
use tokio::time::{Duration, Instant, sleep_until};
use tracing::{debug, error};

use crate::fuse::filesystem::Reply;
use crate::layout::{Layout, Scope};
use crate::store::{Chain, Side, Steering, Store};
use crate::volume::{Clock, Manifest, WriterId};

use super::barrier::State;
use super::bodies::Bodies;
use super::capture::{self, Work};
use super::checkpoints::Checkpoints;
use super::disk::Disk;
use super::front::{Front, Leftover};
use super::pace::{self, Found, Rounds};
use super::reign::Reign;
use super::settings::Settings;
use super::signals::Signals;
use super::ticks::Touch;
use super::watch::Watch;

/// What a pipeline is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The files.
    pub disk: Arc<dyn Disk>,
    /// What they mean.
    pub layout: Arc<dyn Layout>,
    /// Where they go.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How to behave.
    pub settings: Settings,
    /// What is shared with the mount's threads.
    pub front: Arc<Front>,
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Everywhere,
    Hints,
}

/// How the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Another node is primary. What it says, says the account too.
    Fenced(String),
    /// It was told to stop.
    Stopped(Leftover),
}

/// The loop of a primary.
#[derive(Debug)]
pub struct Pipeline {
    parts: Parts,
    chain: Chain,
    writer: WriterId,
    manifest: Manifest,
    bodies: Bodies,
    checkpoints: Checkpoints,
    /// What is left to ship of the last look.
    work: Option<Work>,
    /// The syncs that the work covers.
    covered: Vec<Reply<()>>,
    watch: Watch,
    signals: Signals,
    rounds: Rounds,
    /// What shortens and lengthens the interval.
    steering: Option<Steering>,
    /// The interval that was asked for.
    interval: Duration,
    /// What the layout found wrong when it last looked everywhere.
    flaws: Vec<String>,
    /// When the first of the hints came that were not looked at yet.
    hinted: Option<Instant>,
    /// When something last happened.
    stirred: Instant,
    glanced: Instant,
    /// After trouble: no look before this.
    not_before: Instant,
    /// While something is waited for: when to measure the backlog again.
    measure_at: Option<Instant>,
}

impl Pipeline {
    /// The loop of this reign.
    pub fn new(parts: Parts, reign: Reign) -> Self {
        let now = Instant::now();
        let Reign { manifest, writer } = reign;
        let bodies = Bodies::new(
            parts.store.clone(),
            Arc::clone(&parts.disk),
            Arc::clone(&parts.front.outage),
            manifest.epoch(),
            parts.settings.uploads_max,
        );
        let pipeline = Self {
            chain: Chain::new(parts.store.clone()),
            writer,
            bodies,
            checkpoints: Checkpoints::new(parts.settings.checkpoint_every),
            work: None,
            covered: Vec::new(),
            watch: Watch::default(),
            signals: Signals::default(),
            rounds: Rounds::new(&parts.settings, now),
            steering: Steering::new(parts.settings.aims, Side::Primary, parts.store.clone()),
            interval: parts.settings.interval,
            flaws: Vec::new(),
            hinted: None,
            stirred: now,
            glanced: now,
            not_before: now,
            measure_at: None,
            manifest,
            parts,
        };
        pipeline.tell();
        pipeline
    }

    /// Runs until another node is primary, or until it is told to stop.
    pub async fn run(mut self) -> Ended {
        let ended = loop {
            self.measure_at = None;
            let ended = match self.work.take() {
                Some(work) => self.carry_out(work).await,
                None => self.rest().await,
            };
            if let Some(ended) = ended {
                break ended;
            }
        };
        let front = Arc::clone(&self.parts.front);
        match &ended {
            Ended::Fenced(by) => {
                let backlog = front.account().backlog;
                error!(
                    backlog,
                    "this primary was replaced, the mount is read-only from here on: {by}"
                );
                front.note(|account| account.fenced = Some(by.clone()));
                front.barrier.set(State::Fenced);
                front.barrier.return_syncs(self.covered);
            }
            Ended::Stopped(_) => {
                let saved = self.checkpoints.end(&self.chain, &self.manifest);
                select! { biased; () = saved => {}, () = front.out_of_time() => {} }
            }
        }
        ended
    }

    /// Nothing to ship is known: waits until it is time to look, and looks.
    async fn rest(&mut self) -> Option<Ended> {
        if let Some(deadline) = self.parts.front.deadline() {
            return self.look_last(deadline).await;
        }
        let now = Instant::now();
        self.steer(now);
        let at = self.next_look(now);
        if at <= now {
            if let Err(error) = self.look_now(now) {
                self.trouble(&error);
            }
            return None;
        }
        let front = Arc::clone(&self.parts.front);
        select! {
            biased;
            () = front.stopping() => {}
            () = front.ticks.rung() => {}
            () = self.event_beside() => {}
            () = sleep_until(at) => {}
        }
        None
    }

    /// When the next look is due, for whatever reason.
    fn next_look(&mut self, now: Instant) -> Instant {
        let Parts { front, settings, disk, .. } = &self.parts;
        let known = front.ticks.summary();
        if known.any && self.hinted.is_none() {
            (self.hinted, self.stirred) = (Some(now), now);
            let time = self.parts.clock.now();
            front.note(|account| account.oldest = account.oldest.or(Some(time)));
        }
        let mut at = self.rounds.next;
        if let Some(due) = pace::due(known, front.barrier.is_awaited(), self.hinted, now, settings)
        {
            at = at.min(due);
        }
        if !self.signals.is_empty() || !disk.unseen().is_empty() {
            at = at.min(self.glanced + pace::glance(settings, now - self.stirred));
        }
        at.max(self.not_before)
    }

    /// Told to stop: looks everywhere until there is nothing left, or no time.
    async fn look_last(&mut self, deadline: Instant) -> Option<Ended> {
        self.parts.front.note(|account| account.stopping = true);
        sleep_until(self.not_before.min(deadline)).await;
        if Instant::now() >= deadline {
            return Some(self.leave());
        }
        if let Err(error) = self.look(Reach::Everywhere) {
            self.trouble(&error);
            return None;
        }
        let work = self.work.as_ref()?;
        if work.is_done() {
            return Some(Ended::Stopped(Leftover::default()));
        }
        if work.seals_only(|files| self.bodies.is_coming(files)) {
            return self.event_in_time().await;
        }
        None
    }

    /// Looks where it is due: everywhere, at the hints, or with a mere glance.
    fn look_now(&mut self, now: Instant) -> io::Result<()> {
        let Parts { front, settings, .. } = &self.parts;
        if self.rounds.next <= now {
            return self.look_round();
        }
        let known = front.ticks.summary();
        let due = pace::due(known, front.barrier.is_awaited(), self.hinted, now, settings);
        if due.is_some_and(|due| due <= now) {
            self.rounds.hurry(now);
            self.watch.disturb();
            return self.look(Reach::Hints);
        }
        self.glanced = now;
        for path in self.signals.changed() {
            self.parts.front.ticks.touch(&path, Touch::Synced);
        }
        let unseen = self.parts.disk.unseen();
        for path in self.watch.stirred(&*self.parts.disk, &unseen)? {
            self.parts.front.ticks.touch(&path, Touch::Synced);
        }
        Ok(())
    }

    /// Looks everywhere, unless nothing stirred.
    fn look_round(&mut self) -> io::Result<()> {
        let started = Instant::now();
        let hints = self.parts.front.ticks.summary().any || self.parts.front.barrier.is_awaited();
        let Parts { disk, layout, .. } = &self.parts;
        let rests = self.watch.rests(&**disk, &**layout)?;
        self.signals.keep(|path| self.watch.has(path));
        self.signals.watch(&**disk, &**layout, self.watch.paths())?;
        if rests && !hints {
            self.rounds.ended(Found::Nothing, started.elapsed(), Instant::now());
            return Ok(());
        }
        self.look(Reach::Everywhere)?;
        let nothing = self.work.as_ref().is_some_and(Work::is_done);
        self.watch.looked(nothing);
        let found = if nothing { Found::Nothing } else { Found::Something };
        self.rounds.ended(found, started.elapsed(), Instant::now());
        Ok(())
    }

    /// Takes the hints, looks, and sets out to ship what is found.
    fn look(&mut self, reach: Reach) -> io::Result<()> {
        let Parts { front, disk, layout, .. } = &self.parts;
        // In this order: a sync that is taken left its hint before it began to wait.
        self.covered.extend(front.barrier.take_syncs());
        let touched = front.ticks.take();
        self.hinted = None;
        self.signals.watch(&**disk, &**layout, touched.paths.iter())?;
        let everywhere = reach == Reach::Everywhere || touched.everywhere;
        let scope = if everywhere { Scope::All } else { Scope::Only(&touched.paths) };
        let mut work = if everywhere || !touched.paths.is_empty() {
            capture::look(&**disk, &**layout, &self.manifest, scope)?
        } else {
            Work::default()
        };
        if everywhere {
            self.bodies.ask_only(work.seals());
        } else {
            self.bodies.ask(work.seals());
        }
        self.let_go(&work, scope)?;
        if everywhere {
            self.hear(std::mem::take(&mut work.problems));
        }
        self.tell_left_out(std::mem::take(&mut work.left_out));
        self.clear_trouble();
        self.weigh(work.backlog);
        self.work = Some(work);
        Ok(())
    }

    /// Lets go of held files of which nothing is left to ship.
    fn let_go(&self, work: &Work, scope: Scope<'_>) -> io::Result<()> {
        let Parts { front, disk, layout, .. } = &self.parts;
        let mut held = disk.held()?;
        front.note(|account| account.held = held.len().try_into().unwrap_or(u64::MAX));
        if let Scope::Only(paths) = scope {
            held.retain(|path| paths.contains(path));
        }
        if held.is_empty() {
            return Ok(());
        }
        let wanted = work.paths();
        for path in held {
            let wanted = wanted.contains(&path) || self.bodies.concern(&path);
            let owes = || match layout.owes(&**disk, &path, &self.manifest) {
                // What cannot be made out is kept, and keeps nothing else from the store.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(true),
                known => known,
            };
            if !wanted && !owes()? {
                debug!(%path, "released");
                disk.release(&path)?;
            }
        }
        Ok(())
    }
}
