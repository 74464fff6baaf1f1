//! Holds a primary's mount: the directory beneath it, the kernel's device, and what the kernel was
//! told. Everything else is done by a worker, which may die, and is replaced under the live mount:
//! the database waits meanwhile, and gets no error. Does no network, keeps no state, starts no
//! thread: what it does not do cannot kill it.
//!
//! It starts this very program again, and so is at home here and not beside the kernel's side.
//!
//! A worker that ends by itself ended the mount. One that was never ready takes the mount with it,
//! except where trying again may help.

use std::env;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::FdFlags;
use rustix::mount::UnmountFlags;
use tracing::{error, warn};

use crate::cli::failure::{Exit, Failure};
use crate::cli::logging::Log;
use crate::config::Config;
use crate::fuse::estate::{Estate, can_find};
use crate::fuse::mount::MountPoint;

use super::daemon::{self, Footing};
use super::stop::{INTERRUPTED, Signals};
use super::worker::{Handed, READY};
use super::{Mount, detach};

/// The shortest time between the starts of two workers, and how long until one is replaced that was
/// not ready, doubled each time.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// So many workers in a row may die before they are ready.
const DEATHS_MAX: u32 = 10;

/// Holds the mount until it has ended.
pub(super) fn run(mount: &Mount, config: Config, log: &Log) -> Result<(), Failure> {
    let point = MountPoint::open(&mount.dir)?;
    if !can_find(point.directory()) {
        warn!(
            dir = %point.path().display(),
            "the filesystem beneath the mount cannot find files by number: if this process dies, the mount does too"
        );
        let signals = Signals::block()?;
        return daemon::serve(mount, config, log, Footing { point, signals, supervisor: None });
    }
    Holder::new(mount, &config, log, point)?.hold()
}

struct Holder<'a> {
    mount: &'a Mount,
    log: &'a Log,
    log_file: Option<&'a Path>,
    /// Where relative names of the command line begin.
    home: PathBuf,
    point: MountPoint,
    estate: Estate,
    signals: SignalFd,
    /// A worker served the mount.
    mounted: bool,
}

/// How a worker ended.
struct Ended {
    status: ExitStatus,
    /// It had served the mount.
    was_ready: bool,
}

