//! The process that serves a primary is killed, and another takes its place: the database notices
//! nothing but a short wait.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{Bed, call};

/// A page of a database.
const PAGE: usize = 8192;

impl Bed {
    /// Kills the process that serves the primary.
    fn kill_worker(&self) {
        let status = self.told("primary", "status.json");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let worker = status["worker"].as_i64().unwrap();
        kill(Pid::from_raw(worker.try_into().unwrap()), Signal::SIGKILL).unwrap();
    }

    fn restarts(&self) -> u64 {
        let status: serde_json::Value =
            serde_json::from_str(&self.told("primary", "status.json")).unwrap();
        status["restarts"].as_u64().unwrap()
    }
}

/// Pages at places that differ, synced now and then, and read back.
fn write_pages(file: &File, round: u64) {
    let page = [u8::try_from(round % 251).unwrap() + 1; PAGE];
    let at = round % 64 * 8192;
    file.write_all_at(&page, at).unwrap();
    if round.is_multiple_of(3) {
        file.sync_data().unwrap();
    }
    let mut back = [0; PAGE];
    file.read_exact_at(&mut back, at).unwrap();
    assert!(back == page, "what was written is read");
}

/// Everything that changes names. Each call is one that a database takes an error of for a fault.
/// With `nameless`, a file is used on after its last name went.
fn change_names(dir: &Path, round: u64, nameless: bool) {
    let name = |what: &str| dir.join(format!("{what}-{}", round % 7));
    let file = OpenOptions::new().write(true).create_new(true).open(name("new")).unwrap();
    file.write_all_at(b"content", 0).unwrap();
    file.sync_all().unwrap();
    fs::rename(name("new"), name("old")).unwrap();
    fs::hard_link(name("old"), name("link")).unwrap();
    symlink("old", name("symlink")).unwrap();
    assert_eq!(fs::read_to_string(name("link")).unwrap(), "content");
    assert_eq!(fs::metadata(name("link")).unwrap().nlink(), 2);
    fs::create_dir(name("directory")).unwrap();
    fs::write(name("directory").join("in"), "").unwrap();
    assert_eq!(fs::read_dir(name("directory")).unwrap().count(), 1);
    file.set_len(3).unwrap();
    fs::remove_file(name("directory").join("in")).unwrap();
    fs::remove_dir(name("directory")).unwrap();
    for gone in ["old", "link", "symlink"] {
        fs::remove_file(name(gone)).unwrap();
    }
    if nameless {
        file.write_all_at(b"nameless", 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), 0);
    }
    let missing = File::open(name("new")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

fn killed_under_load(options: &str, kills: u64, nameless: bool) {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary(options).well();
    let dir = bed.path("primary");
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let endlessly = |work: &dyn Fn(u64)| {
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            work(round);
            rounds.fetch_add(1, Ordering::Relaxed);
            round += 1;
        }
    };
    thread::scope(|scope| {
        for (number, flags) in [(0, 0), (1, 0), (2, libc::O_DSYNC)] {
            let path = dir.join(format!("pages-{number}"));
            scope.spawn(move || {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).custom_flags(flags);
                let kept = options.open(&path).unwrap();
                endlessly(&|round| {
                    write_pages(&kept, round);
                    if round.is_multiple_of(5) {
                        write_pages(&options.open(&path).unwrap(), round + 1);
                    }
                });
            });
        }
        for number in 0..2 {
            let dir = dir.join(format!("names-{number}"));
            fs::create_dir(&dir).unwrap();
            scope.spawn(move || endlessly(&|round| change_names(&dir, round, nameless)));
        }
        for round in 0..kills {
            sleep(Duration::from_millis(30 + round * 37 % 200));
            bed.kill_worker();
            bed.wait("another took over", || bed.restarts() == round + 1);
            let before = rounds.load(Ordering::Relaxed);
            bed.wait("work goes on", || rounds.load(Ordering::Relaxed) > before + 5);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let pages: Vec<_> = (0..3).map(|number| format!("pages-{number}")).collect();
    let written = pages.iter().map(|name| fs::read(dir.join(name)).unwrap());
    let written: Vec<_> = written.collect();
    call(&["umount", &bed.text("primary")]).well();
    for (name, written) in pages.iter().zip(written) {
        assert_eq!(fs::read(dir.join(name)).unwrap(), written, "beneath the mount");
        let shipped = crate::bed::walfs().args(["cat", &bed.url(), name]).output().unwrap();
        assert!(shipped.stdout == written, "{name} is in the store");
    }
}

#[test]
fn thirty_times_killed_under_load_no_call_fails() {
    killed_under_load("layout=generic", 30, true);
}

#[test]
fn so_it_is_where_each_sync_waits_for_the_store_and_io_goes_through_the_daemon() {
    // What only the daemon has open, and what has no name, goes with it.
    killed_under_load("layout=generic,sync", 10, false);
}

#[test]
fn an_open_file_without_a_name_outlives_the_worker() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    let path = bed.path("primary/gone");
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all_at(b"before", 0).unwrap();
    fs::remove_file(&path).unwrap();
    bed.kill_worker();
    file.write_all_at(b"and after", 7).unwrap();
    file.sync_all().unwrap();
    let mut back = [0; 16];
    file.read_exact_at(&mut back, 0).unwrap();
    assert_eq!(&back, b"before\0and after");
    assert_eq!(file.metadata().unwrap().len(), 16);
}

#[test]
fn umount_waits_for_a_worker_that_took_over_and_has_its_last_words() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic,interval=1h").well();
    fs::write(bed.path("primary/a"), "shipped").unwrap();
    bed.kill_worker();
    bed.wait("another took over", || bed.restarts() == 1);
    let said = call(&["umount", &bed.text("primary")]).well();
    assert!(said.contains("everything is in the store, up to position 2-"), "{said}");
    assert_eq!(call(&["cat", &bed.url(), "a"]).well(), "shipped");
}

