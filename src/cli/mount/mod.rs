//! `walfs mount`: puts a volume over a directory and serves it until it is unmounted.
//!
//! | file | idea |
//! |---|---|
//! | `detach` | the daemon in the background, and whoever waits for its readiness |
//! | `supervisor` | holds a primary's mount, and starts another worker when one dies |
//! | `worker` | the process that a supervisor starts |
//! | `daemon` | a mount from its words to its end |
//! | `role` | the primary or the replica behind the mount |
//! | `advice` | settings of a server that replication does not go with |
//! | `takeover` | how a takeover puts the volume's files in place |
//! | `stop` | what ends a mount, and what is said then |

mod advice;
mod daemon;
mod detach;
mod role;
mod stop;
mod supervisor;
mod takeover;
mod worker;

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, Role, render};
use crate::fuse::mount::MountPoint;

use super::environment;
use super::failure::Failure;
use super::logging;
use super::reach::WHERE;

use daemon::Footing;
use stop::Signals;

pub use stop::{REPORT, Report};

/// Show a volume over a directory
///
/// Mounts the volume at URL over DIR, as a replica unless -o primary is given, and returns when the
/// mount is ready. Files that are in DIR already stay there, beneath the mount: a primary ships
/// them, and after the unmount they are all still in place.
#[derive(Debug, Args)]
#[command(after_long_help = render::help())]
pub struct Mount {
    /// Where the volume is.
    #[arg(help = WHERE)]
    pub url: String,
    /// The directory to mount over.
    #[arg(help = "The directory to mount over: for PostgreSQL, its pg_wal")]
    pub dir: PathBuf,
    /// Mount options, separated by commas; --help lists them
    #[arg(short = 'o', value_name = "OPTIONS")]
    pub options: Vec<String>,
    /// Stay in the foreground; SIGTERM or SIGINT unmounts
    #[arg(short = 'f', long)]
    pub foreground: bool,
    /// This is the process in the background: tell on stdout when the mount is ready
    #[arg(long, hide = true, conflicts_with = "foreground")]
    pub detached: bool,
    /// This is the process that a supervisor starts: what it hands over
    #[arg(long, hide = true)]
    pub worker: Option<String>,
}

impl Mount {
    /// Mounts. In the foreground, returns after the unmount.
    pub fn run(self) -> Result<(), Failure> {
        let config = Config::parse(self.options.iter().map(String::as_str))?;
        if let Some(file) = &config.reach.env_file {
            environment::adopt(file)?;
        }
        if !self.foreground && !self.detached && self.worker.is_none() {
            return detach::start(&self);
        }
        let log = logging::start(&config.log)?;
        match (&self.worker, &config.role) {
            (Some(handed), _) => worker::run(&self, config, &log, handed),
            (None, Role::Primary { .. }) => supervisor::run(&self, config, &log),
            (None, Role::Replica { .. }) => {
                // Before any thread is started: threads inherit what is blocked.
                let signals = Signals::block()?;
                let point = MountPoint::open(&self.dir)?;
                daemon::serve(&self, config, &log, Footing { point, signals, supervisor: None })
            }
        }
    }
}
