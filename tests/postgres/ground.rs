//! What every case with real servers needs to do with processes, files and time.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Says so on the real standard error: what a test prints when it passes is not shown.
pub(crate) fn skip(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "under CI nothing is skipped: {missing}");
    writeln!(std::io::stderr(), "skipped: {missing}").ok();
}

/// Every regular file in this directory and below it.
pub(crate) fn files_beneath(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_beneath(&path, found),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

/// Polls until the closure is content; fails with what was waited for.
pub(crate) fn wait_until(what: &str, timeout: Duration, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < timeout, "waited {timeout:?} in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// None: it still runs.
pub(crate) fn wait_exit(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if start.elapsed() > timeout {
            return None;
        }
        sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to one of our own children.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a pid is an i32");
    // A child that has just left needs no signal.
    kill(Pid::from_raw(pid), signal).ok();
}

/// Opens a log for appending, readable by all.
pub(crate) fn log_file(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log can be written")
}

/// The last lines of a log, for a case that fails.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