#[test]
fn who_lost_the_volume_meanwhile_does_not_take_over() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic,node=alice").well();
    let file = File::create(bed.path("primary/a")).unwrap();
    fs::create_dir(bed.path("rival")).unwrap();
    let options = format!("primary,takeover,node=bob,log_file={}", bed.text("rival.log"));
    call(&["mount", &bed.url(), &bed.text("rival"), "-o", &options]).well();
    bed.kill_worker();
    let log = || fs::read_to_string(bed.path("primary.log")).unwrap();
    bed.wait("it is told", || log().contains("cannot be taken over, and is dead"));
    assert!(log().contains("bob"), "{}", log());
    assert!(file.sync_all().is_err(), "nobody ships this any more");
    assert!(call(&["umount", &bed.text("primary")]).well().contains("daemon was dead"));
}

#[test]
fn while_there_is_no_store_nothing_is_begun_and_the_database_waits() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    let path = bed.path("primary/a");
    fs::write(&path, "before").unwrap();
    bed.wait("it is shipped", || call(&["cat", &bed.url(), "a"]).out == "before");
    fs::rename(bed.path("store/volume"), bed.path("store/away")).unwrap();
    bed.kill_worker();
    let written = thread::spawn(move || fs::write(path, "and after"));
    let log = || fs::read_to_string(bed.path("primary.log")).unwrap();
    bed.wait("it is told", || log().matches("the database waits; trying again").count() > 1);
    assert!(!bed.path("store/volume/volume").exists(), "no other volume is in its place");
    fs::rename(bed.path("store/away"), bed.path("store/volume")).unwrap();
    written.join().unwrap().unwrap();
    bed.wait("it is shipped", || call(&["cat", &bed.url(), "a"]).out == "and after");
}

#[test]
fn told_to_stop_while_there_is_no_store_the_mount_is_given_up() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    let pid = bed.pid("primary");
    fs::rename(bed.path("store/volume"), bed.path("store/away")).unwrap();
    bed.kill_worker();
    let log = || fs::read_to_string(bed.path("primary.log")).unwrap();
    bed.wait("it is told", || log().contains("the database waits; trying again"));
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    bed.wait("it is unmounted", || !mounts().contains(&bed.text("primary")));
    bed.wait("it is told", || log().contains("what was not shipped stays in the directory"));
    fs::rename(bed.path("store/away"), bed.path("store/volume")).unwrap();
    bed.primary("").well();
    assert_eq!(bed.told("primary", "state"), "running");
}
