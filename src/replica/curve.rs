//! The polling that was asked for, and what lag and budget make of it meanwhile.

use tokio::time::Instant;

use crate::fuse::status::Aims;
use crate::store::Steering;
use crate::volume::WallTime;

use super::health::Health;
use super::polling::Polling;

/// Two curves of waiting, and what makes one of the other.
#[derive(Debug)]
pub(super) struct Curve {
    asked: Polling,
    /// What holds.
    pub(super) now: Polling,
    /// What changes it, if anything does.
    pub(super) steering: Option<Steering>,
}

impl Curve {
    pub(super) fn new(asked: Polling) -> Self {
        Self { asked, now: asked, steering: None }
    }

    /// Takes the curve that the aims ask for, and tells how well they are met.
    pub(super) fn steer(&mut self, health: &Health, now: WallTime) {
        let Some(steering) = &mut self.steering else { return };
        let Some(course) = steering.steer(Instant::now(), health.silent(now)) else { return };
        self.now = self.asked.bound(course);
        let told = steering.told();
        health.aims(Aims {
            max_lag_seconds: told.max_lag,
            budget_dollars_per_month: told.budget,
            last_hour_dollars: told.last_hour,
            poll_seconds: Some(self.now.least.as_secs_f64()),
            poll_max_seconds: Some(self.now.most.as_secs_f64()),
            missed: told.missed,
            ..Aims::default()
        });
    }
}