impl<'a> Holder<'a> {
    fn new(
        mount: &'a Mount,
        config: &'a Config,
        log: &'a Log,
        point: MountPoint,
    ) -> Result<Self, Failure> {
        let wanted = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD];
        let wanted: SigSet = wanted.into_iter().collect();
        wanted.thread_block().map_err(failed)?;
        let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let estate = Estate::create().map_err(failed)?;
        for kept in [point.directory().as_fd(), point.device().as_fd(), estate.as_fd()] {
            share(kept)?;
        }
        let home = env::current_dir().map_err(failed)?;
        // That name leads into the mount by then, which waits for the worker.
        let home = if home.starts_with(point.path()) { PathBuf::from("/") } else { home };
        Ok(Self {
            mount,
            log,
            log_file: config.log_file.as_deref(),
            home,
            point,
            estate,
            signals: signals.map_err(failed)?,
            mounted: false,
        })
    }

    fn hold(mut self) -> Result<(), Failure> {
        let (mut wait, mut deaths) = (WAIT_MIN, 0);
        loop {
            let began = Instant::now();
            let ended = self.work()?;
            if ended.was_ready {
                (wait, deaths) = (WAIT_MIN, 0);
            }
            match (ended.status.code(), ended.status.signal()) {
                (Some(0), _) => return Ok(()),
                (Some(code), _) if ended.was_ready || !self.mounted => return Err(told(code)),
                (Some(INTERRUPTED), _) => return self.leave(),
                (Some(code), _) if code != i32::from(Exit::Unavailable.code()) => {
                    error!(
                        "the mount cannot be taken over, and is dead from now on: stop the database, remedy what the line above says, and mount again"
                    );
                    return Err(told(code));
                }
                (Some(_), _) => warn!(?wait, "the database waits; trying again"),
                (None, signal) => {
                    let signal = signal.unwrap_or_default();
                    deaths += u32::from(!ended.was_ready);
                    if !self.mounted {
                        return Err(Failure::error(format!(
                            "the daemon died before the mount was ready (signal {signal})"
                        )));
                    }
                    if deaths >= DEATHS_MAX {
                        return Err(Failure::error(format!(
                            "{deaths} workers in a row died before they were ready, the last of \
                             signal {signal}: the mount is dead from now on; stop the database, \
                             and mount again"
                        )));
                    }
                    warn!(signal, "the worker died: another takes over the mount");
                    // One that dies of what it is asked, and is asked again, shall not begin a
                    // reign each moment.
                    std::thread::sleep(WAIT_MIN.saturating_sub(began.elapsed()));
                }
            }
            if !ended.was_ready {
                if self.told_to_stop_within(wait)? {
                    return self.leave();
                }
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
    }

    /// Starts a worker, passes requests on to it, and waits for its end.
    fn work(&mut self) -> Result<Ended, Failure> {
        let (mut control, theirs) = UnixStream::pair().map_err(failed)?;
        let mut worker = self.start(&theirs)?;
        // Only the worker has it now: its death is heard.
        drop(theirs);
        let mut was_ready = false;
        let mut open = true;
        loop {
            if let Some(status) = worker.try_wait().map_err(failed)? {
                // It may have said so just before.
                was_ready |= open && said_ready(&mut control);
                return Ok(Ended { status, was_ready });
            }
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if open {
                fds.push(PollFd::new(control.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(failed(error)),
            }
            let spoke = fds.get(1).is_some_and(|fd| fd.any() == Some(true));
            while let Some(signal) = self.next_signal()? {
                // A worker that is dead is seen above.
                let _gone = control.write_all(&[signal]);
            }
            if spoke {
                open = said_ready(&mut control);
                if open && !was_ready {
                    was_ready = true;
                    self.became_ready()?;
                }
            }
        }
    }

    fn start(&self, control: &UnixStream) -> Result<Child, Failure> {
        share(control.as_fd())?;
        let handed = Handed {
            directory: self.point.directory().as_raw_fd(),
            device: self.point.device().as_raw_fd(),
            estate: self.estate.as_fd().as_raw_fd(),
            control: control.as_raw_fd(),
            pid: std::process::id(),
            inherit: self.mounted,
        };
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command.arg("mount").arg("--worker").arg(handed.text());
        if self.mount.detached {
            command.arg("--detached");
        }
        command.args(self.mount.options.iter().flat_map(|options| ["-o", options]));
        command.arg("--").arg(&self.mount.url).arg(self.point.path());
        command.current_dir(&self.home).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map_err(failed)
    }

    /// A worker serves the mount. Whoever waits for the first one is told.
    fn became_ready(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.mounted, true) {
            return Ok(());
        }
        if self.mount.detached {
            return detach::ready(self.log, self.log_file);
        }
        self.log_file.map_or(Ok(()), |file| self.log.redirect_to_file(file))
    }

    /// The next request to stop; the death of a worker is none.
    fn next_signal(&mut self) -> Result<Option<u8>, Failure> {
        while let Some(signal) = self.signals.read_signal().map_err(failed)? {
            let number = u8::try_from(signal.ssi_signo).unwrap_or_default();
            if Signal::try_from(i32::from(number)) != Ok(Signal::SIGCHLD) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn told_to_stop_within(&mut self, wait: Duration) -> Result<bool, Failure> {
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, wait) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(self.next_signal()?.is_some())
    }

    /// Nobody serves the mount, and nobody shall.
    fn leave(&self) -> Result<(), Failure> {
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        let dir = self.point.path();
        rustix::mount::unmount(dir, flags).map_err(failed)?;
        Err(Failure::error(format!(
            "{}: told to stop while no worker could begin: unmounted; what was not shipped stays in the directory, and the next mount as primary ships it",
            dir.display()
        )))
    }
}

/// Whether the worker says that it is ready, or anything at all.
fn said_ready(control: &mut UnixStream) -> bool {
    let mut byte = [0];
    let unblocked = control.set_nonblocking(true);
    let said = unblocked.and_then(|()| control.read(&mut byte));
    matches!(said, Ok(1)) && byte == [READY]
}

/// The workers that this process starts have it too, under the same number.
fn share(descriptor: BorrowedFd<'_>) -> Result<(), Failure> {
    rustix::io::fcntl_setfd(descriptor, FdFlags::empty()).map_err(failed)
}

fn told(code: i32) -> Failure {
    Failure::told(u8::try_from(code).unwrap_or(u8::MAX))
}

fn failed(error: impl Into<std::io::Error>) -> Failure {
    let error = error.into();
    Failure::error(format!("cannot hold the mount: {error}"))
}
