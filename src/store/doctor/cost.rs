//! Lag and money to expect of a store, from how fast it is and what requests cost there. Pure.
//!
//! `prices.json` beside this file has list prices in US dollars per million requests, and their
//! date; an operator's own file of the same shape takes its place. Traffic and storage are not in
//! it: they depend on the database, not on walfs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timing;

/// An hour.
pub const HOUR_SECONDS: f64 = 3600.0;
/// Thirty days.
pub const MONTH_HOURS: f64 = 720.0;
const MONTH_SECONDS: f64 = MONTH_HOURS * HOUR_SECONDS;
const MILLION: f64 = 1e6;
/// What a batch costs in time beyond its request: a small one.
const BATCH_BYTES: usize = 64 << 10;

/// Prices by kind of store.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PriceTable {
    /// When they were looked up.
    pub as_of: String,
    /// By kind.
    pub stores: BTreeMap<String, Prices>,
}

/// US dollars per million requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Creating and putting, each part of a body too.
    pub write: f64,
    /// Getting, what is not there too.
    pub read: f64,
    /// Listing.
    pub list: f64,
}

/// What to expect at one interval, of one primary and one replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expectation {
    /// The primary's `interval`.
    pub interval_seconds: f64,
    /// From a commit to its showing on a replica: half of them take no longer.
    pub lag_p50_seconds: f64,
    /// All but one in a hundred take no longer.
    pub lag_p99_seconds: f64,
    /// For requests, in 30 days of writing all the time.
    pub busy_dollars_per_month: f64,
    /// For requests, in 30 days without a write.
    pub idle_dollars_per_month: f64,
}

impl PriceTable {
    /// The table that comes with the program.
    pub fn built_in() -> Self {
        Self::parse(include_str!("prices.json")).expect("the table that comes along is well-formed")
    }

    /// A table of an operator's own.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let sound = |price: f64| price.is_finite() && price >= 0.0;
        for (kind, prices) in &table.stores {
            if ![prices.write, prices.read, prices.list].into_iter().all(sound) {
                return Err(format!("the prices of `{kind}` must be zero or more"));
            }
        }
        Ok(table)
    }

    /// The prices at this URL, if they are known.
    pub fn of(&self, url: &str) -> Option<Prices> {
        self.stores.get(kind(url)).copied()
    }
}

/// The kind of store at this URL, as the table names it.
pub fn kind(url: &str) -> &str {
    let url = url.strip_prefix("sim+").unwrap_or(url);
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let bucket = rest.split(['/', '?']).next().unwrap_or_default();
    match scheme {
        "s3" if bucket.ends_with("--x-s3") || rest.contains("s3_express=true") => "s3-express",
        "abfs" | "abfss" => "az",
        scheme => scheme,
    }
}

impl Prices {
    /// What so many requests of each kind come to.
    pub fn dollars(&self, requests: &BTreeMap<String, u64>) -> f64 {
        let count = |kind: &str| count_as_f64(requests.get(kind).copied().unwrap_or_default());
        let writes = count("create") + count("put");
        let reads = count("get") + count("get_miss");
        (writes * self.write + reads * self.read + count("list") * self.list) / MILLION
    }

    /// What they come to in 30 days, when they were counted in so long.
    pub fn per_month(&self, requests: &BTreeMap<String, u64>, counted: Duration) -> f64 {
        self.dollars(requests) * MONTH_SECONDS / counted.as_secs_f64().max(1.0)
    }

    /// Whether requests cost nothing.
    pub fn are_zero(&self) -> bool {
        [self.write, self.read, self.list].iter().all(|price| *price <= 0.0)
    }

    /// What to expect at this interval, when a replica looks every `poll` while data flows and
    /// every `poll_max` when none does.
    pub fn expect(
        &self,
        timings: &[Timing],
        interval: Duration,
        poll: Duration,
        poll_max: Duration,
    ) -> Expectation {
        let (put, get) = (of(timings, "put"), of(timings, "get"));
        let (interval, poll) = (interval.as_secs_f64(), poll.as_secs_f64());
        // While a batch is on its way the next one gathers.
        let batches = 1.0 / interval.max(put.0).max(f64::MIN_POSITIVE);
        let looks = 1.0 / (poll + get.0).max(f64::MIN_POSITIVE);
        let month = |writes: f64, reads: f64| {
            (writes * self.write + reads * self.read) * MONTH_SECONDS / MILLION
        };
        Expectation {
            interval_seconds: interval,
            lag_p50_seconds: interval / 2.0 + put.0 + poll / 2.0 + get.0,
            lag_p99_seconds: interval + put.1 + poll + get.1,
            busy_dollars_per_month: month(batches, batches + looks),
            idle_dollars_per_month: month(0.0, 1.0 / poll_max.as_secs_f64().max(f64::MIN_POSITIVE)),
        }
    }
}

/// The percentiles of a batch's request.
fn of(timings: &[Timing], request: &str) -> (f64, f64) {
    let timing = timings.iter().find(|it| it.request == request && it.bytes == BATCH_BYTES);
    timing.map_or((0.0, 0.0), |timing| (timing.p50_seconds, timing.p99_seconds))
}

/// Exact below four thousand million.
fn count_as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.01
    }

    #[test]
    fn a_kind_of_store_is_told_by_its_url() {
        let urls =
            ["s3://b/p", "s3://b--use1-az4--x-s3/p", "abfss://c@a/p", "sim+file:///x?put=1s"];
        assert_eq!(urls.map(kind), ["s3", "s3-express", "az", "file"]);
        assert!(PriceTable::built_in().of("hdfs://n/p").is_some());
    }

    #[test]
    fn requests_come_to_what_the_table_of_facts_says() {
        let prices = PriceTable::built_in().of("s3://b/p").unwrap();
        let requests = BTreeMap::from([("create".to_owned(), 100)]);
        assert!(near(prices.per_month(&requests, Duration::from_secs(100)), 12.96));
        let requests = BTreeMap::from([("get_miss".to_owned(), 720)]);
        assert!(near(prices.per_month(&requests, Duration::from_secs(3600)), 0.21));
    }

    #[test]
    fn lag_and_cost_follow_from_interval_and_pace() {
        let prices = PriceTable::built_in().of("s3://b/p").unwrap();
        let timing = |request, p50_seconds, p99_seconds| Timing {
            request,
            bytes: BATCH_BYTES,
            p50_seconds,
            p99_seconds,
        };
        let timings = [timing("put", 0.065, 0.3), timing("get", 0.015, 0.08)];
        let (poll, poll_max) = (Duration::from_millis(100), Duration::from_secs(5));
        let expected = prices.expect(&timings, Duration::from_secs(1), poll, poll_max);
        assert!(near(expected.lag_p50_seconds, 0.63) && near(expected.lag_p99_seconds, 1.48));
        assert!(near(expected.idle_dollars_per_month, 0.21));
        assert!(expected.busy_dollars_per_month > 12.96 && expected.busy_dollars_per_month < 24.0);
    }
}
