//! More WAL is to be applied than the cache may hold.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crate::client::Client;
use crate::compare::{catch_up_within, same, settle};
use crate::ground::files_beneath;
use crate::pair::{Primary, Replica};
use crate::world::World;

/// Room for what is being fetched and what is being removed.
const SLACK: u64 = 24 << 20;

fn catch_up_through(cache_megabytes: u64, wal_megabytes: u64, patience: Duration) {
    let Some(world) = World::new() else { return };
    let mut primary = Primary::start(&world, "primary", "interval=100ms,node=primary");
    let source = primary.client();
    write_megabytes(source, wal_megabytes);
    settle(source);

    let options = format!("node=replica,cache_size={cache_megabytes}M");
    let mut replica = Replica::start(
        &world,
        "replica",
        &format!("{options},cache={}", world.path("cache").display()),
    );
    let watch = Watch::over(&[&world.path("cache"), &replica.server.database().join(".walfs")]);
    catch_up_within(source, replica.client(), patience);
    let peak = watch.peak();
    println!("{wal_megabytes} MiB through {cache_megabytes} MiB: {} MiB at most", peak >> 20);
    assert!(peak > 0, "the cache was found");
    assert!(peak <= (cache_megabytes << 20) + SLACK, "{} MiB on disk", peak >> 20);
    same(source, replica.client());
    assert!(primary.server.is_running() && replica.server.is_running());
}

#[test]
fn a_cache_smaller_than_the_wal_is_enough() {
    catch_up_through(16, 160, Duration::from_secs(180));
}

#[test]
#[ignore = "takes minutes: two gigabytes"]
fn a_cache_of_64_mib_is_enough_for_2_gib() {
    catch_up_through(64, 2048, Duration::from_secs(1200));
}

/// About so many megabytes of WAL in four tables.
fn write_megabytes(client: Client, megabytes: u64) {
    for table in 0..4 {
        client.query(&format!(
            "CREATE TABLE bulk{table} (ts TIMESTAMP, a LONG, b LONG256, c VARCHAR) TIMESTAMP(ts)
             PARTITION BY DAY WAL"
        ));
    }
    // 100 bytes a row: 16 of the timestamp, 8, 32, and 16 for the place of 40 more.
    for round in 0..megabytes {
        let table = round % 4;
        client.query(&format!(
            "INSERT INTO bulk{table} SELECT cast({} + x * 1000 as timestamp), rnd_long(),
             rnd_long256(), rnd_str(20, 20, 0)::varchar FROM long_sequence(10500)",
            1_704_067_200_000_000 + round * 10_500_000
        ));
    }
}

/// Looks again and again at how much these directories hold.
struct Watch {
    stopped: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn over(directories: &[&Path]) -> Watch {
        let directories: Vec<_> = directories.iter().map(|path| path.to_path_buf()).collect();
        let (stopped, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, seen) = (Arc::clone(&stopped), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let mut files = Vec::new();
                for path in &directories {
                    files_beneath(path, &mut files);
                }
                let sizes = files.iter().filter_map(|file| file.metadata().ok());
                seen.fetch_max(sizes.map(|file| on_disk(&file)).sum(), Ordering::Relaxed);
                sleep(Duration::from_millis(20));
            }
        });
        Watch { stopped, peak, thread: Some(thread) }
    }

    fn peak(mut self) -> u64 {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
        self.peak.load(Ordering::Relaxed)
    }
}

/// What a file takes, holes apart.
fn on_disk(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(file) * 512
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
