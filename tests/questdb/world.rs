//! The ground a case stands on: its turn, its temporary directory, the server's program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::ground::skip;

/// The version that the cases run with, unless they say otherwise.
pub(crate) const NEWEST: &str = "9.3.4";
/// Another one, for the short form.
pub(crate) const OLDER: &str = "9.2.3";

/// Two cores: servers of two cases at a time would only measure each other.
static TURN: Mutex<()> = Mutex::new(());

/// One case's temporary directory and program. Dropped last, it takes everything with it.
#[derive(Debug)]
pub(crate) struct World {
    directory: TempDir,
    /// The server, as `scripts/questdb-binaries` fetched it.
    pub(crate) jar: PathBuf,
    /// Where the volume is.
    pub(crate) url: String,
    /// What the daemons find in their environment besides.
    pub(crate) environment: Vec<(&'static str, String)>,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// Waits for this case's turn. None: something is missing, and was said.
    pub(crate) fn new() -> Option<World> {
        World::with_server(NEWEST)
    }

    /// The same with a server of another version.
    pub(crate) fn with_server(version: &str) -> Option<World> {
        match World::build(version) {
            Ok(world) => Some(world),
            Err(missing) => {
                skip(&missing);
                None
            }
        }
    }

    fn build(version: &str) -> Result<World, String> {
        if !Uid::effective().is_root() {
            return Err("mounting needs root".to_owned());
        }
        if !Path::new("/dev/fuse").exists() {
            return Err("this machine has no /dev/fuse".to_owned());
        }
        let jar = jar(version);
        if !jar.exists() || Command::new("java").arg("-version").output().is_err() {
            return Err(format!("no QuestDB {version}: run scripts/questdb-binaries"));
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = TempDir::with_prefix("walfs-").map_err(|error| error.to_string())?;
        let url = format!("file://{}/questdb", directory.path().join("store").display());
        let world = World { directory, jar, url, environment: Vec::new(), _turn: turn };
        fs::create_dir(world.store()).map_err(|error| error.to_string())?;
        Ok(world)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the store's objects are.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Of a case that failed somebody may want to see what it left.
        if std::thread::panicking() && std::env::var_os("KEEP").is_some() {
            eprintln!("kept: {}", self.directory.path().display());
            self.directory.disable_cleanup(true);
        }
    }
}

/// Where a version's program is, once it was fetched.
pub(crate) fn jar(version: &str) -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/questdb");
    fetched.join(format!("{version}.jar"))
}
