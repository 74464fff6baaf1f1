//! Shipping what a look found, batch by batch, and what goes on beside it meanwhile.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use tokio::select;
use tokio::time::{Duration, Instant, sleep_until};

use crate::volume::codec::EncodedLink;
use crate::volume::{Link, WallTime};

use super::super::capture::{self, Cut, Cutting, Sources, Work};
use super::super::durable::Durable;
use super::super::publisher;
use super::super::ticks::Touch;
use super::{Ended, Parts, Pipeline};

/// After a file moved under our hands, the next look.
const MOVED_PAUSE: Duration = Duration::from_millis(5);
/// While the store keeps the loop waiting, the backlog is measured so often.
pub(super) const MEASURE_EVERY: Duration = Duration::from_secs(1);

impl Pipeline {
    /// Ships the next batch of the work.
    pub(super) async fn carry_out(&mut self, mut work: Work) -> Option<Ended> {
        match self.cut(&mut work) {
            Ok(Cutting::Batch(cut)) => return self.publish(work, cut).await,
            Ok(Cutting::Nothing) => self.is_done(),
            Ok(Cutting::Waits) if work.waits_for().is_some_and(|it| self.bodies.is_coming(it)) => {
                self.work = Some(work);
                return self.event_in_time().await;
            }
            Ok(Cutting::Waits | Cutting::Moved) => self.look_again(MOVED_PAUSE),
            Err(error) => self.trouble(&error),
        }
        None
    }

    fn cut(&self, work: &mut Work) -> io::Result<Cutting> {
        let sources = Sources {
            disk: &*self.parts.disk,
            shipped: &self.manifest,
            bodies: &self.bodies,
            batch_max: self.parts.settings.batch_max,
        };
        capture::cut(work, &sources)
    }

    async fn publish(&mut self, work: Work, cut: Durable<Cut>) -> Option<Ended> {
        let bodies = cut.get().bodies.clone();
        let now = self.parts.clock.now();
        let outgoing = match publisher::outgoing(cut, &self.manifest, self.writer, now) {
            Ok(outgoing) => outgoing,
            Err(misfit) => {
                self.trouble(&io::Error::other(format!("{misfit}; please report this")));
                return None;
            }
        };
        let (chain, front) = (self.chain.clone(), Arc::clone(&self.parts.front));
        let append = publisher::append(&chain, &outgoing.link, &front.outage);
        let theirs = select! {
            biased;
            theirs = self.beside(append) => theirs,
            () = front.out_of_time() => {
                self.work = Some(work);
                return Some(self.leave());
            }
        };
        if let Some(theirs) = theirs {
            return Some(Ended::Fenced(replaced_by(&theirs)));
        }
        self.manifest = outgoing.manifest;
        self.bodies.named(&bodies);
        self.checkpoints.published(&self.chain, &self.manifest);
        self.tell();
        self.weigh(work.backlog);
        if work.is_done() {
            self.is_done();
        } else {
            self.work = Some(work);
        }
        None
    }

    /// All of the work is in the store.
    fn is_done(&mut self) {
        let Parts { front, disk, .. } = &self.parts;
        let hints = front.ticks.summary().any;
        let oldest: Option<WallTime> = hints.then(|| self.parts.clock.now());
        front.note(|account| account.oldest = oldest);
        for sync in self.covered.drain(..) {
            sync.send(Ok(()));
        }
        // Held files are let go by a look that finds nothing of them.
        if let Ok(held) = disk.held() {
            for path in &held {
                front.ticks.touch(path, Touch::Changed);
            }
        }
        self.weigh(0);
    }

    /// Waits for whatever goes on beside the loop, or for the end of its time.
    pub(super) async fn event_in_time(&mut self) -> Option<Ended> {
        let front = Arc::clone(&self.parts.front);
        self.measure_at.get_or_insert(Instant::now() + MEASURE_EVERY);
        select! {
            biased;
            () = self.event_beside() => None,
            () = front.out_of_time() => Some(self.leave()),
        }
    }

    /// Lets everything beside the loop go on until this is done.
    async fn beside<T>(&mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        self.measure_at = Some(Instant::now() + MEASURE_EVERY);
        loop {
            select! {
                biased;
                done = &mut main => return done,
                () = self.event_beside() => {}
            }
        }
    }

    /// One thing that goes on beside the loop: an upload, a checkpoint, a measurement.
    pub(super) async fn event_beside(&mut self) {
        let measure_at = self.measure_at;
        let due = async {
            match measure_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let ended = select! {
            biased;
            Some(ended) = self.bodies.next() => ended,
            () = self.checkpoints.saved() => return,
            () = due => return self.measure(),
        };
        match self.bodies.settle(ended) {
            // The files changed meanwhile, and what they are now is another look's.
            Ok(paths) if paths.is_empty() => self.look_again(MOVED_PAUSE),
            Ok(paths) => {
                for path in &paths {
                    self.parts.front.ticks.touch(path, Touch::Synced);
                }
            }
            Err(error) => self.trouble(&error),
        }
    }
}

/// Who wrote what stands where our batch should.
fn replaced_by(theirs: &EncodedLink) -> String {
    match &theirs.link {
        Link::Fence(fence) => format!(
            "`{}` (node={}) is primary since {}, epoch={}",
            fence.node_name, fence.node, fence.time, fence.next
        ),
        Link::Batch(batch) => format!(
            "writer={} published position={} as if it were this primary; is the node's directory a copy?",
            batch.writer, batch.position
        ),
    }
}
