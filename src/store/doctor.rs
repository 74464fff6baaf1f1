//! Examines a store: whether it keeps the promises that walfs builds on, with these credentials,
//! and how fast it is. Works in a folder of its own and leaves nothing behind.
//!
//! | file | idea |
//! |---|---|
//! | `probe` | single requests, and which names to clear away |
//! | `semantics` | what a chain relies on: one winner, old bytes kept, no stale "not there" |
//! | `requests`, `listing` | what walfs works around where it must |
//! | `bucket` | what the store does to objects by itself |
//! | `host` | what is beneath a directory's or a name node's objects |
//! | `permissions` | what these credentials may do, and what the store says about time |
//! | `pace` | how long requests take, how many go at once |
//! | [`cost`] | lag and money to expect of that; pure |

mod bucket;
pub mod cost;
mod host;
mod listing;
mod pace;
mod permissions;
mod probe;
mod requests;
mod semantics;

use serde::Serialize;

use super::Place;
use crate::volume::Clock;
use probe::Probe;

pub use pace::Timing;

/// What an examination found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// What the store is good for.
    pub fit: Fit,
    /// What was looked at, in this order.
    pub findings: Vec<Finding>,
    /// How long requests take.
    pub timings: Vec<Timing>,
}

/// What a store is good for, the best last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Nothing: it would break a promise, or cannot be reached.
    Nothing,
    /// A replica reads; a primary could not write.
    Replica,
    /// A primary and replicas.
    #[default]
    Primary,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, and what to do about it.
    pub detail: String,
}

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing.
    Warning,
    /// No primary can work so.
    NoPrimary,
    /// Nothing can work so.
    Unfit,
}

impl Report {
    fn add(&mut self, finding: Finding) {
        let fit = match finding.verdict {
            Verdict::Good | Verdict::Warning => Fit::Primary,
            Verdict::NoPrimary => Fit::Replica,
            Verdict::Unfit => Fit::Nothing,
        };
        self.fit = self.fit.min(fit);
        self.findings.push(finding);
    }
}

impl Finding {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, detail: detail.into() }
    }

    fn warning(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, detail: detail.into() }
    }

    fn no_primary(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::NoPrimary, detail: detail.into() }
    }

    fn unfit(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Unfit, detail: detail.into() }
    }
}

/// So many steps there are, for who shows how far it is.
pub const STEPS: u64 = 13;

/// Examines the store at this place. `second` is another client of the same place, `mark` makes
/// the folder's name; each step is told before it begins.
pub async fn examine(
    place: &Place,
    second: &Place,
    mark: u64,
    clock: &dyn Clock,
    step: &mut (dyn FnMut(&'static str) + Send),
) -> Report {
    let (one, other) = (Probe::new(place, mark), Probe::new(second, mark));
    let mut report = Report::default();
    step("reach");
    report.add(permissions::reach(&one).await);
    if report.fit == Fit::Nothing {
        return report;
    }
    step("list");
    report.add(permissions::list(&one).await);
    if report.fit == Fit::Nothing {
        return report;
    }
    step("write");
    report.add(permissions::write(&one).await);
    let may_write = report.fit == Fit::Primary;
    if may_write {
        step("create-if-absent");
        report.add(semantics::taken_name(&one).await);
        step("race");
        report.add(semantics::race(&one, &other).await);
        step("read after write");
        report.add(semantics::read_after_miss(&one, &other).await);
        step("ranges");
        report.add(semantics::ranges(&one).await);
        report.add(requests::past_the_end(&one).await);
        step("requests");
        for finding in [requests::tags(&one).await, requests::parts(&one).await] {
            report.add(finding);
        }
        step("lists");
        report.add(listing::names(&one).await);
        report.add(listing::start_after(&one).await);
        report.add(bucket::pages(&one).await);
        step("rules");
        report.add(bucket::versions(&one).await);
        report.add(bucket::rules(&one).await);
        report.add(bucket::lock(&one).await);
        for finding in host::beneath(&one).await {
            report.add(finding);
        }
        step("clock");
        report.add(permissions::clock(&one, clock).await);
        step("pace");
        let (finding, timings) = pace::measure(&one).await;
        report.add(finding);
        report.timings = timings;
    }
    if may_write {
        report.add(requests::deletes(&one).await);
    }
    step("delete");
    let deleted = permissions::delete(&[&one, &other]).await;
    host::tidy(&one).await;
    if may_write {
        report.add(deleted);
    }
    report
}
