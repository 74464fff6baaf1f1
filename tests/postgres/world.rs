//! The ground a case stands on: its turn, its temporary directory, its programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

use crate::ground::{files_beneath, skip};

/// Two cores: servers of two cases at a time would only measure each other.
static TURN: Mutex<()> = Mutex::new(());

/// One case's temporary directory and programs. Dropped last, it takes everything with it.
#[derive(Debug)]
pub(crate) struct World {
    directory: TempDir,
    /// The servers' programs: `initdb`, `postgres`.
    pub(crate) server: PathBuf,
    /// The programs that talk to servers of any version: `psql`, `pgbench`.
    pub(crate) client: PathBuf,
    /// Where the volume is.
    pub(crate) url: String,
    /// What the daemons find in their environment besides.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Who runs the servers: they refuse to be root.
    pub(crate) user: User,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// Waits for this case's turn. None: something is missing, and was said.
    pub(crate) fn new() -> Option<World> {
        match World::build() {
            Ok(world) => Some(world),
            Err(missing) => {
                skip(&missing);
                None
            }
        }
    }

    /// The same with the servers of another version, which `scripts/postgres-binaries` fetches.
    pub(crate) fn with_server(version: u32) -> Option<World> {
        let world = World::new()?;
        let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgres");
        let fetched = fetched.join(version.to_string());
        if !fetched.join("bin/postgres").exists() {
            skip(&format!("no PostgreSQL {version}: run scripts/postgres-binaries"));
            return None;
        }
        // A copy, because the servers' user may not reach where this repository is.
        let copy = world.path("programs");
        let done = Command::new("cp").arg("-a").arg(fetched).arg(&copy).status();
        assert!(done.is_ok_and(|status| status.success()), "the programs can be copied");
        Some(World { server: copy.join("bin"), ..world })
    }

    fn build() -> Result<World, String> {
        if !Uid::effective().is_root() {
            return Err("mounting needs root".to_owned());
        }
        if !Path::new("/dev/fuse").exists() {
            return Err("this machine has no /dev/fuse".to_owned());
        }
        let user = User::from_name("postgres").ok().flatten();
        let user = user.ok_or("there is no user postgres: apt install postgresql")?;
        let binaries = newest_postgresql().ok_or("no PostgreSQL: apt install postgresql")?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = TempDir::with_prefix("walfs-").map_err(|error| error.to_string())?;
        // The servers' user has to pass through.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        let url = format!("file://{}/pg", directory.path().join("store").display());
        let (client, server) = (binaries.clone(), binaries);
        let environment = Vec::new();
        let world = World { directory, server, client, url, environment, user, _turn: turn };
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

    /// The objects under a prefix of the volume, by name.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_beneath(&self.store().join("pg").join(prefix), &mut found);
        found.sort();
        found
    }
}

fn newest_postgresql() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .filter(|binaries| binaries.join("postgres").exists())
}
