//! When to look. Pure: what is known and what time it is go in, a time comes out.
//!
//! A waiting sync looks at once, and so does a full batch; everything else waits for `interval`
//! after the first change. Because writes may pass the daemon unseen, there is a look round
//! everything now and then as well, which gets rarer while it finds nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::Settings;
use super::ticks::Summary;

/// The shortest time between two looks round everything.
const ROUND_MIN: Duration = Duration::from_secs(1);
/// The longest one, while nothing happens.
const ROUND_MAX: Duration = Duration::from_secs(5);
/// Of the loop's time, looks round everything may take one part in so many.
const ROUND_SHARE: u32 = 20;
/// How often the files of unseen writers are glanced at, when every commit is to be shipped.
const GLANCE_MIN: Duration = Duration::from_millis(5);
/// With an interval, so often within it: the first change is noticed soon enough.
const GLANCES_PER_INTERVAL: u32 = 10;
/// And how often once they have been quiet for [`ROUND_MIN`].
const GLANCE_QUIET: Duration = Duration::from_millis(20);

/// When hints are due for a look; `None` if there are none. `since` is the first one's time.
pub(super) fn due(
    known: Summary,
    awaited: bool,
    since: Option<Instant>,
    now: Instant,
    settings: &Settings,
) -> Option<Instant> {
    if awaited || known.written >= settings.batch_max {
        return Some(now);
    }
    let since = since.filter(|_| known.any)?;
    if !settings.interval.is_zero() {
        return Some(since + settings.interval);
    }
    Some(if known.synced { now } else { since + ROUND_MIN })
}

/// How often to glance at the files of writers that give no hint.
pub(super) fn glance(settings: &Settings, quiet_for: Duration) -> Duration {
    let pace = if quiet_for < ROUND_MIN { GLANCE_MIN } else { GLANCE_QUIET };
    (settings.interval / GLANCES_PER_INTERVAL).clamp(pace, ROUND_MIN)
}

/// The time between looks round everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    shortest: Duration,
    gap: Duration,
    /// When the next one is due.
    pub(super) next: Instant,
}

impl Rounds {
    /// The first one is due at once.
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let shortest = settings.interval.max(ROUND_MIN);
        Self { shortest, gap: shortest, next: now }
    }

    /// The interval is another one.
    pub(super) fn follow(&mut self, settings: &Settings) {
        self.shortest = settings.interval.max(ROUND_MIN);
        self.gap = self.gap.max(self.shortest);
    }

    /// One ended `now` and took `cost`. Whether it found something decides about the next.
    pub(super) fn ended(&mut self, found: Found, cost: Duration, now: Instant) {
        self.gap = match found {
            Found::Something => self.shortest,
            Found::Nothing => (self.gap * 2).min(self.shortest.max(ROUND_MAX)),
        };
        self.next = now + self.gap.max(cost * ROUND_SHARE);
    }

    /// Something happened: the next one comes as soon as it may.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.gap = self.shortest;
        self.next = self.next.min(now + self.shortest);
    }
}

/// What a look round everything came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing to ship.
    Nothing,
    /// Something.
    Something,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: Summary = Summary { any: true, synced: true, written: 0 };

    fn every(interval: Duration) -> Settings {
        Settings { interval, ..Settings::default() }
    }

    #[test]
    fn an_interval_counts_from_the_first_change() {
        let (since, later) = (Instant::now(), Instant::now() + Duration::from_millis(300));
        let settings = every(Duration::from_secs(1));
        let due = due(HINTS, false, Some(since), later, &settings);
        assert_eq!(due, Some(since + Duration::from_secs(1)));
    }

    #[test]
    fn a_waiting_sync_and_a_full_batch_are_due_at_once() {
        let (settings, now) = (every(Duration::from_secs(9)), Instant::now());
        assert_eq!(due(Summary::default(), true, None, now, &settings), Some(now));
        let full = Summary { written: settings.batch_max, ..HINTS };
        assert_eq!(due(full, false, Some(now), now, &settings), Some(now));
    }

    #[test]
    fn without_an_interval_a_sync_is_due_at_once_and_a_mere_change_is_not() {
        let (settings, now) = (every(Duration::ZERO), Instant::now());
        assert_eq!(due(HINTS, false, Some(now), now, &settings), Some(now));
        let changed = Summary { synced: false, ..HINTS };
        assert!(due(changed, false, Some(now), now, &settings) > Some(now));
        assert_eq!(due(Summary::default(), false, None, now, &settings), None);
    }

    #[test]
    fn rounds_get_rarer_while_nothing_is_found_but_not_too_rare() {
        let now = Instant::now();
        let mut rounds = Rounds::new(&every(Duration::ZERO), now);
        for _ in 0..9 {
            rounds.ended(Found::Nothing, Duration::ZERO, now);
        }
        assert_eq!(rounds.next, now + ROUND_MAX);
        rounds.hurry(now);
        assert_eq!(rounds.next, now + ROUND_MIN);
        rounds.ended(Found::Something, Duration::from_secs(1), now);
        assert_eq!(rounds.next, now + Duration::from_secs(20));
        rounds.follow(&every(Duration::from_secs(40)));
        rounds.ended(Found::Something, Duration::ZERO, now);
        assert_eq!(rounds.next, now + Duration::from_secs(40));
    }
}
