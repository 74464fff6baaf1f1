//! `walfs doctor`: whether a store can carry a volume, and what to expect of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::config::value;
use crate::store::doctor::cost::Expectation;
use crate::store::doctor::{self, Fit, Report, Verdict};

use super::clock::SystemClock;
use super::cost;
use super::failure::{Exit, Failure};
use super::output::{Align, bytes, columns, print, print_json, seconds};
use super::reach::{self, HOW, WHERE};

/// How often a replica looks while data flows and when none does, unless it is told.
const POLL: Duration = Duration::from_millis(100);
const POLL_MAX: Duration = Duration::from_secs(5);
/// What is told besides the interval that was asked for.
const INTERVALS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(10)];

/// Examine a store: can it carry a volume, and what lag and cost are to be expected
///
/// Checks with your credentials what a primary and a replica need and rely on, and how fast the
/// store is. Writes below URL/doctor-…, and takes away what it wrote. Takes less than a minute
/// where requests take less than half a second.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where the volume is, or will be.
    #[arg(help = WHERE)]
    url: String,
    /// How to reach it.
    #[arg(short = 'o', value_name = "OPTIONS", help = HOW)]
    options: Vec<String>,
    /// Be content with what a replica needs
    #[arg(long)]
    replica: bool,
    /// The primary's interval to calculate with
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
    /// Prices to calculate with: a JSON file like src/store/doctor/prices.json
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A stable shape: fields are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Told {
    url: String,
    #[serde(flatten)]
    report: Report,
    prices_as_of: Option<String>,
    expectations: Vec<Expectation>,
}

impl Doctor {
    /// Examines.
    pub fn run(self) -> Result<(), Failure> {
        let intervals = match &self.interval {
            Some(text) => {
                let bad = |why| Failure::new(Exit::Usage, format!("--interval: {why}"));
                vec![value::duration(text).map_err(bad)?]
            }
            None => INTERVALS.to_vec(),
        };
        let table = cost::table("--prices", self.prices.as_deref())?;
        let (one, other) = reach::places(&self.url, &self.options)?;
        let bar = bar();
        let report = reach::block_on(async {
            let mut step = |name| {
                bar.set_message(name);
                bar.inc(1);
            };
            Ok(doctor::examine(&one, &other, rand::random(), &SystemClock, &mut step).await)
        })?;
        bar.finish_and_clear();
        let prices = table.of(&self.url).filter(|_| !report.timings.is_empty());
        let expect = |prices: crate::store::doctor::cost::Prices| {
            let each = intervals.iter();
            let each = each.map(|it| prices.expect(&report.timings, *it, POLL, POLL_MAX));
            each.collect::<Vec<_>>()
        };
        let expectations = prices.map(expect).unwrap_or_default();
        let prices_as_of = prices.map(|_| table.as_of);
        let told = Told { url: one.url, report, prices_as_of, expectations };
        if self.json {
            print_json(&told)?;
        } else {
            print(&describe(&told))?;
        }
        let needed = if self.replica { Fit::Replica } else { Fit::Primary };
        if told.report.fit >= needed { Ok(()) } else { Err(Failure::told(Exit::Error.code())) }
    }
}

fn describe(told: &Told) -> String {
    let mark = |verdict| match verdict {
        Verdict::Good => "ok",
        Verdict::Warning => "warning",
        Verdict::NoPrimary => "no primary",
        Verdict::Unfit => "unfit",
    };
    let findings = told.report.findings.iter();
    let rows: Vec<_> = findings
        .map(|it| [mark(it.verdict).to_owned(), it.check.to_owned(), it.detail.clone()])
        .collect();
    let mut text = columns([Align::Left; 3], &rows);
    if !told.report.timings.is_empty() {
        let head = ["request", "size", "p50", "p99"].map(str::to_owned);
        let each = told.report.timings.iter().map(|it| {
            let size = bytes(u64::try_from(it.bytes).unwrap_or(u64::MAX));
            [it.request.to_owned(), size, seconds(it.p50_seconds), seconds(it.p99_seconds)]
        });
        let rows: Vec<_> = std::iter::once(head).chain(each).collect();
        text.push('\n');
        text += &columns([Align::Left, Align::Right, Align::Right, Align::Right], &rows);
    }
    if let Some(date) = &told.prices_as_of {
        text.push('\n');
        text += &expectations(&told.expectations, date);
    }
    let verdict = match told.report.fit {
        Fit::Primary => "this store can carry a volume: primary and replicas",
        Fit::Replica => "with these credentials a replica can work here, a primary cannot",
        Fit::Nothing => "this store cannot carry a volume as it is",
    };
    format!("{text}\n{verdict}\n")
}

fn expectations(expected: &[Expectation], date: &str) -> String {
    let head =
        ["interval", "lag p50", "lag p99", "busy $/month", "idle $/month"].map(str::to_owned);
    let each = expected.iter().map(|it| {
        [
            seconds(it.interval_seconds),
            seconds(it.lag_p50_seconds),
            seconds(it.lag_p99_seconds),
            format!("{:.2}", it.busy_dollars_per_month),
            format!("{:.2}", it.idle_dollars_per_month),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(each).collect();
    let table = columns([Align::Right; 5], &rows);
    format!(
        "{table}(requests of one primary and one replica at list prices of {date}; calculated)\n"
    )
}

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} {msg}");
    ProgressBar::new(doctor::STEPS)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
