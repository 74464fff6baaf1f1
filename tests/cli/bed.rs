//! The bed that a test lies in: a temporary directory, the program, mounts that end with the test.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bed {
    directory: TempDir,
}

/// How a call of the program ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self { directory: TempDir::with_prefix("walfs-cli-").unwrap() };
        for name in ["store", "primary", "replica"] {
            fs::create_dir(bed.path(name)).unwrap();
        }
        bed
    }

    /// A bed for mounts, if there can be any here.
    pub(crate) fn for_mounts() -> Option<Self> {
        let why = if !Path::new("/dev/fuse").exists() {
            "there is no /dev/fuse"
        } else if !nix::unistd::geteuid().is_root() {
            "only root mounts"
        } else {
            return Some(Self::new());
        };
        assert!(std::env::var_os("CI").is_none(), "in CI there must be mounts, but {why}");
        println!("skipped: {why}");
        None
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}/volume", self.text("store"))
    }

    /// Mounts the primary, with these options besides.
    pub(crate) fn primary(&self, more: &str) -> Said {
        let options = format!(
            "primary,interval=0,stop_timeout=2s,log_file={},{more}",
            self.text("primary.log")
        );
        run(walfs().args(["mount", &self.url(), &self.text("primary"), "-o", &options]))
    }

    /// Mounts a replica, with these options besides.
    pub(crate) fn replica(&self, more: &str) -> Said {
        let options = format!("log_file={},{more}", self.text("replica.log"));
        run(walfs().args(["mount", &self.url(), &self.text("replica"), "-o", &options]))
    }

    /// Waits until the volume is what is expected.
    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            let log = fs::read_to_string(self.path("primary.log")).unwrap_or_default();
            assert!(Instant::now() < end, "waited in vain until {what}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One value of a mount's own account.
    pub(crate) fn told(&self, mount: &str, name: &str) -> String {
        let text = fs::read_to_string(self.path(mount).join(".walfs").join(name));
        text.unwrap_or_default().trim().to_owned()
    }

    pub(crate) fn pid(&self, mount: &str) -> i32 {
        let status = self.told(mount, "status.json");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["pid"].as_i64().unwrap().try_into().unwrap()
    }
}

impl Drop for Bed {
    /// Whatever is mounted in it is detached: its daemons then end by themselves.
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        for point in points.filter(|point| Path::new(point).starts_with(self.directory.path())) {
            Command::new("umount").args(["-i", "-l", point]).output().ok();
        }
        // They may still say how they ended, in a directory that is just being removed.
        let end = Instant::now() + PATIENCE;
        while self.directory.path().exists() && Instant::now() < end {
            if fs::remove_dir_all(self.directory.path()).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// The program, with nothing of this environment that could matter to it.
pub(crate) fn walfs() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_walfs"));
    let ours = |name: &str| name.starts_with("AWS_") || name.starts_with("WALFS_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// The program as root's opposite.
pub(crate) fn walfs_as_nobody() -> Command {
    let mut command = walfs();
    command.uid(65534).gid(65534).current_dir("/");
    command
}

pub(crate) fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

pub(crate) fn call(words: &[&str]) -> Said {
    run(walfs().args(words))
}

impl Said {
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// It failed with this code and one sentence that has these words in it.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.err.trim_end().lines().count(), 1, "one sentence: {self:?}");
        assert!(self.err.starts_with("walfs: "), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not said: {self:?}");
        }
    }
}
