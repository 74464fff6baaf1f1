//! `walfs umount`: unmounts, waits until the daemon has shipped what is durable, and passes on its
//! last words. Plain umount(8) does the same but for the waiting and the words.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, PidfdFlags};

use crate::config::value;
use crate::fuse::hidden;
use crate::mounts;

use super::failure::{Exit, Failure};
use super::mount::{REPORT, Report};
use super::output::print;
use super::status;

/// Unmount, and wait until everything is in the store
#[derive(Debug, Args)]
pub struct Umount {
    /// The mount's directory
    dir: PathBuf,
    /// How long to wait for the daemon; it goes on by itself afterwards
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = value::duration)]
    timeout: Duration,
    /// Unmount even while files are in use: whoever has them open gets errors
    #[arg(short = 'l', long)]
    lazy: bool,
}

/// How it ended for those who wait.
enum Left {
    Gone,
    StillThere,
}

impl Umount {
    /// Unmounts.
    pub fn run(self) -> Result<(), Failure> {
        let dir = mounted_at(&self.dir)?;
        let shown = dir.display();
        if status::is_dead(&dir) {
            detach(&dir)?;
            return print(&format!("{shown}: the daemon was dead; unmounted\n"));
        }
        let pid = status::of_mount(&dir)?.pid;
        // Held before the unmount: the number may be another process's afterwards.
        let daemon = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        if self.lazy { detach(&dir) } else { unmount(&dir) }?;
        let Some(daemon) = daemon else { return Ok(()) };
        match wait(&daemon, self.timeout)? {
            Left::Gone => last_words(&dir, pid),
            Left::StillThere => Err(Failure::error(format!(
                "{shown}: unmounted; the daemon (pid={pid}) is still shipping and ends by itself"
            ))),
        }
    }
}

fn mounted_at(dir: &Path) -> Result<PathBuf, Failure> {
    let shown = dir.display();
    let dir = match dir.canonicalize() {
        Ok(dir) => Some(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // A dead mount cannot be asked for its path; its parent can.
        Err(_) => {
            let parent = dir.parent().and_then(|parent| parent.canonicalize().ok());
            parent.zip(dir.file_name()).map(|(parent, name)| parent.join(name))
        }
    };
    let dir = dir.ok_or_else(|| Failure::error(format!("{shown}: no such directory")))?;
    let mount = mounts::at(&dir)
        .map_err(|error| Failure::error(format!("cannot read the table of mounts: {error}")))?;
    match mount {
        Some(mount) if mount.is_walfs() => Ok(dir),
        Some(mount) => Err(Failure::error(format!(
            "{shown}: a mount of type {}, not a walfs mount; use umount",
            mount.kind
        ))),
        None => Err(Failure::error(format!("{shown}: not mounted"))),
    }
}

fn unmount(dir: &Path) -> Result<(), Failure> {
    let unmounted = rustix::mount::unmount(dir, UnmountFlags::NOFOLLOW);
    unmounted.map_err(|error| match error {
        rustix::io::Errno::BUSY => {
            let dir = dir.display();
            Failure::error(format!(
                "{dir}: files are in use there; stop the database first, or use --lazy"
            ))
        }
        error => failed(dir, error),
    })
}

fn detach(dir: &Path) -> Result<(), Failure> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(dir, flags).map_err(|error| failed(dir, error))
}

fn failed(dir: &Path, error: rustix::io::Errno) -> Failure {
    let exit = if error == rustix::io::Errno::PERM { Exit::Refused } else { Exit::Error };
    Failure::new(exit, format!("{}: cannot unmount: {error}", dir.display()))
}

/// Waits until the process has ended.
fn wait(daemon: &OwnedFd, timeout: Duration) -> Result<Left, Failure> {
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    let mut ended = [PollFd::new(std::os::fd::AsFd::as_fd(daemon), PollFlags::POLLIN)];
    loop {
        match poll(&mut ended, timeout) {
            Ok(0) => return Ok(Left::StillThere),
            Ok(_) => return Ok(Left::Gone),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => {
                return Err(Failure::error(format!("cannot wait for the daemon: {error}")));
            }
        }
    }
}

/// What the daemon left beneath the mount, if it was a primary.
fn last_words(dir: &Path, pid: u32) -> Result<(), Failure> {
    let report = match fs::read(dir.join(hidden::NAME).join(REPORT)) {
        Ok(report) => serde_json::from_slice::<Report>(&report).map_err(io::Error::from),
        Err(error) => Err(error),
    };
    let shown = dir.display();
    match report {
        Ok(Report { problem: Some(problem), pid: whose, .. }) if whose == pid => {
            Err(Failure::error(format!("{shown}: unmounted; {problem}")))
        }
        Ok(Report { position: Some(position), pid: whose, .. }) if whose == pid => print(&format!(
            "{shown}: unmounted; everything is in the store, up to position {position}\n"
        )),
        _ => Ok(()),
    }
}
