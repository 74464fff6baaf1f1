//! What an operator wants of lag and money, and which waits follow from it. Pure.
//!
//! Each side chooses one wait, which costs one request each time it ends: a primary how long
//! changes gather, a replica how soon it looks again. A lag bounds the wait from above, a budget
//! from below. Where they contradict each other the budget holds, and the lag is said to be missed.

use std::time::Duration;

use super::doctor::cost::{HOUR_SECONDS, MONTH_HOURS, Prices};

/// No budget makes a wait longer than this: what waits is at risk.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// No lag makes a replica look more often than this.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// What an operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aims {
    /// From a commit until replicas show it: all but one in a hundred take no longer.
    pub max_lag: Option<Duration>,
    /// For this mount's requests.
    pub budget: Option<Budget>,
}

/// Money for requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// US dollars in thirty days.
    pub dollars_per_month: f64,
    /// What they buy.
    pub prices: Prices,
}

/// Who chooses a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Changes gather, then a link is created.
    Primary,
    /// Nothing was new, then the next link is asked for.
    Replica,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sight {
    /// All but one in a hundred of this side's requests took no longer.
    pub request: Option<Duration>,
    /// US dollars of the last hour, for requests that no wait governs.
    pub beside: f64,
    /// US dollars of the last hour, for all of them.
    pub spent: f64,
    /// Primary: the age of the oldest change that the store lacks. Replica: since the store last
    /// answered.
    pub behind: Option<Duration>,
}

/// Which waits are right.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The budget allows no shorter wait.
    pub least: Duration,
    /// The lag allows no longer one.
    pub most: Duration,
    /// What cannot be had.
    pub missed: Vec<Miss>,
}

/// What of the aims cannot be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Miss {
    /// Requests take longer than this side has time, without any wait.
    Slow {
        /// How long they take.
        request: Duration,
        /// How long they may.
        share: Duration,
    },
    /// The lag allows this wait, the budget this longer one.
    Dear {
        /// What the lag allows.
        most: Duration,
        /// What the budget allows.
        least: Duration,
    },
    /// What the store lacks is older than the lag; or it does not answer a replica.
    Behind(Duration),
    /// Data that flows all the time would come to so much in a month, with the longest wait.
    Unaffordable(f64),
    /// So many US dollars went in the last hour, more than an hour's part of the budget.
    Overspent(f64),
}

impl Side {
    /// How much of the lag is this side's. A put takes about four times as long as a get, and
    /// costs twelve times as much: what is spent on waiting is best spent before it.
    pub fn share(self, max_lag: Duration) -> Duration {
        match self {
            Self::Primary => max_lag / 4 * 3,
            Self::Replica => max_lag / 4,
        }
    }

    /// What the request at the end of a wait costs, in US dollars.
    fn price(self, prices: &Prices) -> f64 {
        let million = match self {
            Self::Primary => prices.write,
            Self::Replica => prices.read,
        };
        million / 1e6
    }

    fn shortest(self) -> Duration {
        match self {
            Self::Primary => Duration::ZERO,
            Self::Replica => LOOK_MIN,
        }
    }
}

impl Budget {
    /// An hour's part.
    pub fn hour(&self) -> f64 {
        self.dollars_per_month / MONTH_HOURS
    }

    /// The wait that it affords this side when requests beside it come to so much an hour; `None`
    /// if it is longer than any may be.
    fn affords(&self, side: Side, beside: f64) -> Option<Duration> {
        let left = self.hour() - beside;
        let seconds = HOUR_SECONDS * side.price(&self.prices) / left.max(f64::MIN_POSITIVE);
        let wait = Duration::try_from_secs_f64(seconds).ok();
        wait.filter(|wait| left > 0.0 && *wait <= WAIT_MAX)
    }
}

impl Course {
    /// The course when nothing is aimed at.
    pub const FREE: Self = Self { least: Duration::ZERO, most: Duration::MAX, missed: Vec::new() };

    /// The wait that comes nearest to this one.
    pub fn bound(&self, wait: Duration) -> Duration {
        wait.min(self.most).max(self.least)
    }
}

/// Which waits are right for this side, after what was seen.
pub fn decide(aims: &Aims, side: Side, sight: &Sight) -> Course {
    let mut course = Course::FREE;
    if let Some(budget) = &aims.budget {
        course.least = budget.affords(side, sight.beside).unwrap_or_else(|| {
            let looks = HOUR_SECONDS / WAIT_MAX.as_secs_f64();
            let hour = sight.beside + looks * side.price(&budget.prices);
            course.missed.push(Miss::Unaffordable(hour * MONTH_HOURS));
            WAIT_MAX
        });
        if sight.spent > budget.hour() {
            course.missed.push(Miss::Overspent(sight.spent));
        }
    }
    let Some(max_lag) = aims.max_lag else { return course };
    let (share, request) = (side.share(max_lag), sight.request.unwrap_or_default());
    course.most = share.saturating_sub(request).max(side.shortest());
    if request + side.shortest() > share {
        course.missed.push(Miss::Slow { request, share });
    } else if course.least > course.most {
        course.missed.push(Miss::Dear { most: course.most, least: course.least });
    }
    if let Some(behind) = sight.behind.filter(|behind| *behind > max_lag) {
        course.missed.push(Miss::Behind(behind));
    }
    course
}

