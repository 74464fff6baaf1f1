//! One QuestDB server: its root, its settings, its process.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use walfs::layout::questdb::settings::{Side, lines};

use crate::client::Client;
use crate::ground::{log_file, signal, tail, wait_exit, wait_until};
use crate::world::World;

/// Who may nudge a replica's server, by which password.
pub(crate) const AGENT: (&str, &str) = ("walfs", "a secret of the agent");
/// Whom everybody else is on a replica.
pub(crate) const READER: (&str, &str) = ("reader", "reader");

/// A server in the making, running or stopped.
#[derive(Debug)]
pub(crate) struct Server {
    root: PathBuf,
    jar: PathBuf,
    client: Client,
    settings: String,
    owner: Option<u32>,
    running: Option<Child>,
}

/// For every server here: small, quiet, on the loopback.
const SMALL: &str = "
http.min.enabled=false
line.udp.enabled=false
telemetry.disable.completely=true
shared.network.worker.count=1
shared.query.worker.count=1
shared.write.worker.count=1
cairo.wal.purge.interval=2000
cairo.sql.copy.root=
http.json.query.connection.check.frequency=100000
cairo.writer.data.append.page.size=1048576
";

impl Server {
    /// A primary's server with an empty root, not started.
    pub(crate) fn primary(world: &World, name: &str) -> Server {
        Server::create(world, name, Side::Primary)
    }

    /// A replica's server with an empty root, not started.
    pub(crate) fn replica(world: &World, name: &str) -> Server {
        let server = Server::create(world, name, Side::Replica);
        fs::write(server.password_file(), AGENT.1).expect("a root is writable");
        server
    }

    fn create(world: &World, name: &str, side: Side) -> Server {
        let root = world.path(name);
        for directory in ["conf", "db"] {
            fs::create_dir_all(root.join(directory)).expect("a temporary directory has room");
        }
        let [http, pg, line] = free_ports();
        let client = Client { http, pg, line };
        let settings = printed(side);
        let jar = world.jar.clone();
        Server { root, jar, client, settings, owner: None, running: None }
    }

    /// Becomes the other kind of server at its next start.
    pub(crate) fn promote(&mut self) {
        self.settings = printed(Side::Primary);
    }

    /// More settings for the next start; the last word counts.
    pub(crate) fn configure(&mut self, lines: &str) {
        writeln!(self.settings, "{lines}").expect("a string takes more");
    }

    /// The program of another version, for the next start.
    pub(crate) fn use_program(&mut self, jar: &Path) {
        jar.clone_into(&mut self.jar);
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What a mount of the primary goes over, and where a replica's walfs delivers.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    /// Holds the agent's password.
    pub(crate) fn password_file(&self) -> PathBuf {
        self.root.join("password")
    }

    pub(crate) fn client(&self) -> Client {
        self.client
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.launch();
        self.wait_ready();
    }

    /// Waits until the server, which was launched, answers.
    pub(crate) fn wait_ready(&mut self) {
        let what = format!("{} answers", self.root.display());
        let log = self.log();
        let (client, server) = (self.client, self.running.as_mut().expect("it was started"));
        wait_until(&what, Duration::from_secs(90), || {
            if let Some(status) = server.try_wait().expect("a server can be waited for") {
                panic!("the server left with {status}:\n{}", tail(&log, 30));
            }
            client.sql("SELECT 1").is_ok()
        });
    }

    /// Starts the server without a word about whether it can.
    pub(crate) fn launch(&mut self) {
        assert!(self.running.is_none(), "the server runs already");
        let Client { http, pg, line } = self.client;
        let ports = format!(
            "http.bind.to=127.0.0.1:{http}\npg.net.bind.to=127.0.0.1:{pg}\n\
             line.tcp.net.bind.to=127.0.0.1:{line}\n"
        );
        let settings = last_words(&format!("{}{ports}", self.settings));
        fs::write(self.root.join("conf/server.conf"), settings).expect("a root is writable");
        let log = log_file(&self.log());
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        command.arg(format!("-XX:ErrorFile={}", self.root.join("crash.log").display()));
        // Where it unpacks its libraries, which a kill leaves behind.
        command.arg(format!("-Djava.io.tmpdir={}", self.root.display()));
        command.arg("-p").arg(&self.jar).args(["-m", "io.questdb/io.questdb.ServerMain", "-d"]);
        command.arg(&self.root).current_dir(&self.root).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log has two ends")).stderr(log);
        if let Some(owner) = self.owner {
            command.uid(owner).gid(owner);
        }
        self.running = Some(command.spawn().expect("java can be started"));
    }

    /// A clean stop.
    pub(crate) fn stop(&mut self) {
        let mut server = self.running.take().expect("the server runs");
        signal(&server, Signal::SIGTERM);
        if wait_exit(&mut server, Duration::from_secs(30)).is_none() {
            self.running = Some(server);
            panic!("{} does not stop in 30 s", self.root.display());
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let mut server = self.running.take().expect("the server runs");
        signal(&server, Signal::SIGKILL);
        wait_exit(&mut server, Duration::from_secs(30)).expect("SIGKILL ends a process");
    }

    /// Whether the process is still the one that was started.
    pub(crate) fn is_running(&mut self) -> bool {
        let server = self.running.as_mut();
        server.is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log().display(), complaints(&self.log()));
        }
        if let Some(mut server) = self.running.take() {
            signal(&server, Signal::SIGKILL);
            wait_exit(&mut server, Duration::from_secs(30));
        }
    }
}

/// The settings that walfs prints, with the names and passwords of these cases.
fn printed(side: Side) -> String {
    let ((agent, secret), (reader, password)) = (AGENT, READER);
    let users = format!(
        "pg.user={agent}\npg.password={secret}\n\
         pg.readonly.user={reader}\npg.readonly.password={password}\n"
    );
    let users = if side == Side::Replica { users.as_str() } else { "" };
    [&lines(side), users, SMALL].concat()
}

/// Of settings that are there twice, the server would refuse or take any: only the last is kept.
fn last_words(lines: &str) -> String {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for (key, value) in lines.lines().filter_map(|line| line.split_once('=')) {
        kept.retain(|(known, _)| *known != key);
        kept.push((key, value));
    }
    kept.iter().fold(String::new(), |all, (key, value)| all + key + "=" + value + "\n")
}

/// The first lines of a server's log that are critical, the last ones that are errors, and how it
/// ends.
fn complaints(log: &Path) -> String {
    let text = tail(log, usize::MAX);
    let short = |line: &str| line.chars().take(600).collect::<String>();
    let critical = text.lines().filter(|line| line.contains(" C i.q")).take(6).map(short);
    let errors: Vec<_> = text.lines().filter(|line| line.contains(" E i.q")).map(short).collect();
    let errors = errors.get(errors.len().saturating_sub(12)..).unwrap_or_default().iter().cloned();
    let lines: Vec<String> = critical.chain(errors).collect();
    format!("{}\n…\n{}", lines.join("\n"), tail(log, 5))
}

/// Three ports that nobody listens on at this moment, below those that the kernel hands out, and
/// that no server of this process was given.
fn free_ports() -> [u16; 3] {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Processes that run beside each other have numbers that are close.
    let far = std::process::id() % 80 * 100;
    let start = 20_000 + u16::try_from(far).expect("it is below 8000");
    std::array::from_fn(|_| {
        loop {
            let port = start + GIVEN.fetch_add(1, Ordering::Relaxed) % 4_000;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return port;
            }
        }
    })
}
