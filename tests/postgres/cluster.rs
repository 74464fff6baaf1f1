//! One PostgreSQL data directory and its server.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::ground::{log_file, signal, tail, wait_exit, wait_until};
use crate::world::World;

/// A server in the making, running or stopped. Its socket lies beside its data.
#[derive(Debug)]
pub(crate) struct Cluster {
    root: PathBuf,
    server: PathBuf,
    client: PathBuf,
    uid: u32,
    gid: u32,
    running: Option<Child>,
}

const SETTINGS: &str = "
listen_addresses = ''
shared_buffers = 64MB
max_connections = 50
autovacuum_naptime = 5s
restart_after_crash = off
log_line_prefix = '%m '
";

/// What makes a server follow the WAL in its own `pg_wal`.
const STANDBY: &str = "
hot_standby = on
wal_retrieve_retry_interval = '10ms'
log_min_messages = fatal
";

impl Cluster {
    /// A new cluster, not started.
    pub(crate) fn create(world: &World, name: &str, initdb: &[&str]) -> Cluster {
        let cluster = Cluster::beside(world, name);
        let mut command = cluster.command(&cluster.server.join("initdb"));
        command.args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]);
        run(command.args(["--locale", "C"]).args(initdb).arg("-D").arg(cluster.data()));
        cluster.configure(SETTINGS);
        cluster.configure(&format!("unix_socket_directories = '{}'", cluster.root.display()));
        cluster
    }

    /// A standby made by the server's own base backup, without any WAL.
    pub(crate) fn base_backup(&self, world: &World, name: &str) -> Cluster {
        let standby = Cluster::beside(world, name);
        let mut command = self.command(&self.client.join("pg_basebackup"));
        command.args(["-X", "none", "-c", "fast", "--no-sync", "-U", "postgres", "-h"]);
        run(command.arg(&self.root).arg("-D").arg(standby.data()));
        standby.follow_pg_wal();
        standby
    }

    /// A standby made by copying the stopped directory, without any WAL.
    pub(crate) fn copy(&self, world: &World, name: &str) -> Cluster {
        assert!(self.running.is_none(), "only a stopped directory can be copied");
        let standby = Cluster::beside(world, name);
        let tar = "tar -C \"$1\" --exclude=./pg_wal/* -cf - . | tar -C \"$2\" -xf -";
        let mut command = self.command(Path::new("/bin/sh"));
        run(Command::new("mkdir").arg("-m700").arg(standby.data()));
        own(&standby.data(), self.uid, self.gid);
        run(command.args(["-c", tar, "sh"]).arg(self.data()).arg(standby.data()));
        standby.follow_pg_wal();
        standby
    }

    fn beside(world: &World, name: &str) -> Cluster {
        let root = world.path(name);
        let (uid, gid) = (world.user.uid.as_raw(), world.user.gid.as_raw());
        fs::create_dir(&root).expect("a temporary directory takes a cluster");
        own(&root, uid, gid);
        let (server, client) = (world.server.clone(), world.client.clone());
        Cluster { root, server, client, uid, gid, running: None }
    }

    fn follow_pg_wal(&self) {
        self.configure(STANDBY);
        self.configure(&format!("unix_socket_directories = '{}'", self.root.display()));
        let signal = self.data().join("standby.signal");
        fs::write(&signal, "").expect("the data directory is writable");
        own(&signal, self.uid, self.gid);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.data().join("pg_wal")
    }

    /// Settings for the next start.
    pub(crate) fn configure(&self, lines: &str) {
        let path = self.data().join("postgresql.conf");
        let mut file =
            fs::OpenOptions::new().append(true).open(path).expect("the configuration exists");
        writeln!(file, "{lines}").expect("the configuration is writable");
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.launch();
        let root = self.root.clone();
        wait_until(&format!("{} answers", root.display()), Duration::from_secs(60), || {
            let server = self.running.as_mut().expect("it was just started");
            if let Some(status) = server.try_wait().expect("a server can be waited for") {
                panic!("the server left with {status}:\n{}", tail(&self.log(), 30));
            }
            self.sql("SELECT 1").is_ok()
        });
    }

    /// Starts the server without a word about whether it can.
    pub(crate) fn launch(&mut self) {
        assert!(self.running.is_none(), "the server runs already");
        let log = log_file(&self.log());
        let mut command = self.command(&self.server.join("postgres"));
        command.arg("-D").arg(self.data()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log has two ends")).stderr(log);
        self.running = Some(command.spawn().expect("postgres can be started"));
    }

    /// A clean stop. True: the server agreed that it was clean.
    pub(crate) fn stop(&mut self) -> bool {
        self.halt(Signal::SIGINT)
    }

    /// An immediate stop: the next start is a crash recovery.
    pub(crate) fn crash(&mut self) {
        self.halt(Signal::SIGQUIT);
    }

    fn halt(&mut self, how: Signal) -> bool {
        let Some(mut server) = self.running.take() else { return false };
        for (how, patience) in [(how, 30), (Signal::SIGQUIT, 10), (Signal::SIGKILL, 10)] {
            signal(&server, how);
            if let Some(status) = wait_exit(&mut server, Duration::from_secs(patience)) {
                return status.success();
            }
        }
        panic!("{} cannot be stopped", self.root.display());
    }

    /// Runs SQL; the answer without decoration, or what the server said against it.
    pub(crate) fn sql(&self, text: &str) -> Result<String, String> {
        let mut command = self.psql();
        let answer = command.args(["-c", text]).output().expect("psql can be started");
        if answer.status.success() {
            Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&answer.stderr).trim().to_owned())
        }
    }

    /// The same where an error has no place.
    pub(crate) fn query(&self, text: &str) -> String {
        self.sql(text).unwrap_or_else(|error| panic!("{}: {text}: {error}", self.root.display()))
    }

    /// A psql of this server that reads its standard input.
    pub(crate) fn psql(&self) -> Command {
        let mut command = self.client_program("psql");
        command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]);
        command
    }

    /// A client program, pointed at this server.
    pub(crate) fn client_program(&self, name: &str) -> Command {
        let mut command = self.command(&self.client.join(name));
        command.args(["-U", "postgres", "-h"]).arg(&self.root);
        command
    }

    /// A program run as the servers' user, in a directory that it may enter.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.uid(self.uid).gid(self.gid).current_dir(&self.root).env_remove("PGDATA");
        command
    }

    fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log().display(), tail(&self.log(), 25));
        }
        if let Some(mut server) = self.running.take() {
            signal(&server, Signal::SIGQUIT);
            if wait_exit(&mut server, Duration::from_secs(10)).is_none() {
                signal(&server, Signal::SIGKILL);
                wait_exit(&mut server, Duration::from_secs(10));
            }
        }
    }
}

fn own(path: &Path, uid: u32, gid: u32) {
    chown(path, Some(uid), Some(gid)).expect("root may give files away");
}

/// Runs a program to its end; its failure is the case's.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
