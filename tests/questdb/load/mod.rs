//! Work for a primary: everything that a table can meet, by several writers at once, from a seed.
//!
//! Left out is what breaks a table of QuestDB 9.3.4 without walfs: partitions turned into parquet
//! under out-of-order writes, and columns turned from STRING to VARCHAR or back under UPDATEs.

mod steps;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::client::Client;

pub(crate) use steps::{Kinds, Writer};

/// How long a writer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// So many steps. An unreachable server is an error.
    Steps(u32),
    /// Told to stop. A server may be away, or say anything while it is being killed.
    Stopped,
}

/// How often each kind of step was done, and how often the server refused it for a good reason.
pub(crate) type Report = BTreeMap<&'static str, (u32, u32)>;

/// Writers at work.
#[derive(Debug)]
pub(crate) struct Load {
    stopped: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Report>>,
}

impl Load {
    /// Writers of this number, whose steps follow from the seed (their interleaving does not).
    pub(crate) fn start(client: Client, seed: u64, writers: u64, until: Until) -> Load {
        Load::begin(client, seed, writers, until, Kinds::All)
    }

    /// The same, with rows alone for the tables that are there.
    pub(crate) fn of_rows(client: Client, seed: u64, writers: u64, until: Until) -> Load {
        Load::begin(client, seed, writers, until, Kinds::Rows)
    }

    fn begin(client: Client, seed: u64, writers: u64, until: Until, kinds: Kinds) -> Load {
        let stopped = Arc::new(AtomicBool::new(false));
        let writers = (0..writers)
            .map(|number| {
                let random = StdRng::seed_from_u64(seed * 1000 + number);
                let writer = Writer::new(client, random, number, kinds);
                let stopped = Arc::clone(&stopped);
                std::thread::spawn(move || work(writer, until, &stopped))
            })
            .collect();
        Load { stopped, writers }
    }

    /// Tells the writers to stop, waits for them; what they did together.
    pub(crate) fn stop(self) -> Report {
        self.stopped.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits for the end of the writers; what they did together.
    pub(crate) fn finish(mut self) -> Report {
        let mut all = Report::new();
        for writer in std::mem::take(&mut self.writers) {
            let report = writer.join().expect("a writer met what it had not expected");
            for (kind, (done, refused)) in report {
                let sum = all.entry(kind).or_default();
                *sum = (sum.0 + done, sum.1 + refused);
            }
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn work(mut writer: Writer, until: Until, stopped: &AtomicBool) -> Report {
    let mut report = Report::new();
    let mut step = 0;
    while !stopped.load(Ordering::Relaxed) && until != Until::Steps(step) {
        step += 1;
        let (kind, answer) = writer.step();
        let count = report.entry(kind).or_default();
        match answer {
            Ok(()) => count.0 += 1,
            Err(words) if is_expected(&words) => count.1 += 1,
            // Whatever a server says that is being killed.
            Err(_) if until == Until::Stopped => {
                count.1 += 1;
                sleep(Duration::from_millis(100));
            }
            Err(words) => panic!("writer {writer:?}, step {step}, {kind}: {words}"),
        }
    }
    report
}

/// What a server may say to one writer because of what another one just did.
fn is_expected(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    EXPECTED.iter().any(|known| words.contains(known))
}

const EXPECTED: &[&str] = &[
    "does not exist",
    "already exists",
    "invalid column",
    "column not found",
    "duplicate column",
    "table is dropped",
    "inconvertible",
    "column count",
    "cached query plan",
    "schema has changed",
    "no partitions matched",
    "could not cast",
    "cast error",
    "ttl value must be",
    "new name is already in use",
    "is identical to existing name",
    "only supported for symbol",
    "is not of symbol type",
    "type is already",
];
