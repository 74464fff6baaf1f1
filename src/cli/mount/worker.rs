//! The process that a supervisor starts: it does everything but hold the mount. It has the mount's
//! descriptors from the supervisor, and dies with it.

#![expect(unsafe_code, reason = "descriptors come as numbers from another process")]

use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::io::FdFlags;
use rustix::process::Signal;

use crate::cli::failure::Failure;
use crate::cli::logging::Log;
use crate::config::{Config, Role};
use crate::fuse::estate::Kept;
use crate::fuse::mount::MountPoint;
use crate::primary::Claim;

use super::Mount;
use super::daemon::{self, Footing};
use super::stop::Signals;

/// What a worker says when the mount is served.
pub(super) const READY: u8 = b'R';

/// What a supervisor hands to its worker: numbers of descriptors, and more. As text between
/// commas, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) directory: RawFd,
    pub(super) device: RawFd,
    pub(super) estate: RawFd,
    pub(super) control: RawFd,
    /// The supervisor's number.
    pub(super) pid: u32,
    /// Whether another worker had all this before.
    pub(super) inherit: bool,
}

impl Handed {
    pub(super) fn text(self) -> String {
        let Self { directory, device, estate, control, pid, inherit } = self;
        format!("{directory},{device},{estate},{control},{pid},{}", u8::from(inherit))
    }

    fn parse(text: &str) -> Option<Self> {
        let numbers: Result<Vec<i32>, _> = text.split(',').map(str::parse).collect();
        let &[directory, device, estate, control, pid, inherit] = &numbers.ok()?[..] else {
            return None;
        };
        let (pid, inherit) = (u32::try_from(pid).ok()?, inherit != 0);
        Some(Self { directory, device, estate, control, pid, inherit })
    }
}

/// Who started this process.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) pid: u32,
    pub(super) kept: Kept,
    control: UnixStream,
}

impl Supervisor {
    /// The mount is served.
    pub(super) fn tell_ready(&self) -> Result<(), Failure> {
        (&self.control).write_all(&[READY]).map_err(failed)
    }
}

/// Serves the mount that is handed over.
pub(super) fn run(
    mount: &Mount,
    mut config: Config,
    log: &Log,
    handed: &str,
) -> Result<(), Failure> {
    let handed = Handed::parse(handed);
    let handed = handed.ok_or_else(|| Failure::error("--worker is for walfs itself"))?;
    live_and_die_with(handed.pid)?;
    if let Role::Primary { claim, .. } = &mut config.role {
        // A takeover that succeeded made it this node's own reign.
        if handed.inherit {
            *claim = Claim::Continue;
        }
    }
    let [directory, device, estate, control] =
        [handed.directory, handed.device, handed.estate, handed.control].map(take);
    let kept = Kept::open(estate?, handed.inherit).map_err(failed)?;
    let control = UnixStream::from(control?);
    let signals = Signals::of_supervisor(control.try_clone().map_err(failed)?)?;
    let point = MountPoint::handed(mount.dir.clone(), directory?, device?, kept.clone());
    let supervisor = Some(Supervisor { pid: handed.pid, kept, control });
    daemon::serve(mount, config, log, Footing { point, signals, supervisor })
}

/// Nobody else would end this process, and nobody would take the mount over from it.
fn live_and_die_with(supervisor: u32) -> Result<(), Failure> {
    // What a terminal sends is meant for the supervisor.
    nix::unistd::setsid().map_err(failed)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    // It may have died before.
    let parent = std::os::unix::process::parent_id();
    if parent == supervisor { Ok(()) } else { Err(Failure::error("the supervisor is gone")) }
}

/// The descriptor of this number, which no other program that this one starts shall have.
fn take(number: RawFd) -> Result<OwnedFd, Failure> {
    // SAFETY: the supervisor left this descriptor open for us, under a number that it gave to
    // nothing else, and each is taken once. A wrong number is found out by the next call, before
    // anything is done with it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    let closing = rustix::io::fcntl_setfd(&descriptor, FdFlags::CLOEXEC);
    closing.map_err(failed)?;
    Ok(descriptor)
}

fn failed(error: impl Into<std::io::Error>) -> Failure {
    let error = error.into();
    Failure::error(format!("cannot take up what the supervisor hands over: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives() {
        let handed =
            Handed { directory: 3, device: 4, estate: 5, control: 6, pid: 70, inherit: true };
        assert_eq!(Handed::parse(&handed.text()), Some(handed));
        assert_eq!(Handed::parse("3,4,5"), None);
    }
}
