//! One walfs mount, made by the real program in the foreground.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use crate::ground::{log_file, signal, tail, wait_exit};
use crate::world::World;

pub(crate) const WALFS: &str = env!("CARGO_BIN_EXE_walfs");

/// A daemon and its mount point. Dropped, both are gone, whatever state they were in.
#[derive(Debug)]
pub(crate) struct Node {
    directory: PathBuf,
    url: String,
    environment: Vec<(&'static str, String)>,
    options: String,
    log: PathBuf,
    daemon: Option<Child>,
}

impl Node {
    /// Mounts; the mount is ready when this returns.
    pub(crate) fn mount(world: &World, directory: &Path, options: &str) -> Node {
        Node::try_mount(world, directory, options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same where the program may refuse: what it said.
    pub(crate) fn try_mount(
        world: &World,
        directory: &Path,
        options: &str,
    ) -> Result<Node, String> {
        let name = directory.strip_prefix(world.path("")).unwrap_or(directory);
        let name = name.display().to_string().replace('/', "-");
        let mut node = Node {
            directory: directory.to_owned(),
            url: world.url.clone(),
            environment: world.environment.clone(),
            options: options.to_owned(),
            log: world.path(&format!("{name}.log")),
            daemon: None,
        };
        node.start().map(|()| node)
    }

    /// Mounts again with the same words.
    pub(crate) fn remount(&mut self) {
        self.start().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Mounts again with other words.
    pub(crate) fn remount_as(&mut self, options: &str) {
        options.clone_into(&mut self.options);
        self.remount();
    }

    fn start(&mut self) -> Result<(), String> {
        assert!(self.daemon.is_none(), "{} is mounted already", self.directory.display());
        let log = log_file(&self.log);
        let mut command = Command::new(WALFS);
        command.args(["mount", "-f", &self.url]).arg(&self.directory).args(["-o", &self.options]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut daemon = command.spawn().expect("walfs can be started");
        for _ in 0..600 {
            if let Some(status) = wait_exit(&mut daemon, Duration::from_millis(50)) {
                return Err(format!("{command:?} left with {status}:\n{}", self.said()));
            }
            if self.is_mounted() && self.try_status().is_some() {
                self.daemon = Some(daemon);
                return Ok(());
            }
        }
        self.daemon = Some(daemon);
        Err(format!("{command:?} was not ready in 30 s:\n{}", self.said()))
    }

    /// The end of the daemon's log.
    pub(crate) fn said(&self) -> String {
        tail(&self.log, 40)
    }

    fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
        let directory = self.directory.display().to_string();
        mounts.lines().any(|line| line.split(' ').nth(4) == Some(&directory))
    }

    fn try_status(&self) -> Option<Value> {
        let text = fs::read_to_string(self.directory.join(".walfs/status.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// What the mount tells about itself.
    pub(crate) fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|| panic!("{} tells its status", self.directory.display()))
    }

    /// One count of its status, 0 where it does not tell.
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.status().pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// One word of its status, empty where it does not tell.
    pub(crate) fn word(&self, pointer: &str) -> String {
        self.status().pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// kill -9, and the corpse of the mount taken away. Whoever had files open gets errors.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        signal(&daemon, Signal::SIGKILL);
        wait_exit(&mut daemon, Duration::from_secs(20)).expect("SIGKILL ends a process");
    }

    /// kill -9 of the process that serves the mount, not of the one that holds it. Returns once
    /// another serves it.
    pub(crate) fn kill_worker(&self) {
        let before = self.number("/restarts");
        let worker = i32::try_from(self.number("/worker")).expect("a process's number");
        assert_ne!(worker, 0, "a primary has a worker");
        let worker = Pid::from_raw(worker);
        nix::sys::signal::kill(worker, Signal::SIGKILL).expect("it runs");
        for _ in 0..600 {
            if self.number("/restarts") > before {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no other worker took over in 30 s:\n{}", self.said());
    }

    /// Takes away a mount whose daemon is dead.
    pub(crate) fn clear(&self) {
        while self.is_mounted() {
            let gone = Command::new("umount").arg("-l").arg(&self.directory).output();
            assert!(gone.expect("umount can be started").status.success(), "umount -l works");
        }
    }

    /// `umount DIR`, and the daemon's own end.
    pub(crate) fn unmount(&mut self) {
        let output = Command::new("umount").arg(&self.directory).output();
        let output = output.expect("umount can be started");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "umount {}: {words}", self.directory.display());
        let mut daemon = self.daemon.take().expect("the daemon runs");
        let status = wait_exit(&mut daemon, Duration::from_secs(30));
        assert!(status.is_some(), "the daemon leaves after umount:\n{}", self.said());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let status = self.try_status().map(|status| status.to_string()).unwrap_or_default();
            eprintln!("--- {}\n{}\n{status}", self.log.display(), self.said());
        }
        Command::new("umount").arg("-l").arg(&self.directory).output().ok();
        if let Some(mut daemon) = self.daemon.take() {
            signal(&daemon, Signal::SIGKILL);
            wait_exit(&mut daemon, Duration::from_secs(20));
        }
        Command::new("umount").arg("-l").arg(&self.directory).output().ok();
    }
}
