//! The daemon in the background. It is this program again, started anew with a line to whoever
//! waits: one word on its stdout says that the mount is ready. What fails before that it says
//! itself, on the stderr that it inherited.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cli::failure::Failure;
use crate::cli::logging::Log;

use super::Mount;

const READY: &str = "ready";

/// Starts the daemon and waits until its mount is ready. If it fails, so does this process: the
/// daemon said why.
pub(super) fn start(mount: &Mount) -> Result<(), Failure> {
    let failed = |error| Failure::error(format!("cannot start the daemon: {error}"));
    let program = env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["mount", "--detached"]);
    command.args(mount.options.iter().flat_map(|options| ["-o", options]));
    command.arg("--").arg(&mount.url).arg(&mount.dir);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).map_err(failed)?;
    }
    if said.trim_end() == READY { Ok(()) } else { Err(how_it_ended(&mut child)) }
}

fn how_it_ended(child: &mut Child) -> Failure {
    match child.wait() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Failure::told(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Failure::error(format!(
                "the daemon died before the mount was ready (signal {})",
                signal.unwrap_or_default()
            )),
        },
        Err(error) => Failure::error(format!("cannot wait for the daemon: {error}")),
    }
}

/// In the daemon: the mount is ready. Leaves whoever waits, and says so.
pub(super) fn ready(log: &Log, log_file: Option<&Path>) -> Result<(), Failure> {
    // From here on a Ctrl-C at the terminal is not meant for this process.
    nix::unistd::setsid().map_err(failed)?;
    leave(log, log_file)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{READY}").and_then(|()| stdout.flush()).map_err(failed)?;
    let null = std::fs::File::options().write(true).open("/dev/null").map_err(failed)?;
    nix::unistd::dup2_stdout(null).map_err(failed)
}

/// Leaves the directory and the log of whoever waits.
pub(super) fn leave(log: &Log, log_file: Option<&Path>) -> Result<(), Failure> {
    env::set_current_dir("/").map_err(failed)?;
    log.leave_terminal(log_file)
}

fn failed(error: impl Into<std::io::Error>) -> Failure {
    let error = error.into();
    Failure::error(format!("cannot go to the background: {error}"))
}