impl Miss {
    /// Whether it is the same trouble, though its numbers may differ.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// For an operator: what cannot be had, why, and what to do.
    pub fn words(&self, aims: &Aims, side: Side) -> String {
        let lag = humantime::format_duration(aims.max_lag.unwrap_or_default());
        let money = aims.budget.map_or(0.0, |budget| budget.dollars_per_month);
        let (request, wait) = match side {
            Side::Primary => ("put", "interval"),
            Side::Replica => ("get", "poll"),
        };
        match self {
            Self::Slow { request: took, share } => format!(
                "max_lag={lag} cannot be met: one {request} in a hundred takes {took:.0?} or more, \
                 and {share:.0?} of the lag are this side's; allow more, or move nearer to the store"
            ),
            Self::Dear { most, least } => format!(
                "max_lag={lag} cannot be met: it needs {wait}={most:.0?}, and budget={money} affords \
                 {least:.1?} while data flows; the budget holds: raise it to {:.2}, or allow more lag",
                money * least.as_secs_f64() / most.as_secs_f64().max(0.001)
            ),
            Self::Behind(age) => {
                let seconds = age.as_secs();
                match side {
                    Side::Primary => format!(
                        "max_lag={lag} is missed: the store lacks changes of {seconds} s ago; see \
                         the backlog, and whether the store answers"
                    ),
                    Side::Replica => format!(
                        "max_lag={lag} is missed: the store has not answered for {seconds} s; what \
                         is shown is older"
                    ),
                }
            }
            Self::Unaffordable(month) => format!(
                "budget={money} cannot be kept while data flows: even with {wait}={WAIT_MAX:.0?} requests \
                 come to {month:.2} a month; raise it to that"
            ),
            Self::Overspent(hour) => format!(
                "budget={money} is exceeded: the last hour's requests come to {:.2} a month; see \
                 which they are under `requests`, and raise the budget or write less",
                hour * MONTH_HOURS
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const S3: Prices = Prices { write: 5.0, read: 0.4, list: 5.0 };

    fn aims(max_lag: Option<Duration>, dollars: Option<f64>) -> Aims {
        let budget = dollars.map(|dollars_per_month| Budget { dollars_per_month, prices: S3 });
        Aims { max_lag, budget }
    }

    fn taking(request: Duration) -> Sight {
        Sight { request: Some(request), ..Sight::default() }
    }

    #[test]
    fn without_aims_every_wait_is_right() {
        let course = decide(&Aims::default(), Side::Primary, &taking(MS(900)));
        assert_eq!(course, Course::FREE);
        assert_eq!(course.bound(MS(7)), MS(7));
    }

    #[test]
    fn a_lag_leaves_the_wait_what_requests_do_not_take() {
        let aims = aims(Some(MS(1000)), None);
        let primary = decide(&aims, Side::Primary, &taking(MS(300)));
        assert_eq!((primary.bound(MS(1000)), primary.bound(MS(100))), (MS(450), MS(100)));
        let replica = decide(&aims, Side::Replica, &taking(MS(80)));
        assert_eq!((replica.most, replica.missed), (MS(170), vec![]));
    }

    #[test]
    fn a_lag_that_requests_alone_exceed_is_missed_without_any_wait() {
        let aims = aims(Some(MS(200)), None);
        let course = decide(&aims, Side::Primary, &taking(MS(300)));
        assert_eq!(course.most, Duration::ZERO);
        assert_eq!(course.missed, [Miss::Slow { request: MS(300), share: MS(150) }]);
        let course = decide(&aims, Side::Replica, &taking(MS(45)));
        assert_eq!((course.most, course.missed.len()), (MS(10), 1));
    }

    #[test]
    fn a_budget_is_kept_by_who_writes_all_the_time() {
        // 12.96 dollars a month are a put a second.
        let course = decide(&aims(None, Some(12.96)), Side::Primary, &Sight::default());
        assert!(course.least.abs_diff(MS(1000)) < MS(1) && course.missed.is_empty());
        assert_eq!(course.bound(MS(5000)), MS(5000));
        // What goes beside it, here a half, is not there for it.
        let sight = Sight { beside: 0.009, ..Sight::default() };
        let course = decide(&aims(None, Some(12.96)), Side::Primary, &sight);
        assert!(course.least.abs_diff(MS(2000)) < MS(1));
    }

    #[test]
    fn of_two_aims_that_contradict_each_other_the_budget_holds_and_the_lag_is_missed() {
        let aims = aims(Some(MS(1000)), Some(1.0));
        let course = decide(&aims, Side::Primary, &taking(MS(300)));
        assert!(course.bound(MS(100)) == course.least && course.least > MS(12_900));
        assert!(matches!(course.missed[..], [Miss::Dear { most, .. }] if most == MS(450)));
        let said = course.missed[0].words(&aims, Side::Primary);
        assert!(said.contains("max_lag=1s") && said.contains("raise it to 28.80"), "{said}");
    }

    #[test]
    fn a_budget_that_cannot_be_kept_is_said_to_be_exceeded() {
        let poor = decide(&aims(None, Some(0.1)), Side::Primary, &Sight::default());
        assert_eq!(poor.least, WAIT_MAX);
        assert!(matches!(poor.missed[..], [Miss::Unaffordable(month)] if month > 0.21));
        let sight = Sight { spent: 0.02, beside: 0.02, ..Sight::default() };
        let spent = decide(&aims(None, Some(7.2)), Side::Replica, &sight);
        assert!(spent.missed.iter().any(|miss| miss.is_like(&Miss::Overspent(0.0))));
    }

    #[test]
    fn a_store_that_is_away_misses_the_lag() {
        let sight = Sight { behind: Some(MS(9000)), ..Sight::default() };
        let course = decide(&aims(Some(MS(2000)), None), Side::Replica, &sight);
        assert_eq!(course.missed, [Miss::Behind(MS(9000))]);
    }
}
