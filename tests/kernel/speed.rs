//! What the mount costs, to be read by people: `cargo test --release --test kernel speed -- --ignored
//! --nocapture`. Asserts nothing: machines differ.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use walfs::fuse::mount::Passthrough;

use crate::world::{World, has_fuse};

const BLOCK: [u8; 8192] = [5; 8192];
/// The ways alternate this often, so that the machine's moods spread evenly.
const ROUNDS: usize = 7;

#[test]
#[ignore = "measures, asserts nothing"]
fn speed() {
    if !has_fuse() {
        return;
    }
    let native = tempfile::tempdir().unwrap();
    let kernel = World::new(Passthrough::On);
    let daemon = World::new(Passthrough::Off);
    let (kernel, daemon) = (kernel.path(""), daemon.path(""));
    println!("microseconds per operation (median)       native  passthrough  daemon");
    for (name, measure) in MEASURES {
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (times, path) in times.iter_mut().zip([native.path(), &kernel, &daemon]) {
                times.push(measure(path));
            }
        }
        let [native, kernel, daemon] = times.map(median);
        println!("{name:40} {native:8.2} {kernel:8.2} ({:.2}x) {daemon:8.2}", native / kernel);
    }
}

type Measure = fn(&Path) -> f64;

const MEASURES: [(&str, Measure); 6] = [
    ("8 KiB pwrite", |path| writes(path, 0, 4000, false)),
    ("8 KiB pwrite + fdatasync", |path| writes(path, 0, 300, true)),
    ("8 KiB pwrite, O_DSYNC", |path| writes(path, libc::O_DSYNC, 300, false)),
    ("open + close", opens),
    ("create + 8 KiB + rename + unlink", makes),
    ("4 writers, own files, pwrite + fdatasync", four),
];

/// The blocks of a file that was filled before, one after the other.
fn writes(path: &Path, flags: i32, count: u64, sync: bool) -> f64 {
    let path = path.join(format!("log-{:?}", thread::current().id()));
    std::fs::write(&path, vec![1; 16 << 20]).unwrap();
    let file = File::options().write(true).custom_flags(flags).open(path).unwrap();
    file.sync_all().unwrap();
    let start = Instant::now();
    for number in 0..count {
        file.write_all_at(&BLOCK, number % 2048 * 8192).unwrap();
        if sync {
            file.sync_data().unwrap();
        }
    }
    each(start.elapsed(), count)
}

fn opens(path: &Path) -> f64 {
    let path = path.join("opened");
    std::fs::write(&path, b"x").unwrap();
    let start = Instant::now();
    for _ in 0..2000 {
        File::open(&path).unwrap();
    }
    each(start.elapsed(), 2000)
}

fn makes(path: &Path) -> f64 {
    let start = Instant::now();
    for number in 0..1000 {
        let (old, new) = (path.join(format!("old-{number}")), path.join(format!("new-{number}")));
        std::fs::write(&old, BLOCK).unwrap();
        std::fs::rename(&old, &new).unwrap();
        std::fs::remove_file(&new).unwrap();
    }
    each(start.elapsed(), 1000)
}

fn four(path: &Path) -> f64 {
    let times: Vec<f64> = thread::scope(|scope| {
        let writer = || scope.spawn(|| writes(path, 0, 200, true));
        let writers: Vec<_> = (0..4).map(|_| writer()).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    median(times)
}

fn each(elapsed: Duration, count: u64) -> f64 {
    let count = u32::try_from(count).unwrap();
    elapsed.as_secs_f64() * 1e6 / f64::from(count)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
