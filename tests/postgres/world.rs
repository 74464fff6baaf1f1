//! The ground a case stands on: its turn, its temporary directory, its programs.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

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

/// Says so on the real standard error: what a test prints when it passes is not shown.
fn skip(missing: &str) {
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

fn newest_postgresql() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .filter(|binaries| binaries.join("postgres").exists())
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
