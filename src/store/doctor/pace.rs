//! How long requests take, by size, and whether many go at once.

use bytes::Bytes;
use futures::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::Finding;
use super::probe::Probe;

/// A commit, a batch, a body in parts.
const SIZES: [(usize, u32); 3] = [(1 << 10, 20), (64 << 10, 20), (4 << 20, 3)];
/// How many puts at once are tried.
const AT_ONCE: [u32; 4] = [2, 4, 8, 16];
/// As many does a primary send: a link, and three bodies.
const USED: u32 = 4;

/// How long requests of a kind take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// `put` or `get`.
    pub request: &'static str,
    /// Of so many bytes.
    pub bytes: usize,
    /// Half of them take no longer, in seconds.
    pub p50_seconds: f64,
    /// All but one in a hundred take no longer, as far as so few can tell.
    pub p99_seconds: f64,
}

pub(super) async fn measure(probe: &Probe) -> (Finding, Vec<Timing>) {
    const CHECK: &str = "pace";
    let mut timings = Vec::new();
    for (size, count) in SIZES {
        let bytes = Bytes::from(vec![0x5a; size]);
        let (mut puts, mut gets) = (Vec::new(), Vec::new());
        for number in 0..count {
            let name = format!("pace-{size}-{number}");
            let begin = Instant::now();
            if let Err(error) = probe.create(&name, bytes.clone()).await {
                let finding = Finding::warning(CHECK, format!("{size} bytes: {error}"));
                return (finding, timings);
            }
            puts.push(begin.elapsed().as_secs_f64());
            let begin = Instant::now();
            if let Err(error) = probe.get(&name).await {
                let finding = Finding::warning(CHECK, format!("{size} bytes: {error}"));
                return (finding, timings);
            }
            gets.push(begin.elapsed().as_secs_f64());
        }
        timings.extend([timing("put", size, puts), timing("get", size, gets)]);
    }
    (at_once(probe).await, timings)
}

/// More and more, until the store has enough.
async fn at_once(probe: &Probe) -> Finding {
    const CHECK: &str = "pace";
    let mut well = None;
    for count in AT_ONCE {
        let begin = Instant::now();
        let failed = burst(probe, count).await;
        let each = f64::from(count) / begin.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        let Some(error) = failed.first() else {
            well = Some(format!("{count} puts at once go well, {each:.0} in a second"));
            continue;
        };
        let well = well.unwrap_or_else(|| "not even one put goes well".to_owned());
        let failed = failed.len();
        let why = format!("{well}; of {count} at once {failed} failed: {error}");
        return Finding::warning(
            CHECK,
            format!("{why}; walfs sends up to {USED}, and sends again"),
        );
    }
    Finding::good(CHECK, well.unwrap_or_default())
}

/// So many puts at once; the errors come back.
async fn burst(probe: &Probe, count: u32) -> Vec<object_store::Error> {
    let bytes = Bytes::from(vec![0x5a; 64 << 10]);
    let puts = (0..count).map(|number| {
        let bytes = bytes.clone();
        async move { probe.create(&format!("at-once-{count}-{number}"), bytes).await }
    });
    join_all(puts).await.into_iter().filter_map(Result::err).collect()
}

fn timing(request: &'static str, bytes: usize, mut seconds: Vec<f64>) -> Timing {
    seconds.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let index = (seconds.len() * percent / 100).min(seconds.len().saturating_sub(1));
        seconds.get(index).copied().unwrap_or_default()
    };
    Timing { request, bytes, p50_seconds: at(50), p99_seconds: at(99) }
}
