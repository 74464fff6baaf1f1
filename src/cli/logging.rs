//! Where the log goes and how its lines look: for people on a terminal, for the journal, in files.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::FileType;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::volume::Clock;

use super::clock::SystemClock;
use super::failure::{Exit, Failure};

/// A filter that wins over the option `log`.
const FILTER: &str = "WALFS_LOG";
/// Set by systemd: device and inode of the stream that leads to the journal.
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";
/// Where streams to the journal begin.
const JOURNAL: &str = "/run/systemd/journal/stdout";
/// Where there is no journal.
const FALLBACK: &str = "/var/log/walfs.log";

/// How a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// With the level, for people.
    Terminal,
    /// With the level as the journal reads it; it knows the time itself.
    Journal,
    /// With time and level.
    File,
}

/// The log of this process: always stderr, wherever that leads.
#[derive(Clone, Debug)]
pub struct Log(Arc<AtomicU8>);

/// Begins to log on stderr.
pub fn start(level: &str) -> Result<Log, Failure> {
    #[expect(clippy::disallowed_methods, reason = "this is cli, which may read the environment")]
    let filter = env::var(FILTER).unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        Failure::new(Exit::Usage, format!("option log: `{filter}` is no level or filter: {error}"))
    })?;
    let log = Log(Arc::default());
    log.set(if leads_to_journal() {
        Style::Journal
    } else if io::stderr().is_terminal() {
        Style::Terminal
    } else {
        Style::File
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .event_format(log.clone())
        .init();
    Ok(log)
}

impl Log {
    /// Stays where the log can stay without holding somebody's terminal or pipe: in a file, in the
    /// journal. Leaves for this file if one is named, else for the journal, else for the fallback.
    pub fn leave_terminal(&self, file: Option<&Path>) -> Result<(), Failure> {
        if let Some(file) = file {
            return self.redirect_to_file(file);
        }
        let kept = rustix::fs::fstat(io::stderr())
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if kept || leads_to_journal() {
            return Ok(());
        }
        match open_journal() {
            Ok(journal) => self.redirect(journal, Style::Journal),
            Err(_) => self.redirect_to_file(Path::new(FALLBACK)),
        }
    }

    /// Appends to this file from now on.
    pub fn redirect_to_file(&self, file: &Path) -> Result<(), Failure> {
        let opened = File::options().append(true).create(true).open(file);
        let opened = opened.map_err(|error| {
            let file = file.display();
            Failure::error(format!("cannot log to {file}: {error}; name another with log_file="))
        })?;
        self.redirect(opened, Style::File)
    }

    fn redirect(&self, target: impl AsFd, style: Style) -> Result<(), Failure> {
        let redirected = nix::unistd::dup2_stderr(target);
        redirected.map_err(|error| Failure::error(format!("cannot redirect the log: {error}")))?;
        self.set(style);
        Ok(())
    }

    fn set(&self, style: Style) {
        let code = match style {
            Style::Terminal => 0,
            Style::Journal => 1,
            Style::File => 2,
        };
        self.0.store(code, Ordering::Relaxed);
    }

    fn style(&self) -> Style {
        match self.0.load(Ordering::Relaxed) {
            0 => Style::Terminal,
            1 => Style::Journal,
            _ => Style::File,
        }
    }
}

fn leads_to_journal() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this is cli, which may read the environment")]
    let named = env::var(JOURNAL_STREAM);
    let (Ok(named), Ok(stat)) = (named, rustix::fs::fstat(io::stderr())) else { return false };
    named == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// A stream to the journal: after a preamble of settings, each line is an entry.
fn open_journal() -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(JOURNAL)?;
    // Name, unit, level of lines that say none, whether lines say it, and three ways not to go.
    stream.write_all(b"walfs\n\n6\n1\n0\n0\n0\n")?;
    stream.shutdown(std::net::Shutdown::Read)?;
    Ok(stream)
}

impl<S, N> FormatEvent<S, N> for Log
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level();
        match self.style() {
            Style::Terminal => write!(writer, "{}: ", word(*level))?,
            Style::Journal => write!(writer, "<{}>", priority(*level))?,
            Style::File => write!(writer, "{} {:5} ", SystemClock.now(), word(*level))?,
        }
        for span in ctx.event_scope().into_iter().flat_map(Scope::from_root) {
            write!(writer, "{}: ", span.name())?;
        }
        ctx.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// As syslog counts.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
