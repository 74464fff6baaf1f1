//! Work for a primary: pgbench, and a ledger of what was acknowledged.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crate::cluster::{Cluster, run};
use crate::ground::wait_exit;

/// Tables for everything below, on a running primary.
pub(crate) fn prepare(primary: &Cluster) {
    run(primary.client_program("pgbench").args(["-i", "-q", "-s", "1", "postgres"]));
    primary.query(
        "CREATE TABLE marker (id bigserial PRIMARY KEY); CREATE TABLE ledger (n bigint PRIMARY KEY)",
    );
}

/// pgbench for so many seconds, to its end.
pub(crate) fn bench(primary: &Cluster, seconds: u32) {
    run(&mut pgbench(primary, seconds));
}

/// pgbench in the background; it ends by itself, or when dropped.
#[derive(Debug)]
pub(crate) struct Bench(Child);

impl Bench {
    pub(crate) fn start(primary: &Cluster, seconds: u32) -> Bench {
        let mut command = pgbench(primary, seconds);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Bench(command.spawn().expect("pgbench can be started"))
    }

    /// Waits for its end. True: no client met an error.
    pub(crate) fn finish(mut self) -> bool {
        let status = wait_exit(&mut self.0, Duration::from_secs(120));
        status.is_some_and(|status| status.success())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn pgbench(primary: &Cluster, seconds: u32) -> Command {
    let mut command = primary.client_program("pgbench");
    command.args(["-N", "-n", "-c", "4", "-j", "1", "-T", &seconds.to_string(), "postgres"]);
    command
}

/// Clients that insert numbers one by one and remember which of them the server acknowledged.
/// They reconnect for as long as they are not stopped.
#[derive(Debug)]
pub(crate) struct Ledger {
    stopped: Arc<AtomicBool>,
    clients: Vec<JoinHandle<BTreeSet<u64>>>,
}

impl Ledger {
    pub(crate) fn start(primary: &Cluster, clients: u64) -> Ledger {
        let stopped = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|client| {
                let (psql, stopped) = (primary.psql(), Arc::clone(&stopped));
                std::thread::spawn(move || insert_until(client * 10_000_000, psql, &stopped))
            })
            .collect();
        Ledger { stopped, clients }
    }

    /// Everything that was acknowledged.
    pub(crate) fn finish(mut self) -> BTreeSet<u64> {
        self.stopped.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut self.clients);
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client of the ledger does not panic"))
            .collect()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// What a server has of the ledger.
pub(crate) fn ledger_of(cluster: &Cluster) -> BTreeSet<u64> {
    let text = cluster.query("SELECT n FROM ledger");
    text.lines().map(|line| line.parse().expect("the ledger holds numbers")).collect()
}

fn insert_until(first: u64, mut psql: Command, stopped: &AtomicBool) -> BTreeSet<u64> {
    psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut acknowledged = BTreeSet::new();
    let mut next = first;
    while !stopped.load(Ordering::Relaxed) {
        let mut session = psql.spawn().expect("psql can be started");
        let mut words = session.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(session.stdout.take().expect("it is piped")).lines();
        while !stopped.load(Ordering::Relaxed) {
            // An insert without an answer may or may not be there: its number is never reused.
            next += 1;
            if writeln!(words, "INSERT INTO ledger VALUES ({next}) RETURNING n;").is_err() {
                break;
            }
            match answers.next() {
                Some(Ok(answer)) if answer == next.to_string() => acknowledged.insert(next),
                _ => break,
            };
        }
        drop(words);
        session.kill().ok();
        session.wait().ok();
        sleep(Duration::from_millis(50));
    }
    acknowledged
}
