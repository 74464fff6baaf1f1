//! What ends a mount: somebody unmounts it, or a signal asks the daemon to. Then a primary ships
//! what is durable, and says what it could not.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, never, select};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::cli::clock::SystemClock;
use crate::cli::failure::Failure;
use crate::fuse::hidden;
use crate::fuse::mount::{Error, Mounted};
use crate::primary::Ended;
use crate::volume::Clock;

use super::role::Service;

/// How often a mount that is in use is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// How a process ends that was told to before it served anything, as shells count.
pub(super) const INTERRUPTED: i32 = 130;

/// The name of the last words beneath the mount, in walfs's own place there.
pub const REPORT: &str = "report.json";

/// The last words of a primary's daemon. Beneath the mount, for whoever unmounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose they are.
    pub pid: u32,
    /// When.
    pub time: String,
    /// The newest published position.
    pub position: Option<String>,
    /// Bytes that are on this disk and not in the store.
    pub unshipped_bytes: u64,
    /// The files that have them.
    pub unshipped_files: Vec<String>,
    /// What that means, if anything could not be shipped.
    pub problem: Option<String>,
}

/// Requests to stop.
#[derive(Debug)]
pub(super) struct Signals {
    requests: Receiver<Signal>,
    serving: Arc<AtomicBool>,
}

impl Signals {
    /// From now on `SIGTERM`, `SIGINT` and `SIGHUP` wait for [`Signals::serve`]; until then they end
    /// the process, which a mount that is only being prepared survives as it does a crash.
    pub(super) fn block() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::error(format!("cannot wait for signals: {error}"));
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        set.thread_block().map_err(|error| failed(error.into()))?;
        Self::wait(move || set.wait().ok())
    }

    /// Requests of the supervisor. What this process is sent itself is left to it: it was sent the
    /// same, or nobody should have sent it.
    pub(super) fn of_supervisor(mut control: UnixStream) -> Result<Self, Failure> {
        Self::wait(move || {
            let mut byte = [0];
            while control.read_exact(&mut byte).is_err() {
                // The supervisor is dead, and so is this process in a moment. To unmount now would
                // leave the database with a directory that nobody ships.
                std::thread::park();
            }
            Signal::try_from(i32::from(byte[0])).ok()
        })
    }

    fn wait(mut next: impl FnMut() -> Option<Signal> + Send + 'static) -> Result<Self, Failure> {
        let (tell, requests) = bounded(1);
        let serving = Arc::new(AtomicBool::new(false));
        let served = Arc::clone(&serving);
        let wait = move || {
            while let Some(signal) = next() {
                if !served.load(Ordering::SeqCst) {
                    std::process::exit(INTERRUPTED);
                }
                // Full: a request is there already. Gone: nobody serves any more.
                if tell.send(signal).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("walfs-signals".to_owned()).spawn(wait);
        thread.map_err(|error| Failure::error(format!("cannot wait for signals: {error}")))?;
        Ok(Self { requests, serving })
    }

    /// From now on they are requests: there is a mount to be ended first.
    pub(super) fn serve(&self) {
        self.serving.store(true, Ordering::SeqCst);
    }
}

/// Waits until the mount has ended. A signal unmounts it; while files are in use there, the
/// database has time to leave; then, or at a second signal, the mount is detached from its name.
pub(super) fn wait_for_end(mounted: &mut Mounted, signals: &Signals, patience: Duration) {
    let ended = mounted.ended().cloned().unwrap_or_else(never);
    select! {
        recv(ended) -> _ => {
            if let Err(error) = mounted.join() {
                warn!("the mount ended: {error}");
            }
            return;
        }
        recv(signals.requests) -> signal => info!(?signal, "told to stop"),
    }
    let deadline = Instant::now() + patience;
    let mut told = false;
    loop {
        match mounted.unmount() {
            Ok(()) => return,
            Err(Error::InUse(_)) if !told => {
                told = true;
                warn!("files are in use in the mount: waiting for the database to stop");
            }
            Err(Error::InUse(_)) => {}
            Err(error) => {
                warn!("{error}");
                return;
            }
        }
        let rest = deadline.saturating_duration_since(Instant::now()).min(TRY_AGAIN);
        if rest.is_zero() || signals.requests.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            warn!("files are still in use in the mount: leaving them behind");
            return;
        }
    }
}

/// Ends the role, and says how it ended.
pub(super) fn stop(
    service: &Service,
    directory: &OwnedFd,
    patience: Duration,
    daemon: u32,
) -> Report {
    let primary = match service {
        Service::Primary(primary, _) => primary,
        Service::Replica(follows) => {
            follows.lock().shutdown();
            info!("unmounted");
            return Report::default();
        }
    };
    let ended = primary.shutdown(patience);
    let mut report = Report {
        pid: daemon,
        time: SystemClock.now().to_string(),
        position: primary.status().position,
        ..Report::default()
    };
    match ended {
        Some(Ended::Stopped(left)) if left.bytes == 0 && left.files.is_empty() => {
            info!(position = report.position, "unmounted; everything is in the store");
        }
        Some(Ended::Stopped(left)) => {
            report.unshipped_bytes = left.bytes;
            report.unshipped_files = left.files.iter().map(ToString::to_string).collect();
            report.problem = Some(format!(
                "{} bytes of {} files could not be shipped: they stay in the directory, and the \
                 next mount as primary ships them",
                left.bytes,
                left.files.len()
            ));
        }
        Some(Ended::Fenced(why)) => report.problem = Some(why),
        None => report.problem = Some("the primary had ended before: see its log".to_owned()),
    }
    if let Err(error) = keep(&report, directory) {
        warn!(%error, "the report of the unmount cannot be kept beneath the mount");
    }
    report
}

fn keep(report: &Report, directory: &OwnedFd) -> io::Result<()> {
    let own = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let own = rustix::fs::openat(directory.as_fd(), hidden::NAME, own, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = rustix::fs::openat(own, REPORT, flags | OFlags::NOFOLLOW, Mode::RUSR | Mode::WUSR)?;
    serde_json::to_writer_pretty(File::from(file), report).map_err(io::Error::from)
}
