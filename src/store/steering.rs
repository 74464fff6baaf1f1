//! Keeps a mount on the course that its aims ask for: looks at the traffic now and then, decides,
//! and says once when an aim cannot be met. The decision itself is [`super::aims`].

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Store;
use super::aims::{Aims, Course, Miss, Side, Sight, decide};
use super::meter::Request;

/// How often to decide.
const EVERY: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// What steers one mount.
#[derive(Debug)]
pub struct Steering {
    aims: Aims,
    side: Side,
    store: Store,
    spending: Spending,
    course: Course,
    next: Instant,
}

/// What a mount tells of its aims. Durations are seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The lag that was asked for.
    pub max_lag: Option<f64>,
    /// The US dollars a month that were.
    pub budget: Option<f64>,
    /// US dollars of the last hour, if there is a budget.
    pub last_hour: Option<f64>,
    /// What cannot be met, why, and what to do.
    pub missed: Vec<String>,
}

impl Steering {
    /// Of a mount that aims at this; `None` if it aims at nothing.
    pub fn new(aims: Aims, side: Side, store: Store) -> Option<Self> {
        if aims == Aims::default() {
            return None;
        }
        let (course, next) = (Course::FREE, Instant::now());
        Some(Self { aims, side, store, spending: Spending::default(), course, next })
    }

    /// The course from here on, if it is time to decide again.
    pub fn steer(&mut self, now: Instant, behind: Option<Duration>) -> Option<&Course> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        self.spending.note(now, self.cost());
        let hour = self.spending.of_last_hour();
        let request = match self.side {
            Side::Primary => self.store.meter().hundredth(Request::Create),
            Side::Replica => self.store.meter().hundredth(Request::Get),
        };
        let sight = Sight { request, beside: hour.beside, spent: hour.all, behind };
        let course = decide(&self.aims, self.side, &sight);
        self.say(&course.missed);
        self.course = course;
        Some(&self.course)
    }

    /// What to tell of it.
    pub fn told(&self) -> Told {
        let words = |miss: &Miss| miss.words(&self.aims, self.side);
        Told {
            max_lag: self.aims.max_lag.map(|lag| lag.as_secs_f64()),
            budget: self.aims.budget.map(|budget| budget.dollars_per_month),
            last_hour: self.aims.budget.map(|_| self.spending.of_last_hour().all),
            missed: self.course.missed.iter().map(words).collect(),
        }
    }

    fn say(&self, missed: &[Miss]) {
        let before = &self.course.missed;
        for miss in missed.iter().filter(|miss| !before.iter().any(|it| it.is_like(miss))) {
            warn!("{}", miss.words(&self.aims, self.side));
        }
        if missed.is_empty() && !before.is_empty() {
            info!("max_lag and budget, as far as they are set, are met again");
        }
    }

    /// What all requests so far come to.
    fn cost(&self) -> Cost {
        let Some(budget) = &self.aims.budget else { return Cost::default() };
        let mut requests = self.store.meter().requests();
        let all = budget.prices.dollars(&requests);
        let governed = match self.side {
            Side::Primary => Request::Create,
            Side::Replica => Request::GetMiss,
        };
        requests.remove(governed.name());
        Cost { all, beside: budget.prices.dollars(&requests) }
    }
}

/// US dollars, of all requests and of those that no wait governs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    all: f64,
    beside: f64,
}

/// What was spent, and when.
#[derive(Debug, Default)]
struct Spending {
    /// The oldest first, none much older than an hour.
    notes: VecDeque<(Instant, Cost)>,
}

impl Spending {
    /// So much was spent since the beginning.
    fn note(&mut self, now: Instant, cost: Cost) {
        self.notes.push_back((now, cost));
        while self.notes.get(1).is_some_and(|(time, _)| now.duration_since(*time) >= HOUR) {
            self.notes.pop_front();
        }
    }

    fn of_last_hour(&self) -> Cost {
        let (Some((_, old)), Some((_, new))) = (self.notes.front(), self.notes.back()) else {
            return Cost::default();
        };
        Cost { all: new.all - old.all, beside: new.beside - old.beside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_forgotten_after_an_hour() {
        let (begin, mut spending) = (Instant::now(), Spending::default());
        for ten_minutes in 0..=12_u32 {
            let all = f64::from(ten_minutes);
            spending.note(begin + HOUR / 6 * ten_minutes, Cost { all, beside: 0.0 });
            assert!(spending.of_last_hour().all <= 6.0);
        }
        assert_eq!(spending.notes.len(), 7);
    }
}
