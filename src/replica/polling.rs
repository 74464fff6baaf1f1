//! When to ask the store for the next link. Pure: neither waits nor asks.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::store::aims::Course;

/// A wait grows with the quiet before it: one eighth of it. Data that comes after a quiet second
/// is seen an eighth of a second later at worst; after forty quiet seconds nobody hurries.
const QUIET_SHARE: u32 = 8;

/// The shortest wait after an error.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);

/// The curve of waiting.
#[derive(Clone, Copy, Debug)]
pub struct Polling {
    /// The wait while data flows.
    pub least: Duration,
    /// The wait when idle.
    pub most: Duration,
}

impl Polling {
    /// The curve that comes nearest to this one.
    #[must_use]
    pub fn bound(self, course: &Course) -> Self {
        Self { least: course.bound(self.least), most: course.bound(self.most) }
    }

    /// How long to wait when the next link is not there, `quiet` after the last one came.
    pub fn wait(&self, quiet: Duration) -> Duration {
        (quiet / QUIET_SHARE).max(self.least).min(self.most)
    }

    /// How long to wait after the `failures`-th error in a row: doubling, and between half and
    /// all of it, so that many replicas do not come back in step.
    pub fn back_off(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let doubled = BACK_OFF_MIN.saturating_mul(1 << failures.clamp(1, 16) >> 1);
        let most = doubled.min(self.most.max(BACK_OFF_MIN));
        most / 2 + (most / 2).mul_f64(rng.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const CURVE: Polling =
        Polling { least: Duration::from_millis(10), most: Duration::from_secs(5) };

    #[test]
    fn polling_is_fast_while_data_flows_and_rare_when_idle() {
        assert_eq!(CURVE.wait(Duration::ZERO), CURVE.least);
        assert_eq!(CURVE.wait(Duration::from_millis(800)), Duration::from_millis(100));
        assert_eq!(CURVE.wait(Duration::from_secs(3600)), CURVE.most);
    }

    #[test]
    fn a_course_bounds_both_ends_of_the_curve() {
        let second = Duration::from_secs(1);
        let hurried = CURVE.bound(&Course { most: second, ..Course::FREE });
        assert_eq!((hurried.least, hurried.most), (CURVE.least, second));
        let thrifty = CURVE.bound(&Course { least: second * 9, ..Course::FREE });
        assert_eq!(thrifty.wait(Duration::ZERO), second * 9);
    }

    #[test]
    fn a_quiet_minute_costs_less_than_a_hundred_requests() {
        let (mut quiet, mut requests) = (Duration::ZERO, 0);
        while quiet < Duration::from_secs(60) {
            quiet += CURVE.wait(quiet);
            requests += 1;
        }
        assert!(requests < 100, "{requests}");
    }

    #[test]
    fn back_off_grows_with_jitter_up_to_the_idle_wait() {
        let mut rng = StdRng::seed_from_u64(1);
        for failures in 1..40 {
            let wait = CURVE.back_off(failures, &mut rng);
            assert!(wait >= BACK_OFF_MIN / 2 && wait <= CURVE.most, "{wait:?}");
        }
        assert!(CURVE.back_off(1, &mut rng) <= BACK_OFF_MIN);
        assert!(CURVE.back_off(30, &mut rng) >= CURVE.most / 2);
    }
}
