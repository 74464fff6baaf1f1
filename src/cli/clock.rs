//! The host's clock, for everything that takes one.

use crate::volume::{Clock, WallTime};

/// The host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> WallTime {
        WallTime(jiff::Timestamp::now().as_microsecond())
    }
}
