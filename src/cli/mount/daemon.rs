//! A mount from its words to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{error, info};

use crate::cli::failure::{Exit, Failure};
use crate::cli::logging::Log;
use crate::config::{Config, Role};
use crate::fuse::hidden::Hidden;
use crate::fuse::mount::{MountPoint, Passthrough, Settings};
use crate::replica::Access;

use super::role::Service;
use super::stop::{Signals, stop, wait_for_end};
use super::worker::Supervisor;
use super::{Mount, advice, detach};

/// What a mount stands on: what was opened before anything else, and who is told to end it.
#[derive(Debug)]
pub(super) struct Footing {
    pub(super) point: MountPoint,
    pub(super) signals: Signals,
    /// Set in a worker.
    pub(super) supervisor: Option<Supervisor>,
}

/// Mounts, and serves until the mount has ended and everything is shipped that can be.
pub(super) fn serve(
    mount: &Mount,
    config: Config,
    log: &Log,
    footing: Footing,
) -> Result<(), Failure> {
    let Footing { point, signals, supervisor } = footing;
    let mut settings = Settings {
        source: mount.url.clone(),
        read_only: matches!(&config.role, Role::Replica { settings, .. } if settings.access == Access::ReadOnly),
        passthrough: config.passthrough,
        insists: false,
    };
    let path = point.path().to_owned();
    let directory = Arc::clone(point.directory());
    let log_file = config.log_file.clone();
    let stop_timeout = config.stop_timeout;
    let server = advice::server_of(&config, &path);
    let kept = supervisor.as_ref().map(|supervisor| supervisor.kept.clone());
    let service = Arc::new(Service::start(&mount.url, config, &directory, kept)?);
    if service.needs_passthrough() {
        settings.passthrough = insist(settings.passthrough)?;
        settings.insists = true;
    }

    let warnings = match server {
        Some((side, database)) if service.is_questdb() => advice::questdb(side, &database),
        _ => Vec::new(),
    };
    let passthrough = Arc::new(AtomicBool::new(false));
    let content = {
        let (service, passthrough) = (Arc::clone(&service), Arc::clone(&passthrough));
        let known = supervisor.as_ref().map(|known| (known.pid, known.kept.estate.before()));
        move || {
            let mut status = service.status();
            status.passthrough = passthrough.load(Ordering::Relaxed);
            status.warnings.clone_from(&warnings);
            if let Some((pid, before)) = known {
                status.worker = Some(std::mem::replace(&mut status.pid, pid));
                status.restarts = before;
            }
            status.files()
        }
    };
    let hidden = Arc::new(Hidden::new(service.filesystem(), Arc::new(content)));
    signals.serve();
    let mut mounted = point.mount(hidden, &settings)?;
    passthrough.store(mounted.passthrough(), Ordering::Relaxed);
    if let Some(kernel) = mounted.kernel() {
        service.set_kernel(kernel);
    }
    let status = service.status();
    info!(
        role = status.role, url = status.url, layout = status.layout, dir = %path.display(),
        passthrough = mounted.passthrough(), "mounted"
    );
    if mount.detached && supervisor.is_none() {
        detach::ready(log, log_file.as_deref())?;
    } else if mount.detached {
        detach::leave(log, log_file.as_deref())?;
    } else if let Some(file) = &log_file {
        log.redirect_to_file(file)?;
    }
    if let Some(supervisor) = &supervisor {
        supervisor.tell_ready()?;
    }

    wait_for_end(&mut mounted, &signals, stop_timeout);
    let daemon = supervisor.map_or_else(std::process::id, |supervisor| supervisor.pid);
    let report = stop(&service, &directory, stop_timeout, daemon);
    match report.problem {
        None => Ok(()),
        Some(problem) => {
            error!("unmounted: {problem}");
            Err(Failure::told(Exit::Error.code()))
        }
    }
}

/// What a database writes through `mmap` is seen late, and in any order, where it does not go
/// straight to the local files: a copy of that could be wrong.
fn insist(wanted: Passthrough) -> Result<Passthrough, Failure> {
    match wanted {
        Passthrough::Auto | Passthrough::On => Ok(Passthrough::On),
        Passthrough::Off => Err(Failure::new(
            Exit::Usage,
            "option passthrough: this database writes through mmap, which only passthrough shows \
             in order; leave passthrough=off out (Linux 6.9 or later, as root)"
                .to_owned(),
        )),
    }
}
