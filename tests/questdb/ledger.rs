//! What a primary acknowledged, row by row.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crate::client::Client;
use crate::ground::wait_until;

/// Inserts numbers one by one and remembers which of them the server acknowledged. Goes on through
/// outages for as long as it is not stopped.
#[derive(Debug)]
pub(crate) struct Ledger {
    stopped: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    client: Option<JoinHandle<BTreeSet<u64>>>,
}

impl Ledger {
    /// Makes its table on a running server, and begins.
    pub(crate) fn start(primary: Client) -> Ledger {
        primary
            .query("CREATE TABLE ledger (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL");
        let stopped = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&stopped), Arc::clone(&count));
        let client = std::thread::spawn(move || insert_until(primary, &told, &counted));
        Ledger { stopped, count, client: Some(client) }
    }

    /// Waits until so many rows more are acknowledged.
    pub(crate) fn wait_for(&self, more: usize) {
        let wanted = self.count.load(Ordering::Relaxed) + more;
        wait_until("the primary acknowledges rows", Duration::from_secs(90), || {
            self.count.load(Ordering::Relaxed) >= wanted
        });
    }

    /// Everything that was acknowledged.
    pub(crate) fn finish(mut self) -> BTreeSet<u64> {
        self.stopped.store(true, Ordering::Relaxed);
        let client = self.client.take().expect("it is finished once");
        client.join().expect("the ledger does not panic")
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// What a server has of the ledger.
pub(crate) fn ledger_of(client: Client) -> Result<BTreeSet<u64>, String> {
    let rows = client.sql("SELECT n FROM ledger")?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_u64()).collect())
}

fn insert_until(client: Client, stopped: &AtomicBool, count: &AtomicUsize) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    // A number without an answer may or may not be there: it is never used again.
    for number in 1.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let words =
            format!("INSERT INTO ledger VALUES ({}, {number})", 1_704_067_200_000_000 + number);
        match client.sql(&words) {
            Ok(_) => {
                acknowledged.insert(number);
                count.store(acknowledged.len(), Ordering::Relaxed);
                sleep(Duration::from_millis(5));
            }
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
    acknowledged
}
