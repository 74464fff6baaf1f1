//! Text in, one valid configuration out.
//!
//! | file | idea |
//! |---|---|
//! | [`options`] | the table of options |
//! | [`words`] | what was written after `-o`, checked against the table |
//! | [`value`] | sizes and durations as people write them |
//! | [`render`] | the table as help, man page and README section |
//!
//! Reads no file, no environment and no clock.

pub mod options;
pub mod render;
pub mod value;
pub mod words;

use std::path::PathBuf;
use std::time::Duration;

use options as o;
use words::Words;

/// What a mount was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What this mount is to the volume.
    pub role: Role,
    /// What the files mean, if said.
    pub layout: Option<String>,
    /// Where I/O is done.
    pub passthrough: Passthrough,
    /// What people call this node, if said.
    pub node: Option<String>,
    /// How long to go on shipping after the unmount.
    pub stop_timeout: Duration,
    /// How much is logged.
    pub log: String,
    /// Where the log goes, if said.
    pub log_file: Option<PathBuf>,
}

/// What a mount is to the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that writes.
    Primary(Primary),
    /// One that shows.
    Replica(Replica),
}

/// What a primary was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Whose place it may take.
    pub claim: Claim,
    /// How long changes gather.
    pub interval: Duration,
    /// How much one batch carries.
    pub batch_max: u64,
    /// The bound of the backlog.
    pub backlog_max: u64,
    /// What happens beyond it.
    pub backlog_full: BacklogFull,
    /// When `fsync` returns.
    pub durability: Durability,
}

/// Whose place a primary may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Its own, or an empty one.
    Own,
    /// Anybody's.
    Takeover,
}

/// What happens when the backlog reaches its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacklogFull {
    /// It grows on, and the log says so.
    Shout,
    /// The database waits.
    Block,
}

/// When `fsync` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the bytes are on the local disk.
    OnDisk,
    /// When they are in the store.
    InStore,
}

/// What a replica was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What lies beneath the volume's files.
    pub beneath: Beneath,
    /// Where its cache is, if said.
    pub cache: Option<PathBuf>,
    /// How large the cache may grow.
    pub cache_size: u64,
    /// How long a reader waits for the store.
    pub store_timeout: Duration,
    /// The fastest polling, if said.
    pub poll: Option<Duration>,
    /// The slowest polling.
    pub poll_max: Duration,
    /// How many segments to fetch ahead of a reader.
    pub read_ahead: u32,
}

/// What lies beneath the volume's files on a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beneath {
    /// The local directory, writable.
    Local,
    /// Nothing: the mount is read-only.
    Nothing,
}

/// Where I/O is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// In the kernel if it can.
    Auto,
    /// In the kernel, or not at all.
    On,
    /// In the daemon.
    Off,
}

/// Why a text is no configuration: one sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// The configuration that the texts after each `-o` say. Later words win over earlier ones.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let words = Words::parse(texts)?;
        let role = if words.has(&o::PRIMARY) {
            Role::Primary(Primary::from_words(&words)?)
        } else {
            Role::Replica(Replica::from_words(&words)?)
        };
        Ok(Self {
            role,
            layout: words.word(&o::LAYOUT),
            passthrough: words
                .choice(&o::PASSTHROUGH, &[Passthrough::Auto, Passthrough::On, Passthrough::Off])?,
            node: words.word(&o::NODE),
            stop_timeout: words.duration(&o::STOP_TIMEOUT)?,
            log: words.word(&o::LOG).unwrap_or_default(),
            log_file: words.absolute(&o::LOG_FILE)?,
        })
    }
}

impl Primary {
    fn from_words(words: &Words) -> Result<Self, ConfigError> {
        let takeover = words.has(&o::TAKEOVER);
        let in_store = words.has(&o::SYNC);
        Ok(Self {
            claim: if takeover { Claim::Takeover } else { Claim::Own },
            interval: words.duration(&o::INTERVAL)?,
            batch_max: words.size(&o::BATCH_MAX, BATCH_MAX_RANGE)?,
            backlog_max: words.size(&o::BACKLOG_MAX, 1..=u64::MAX)?,
            backlog_full: words
                .choice(&o::BACKLOG_FULL, &[BacklogFull::Shout, BacklogFull::Block])?,
            durability: if in_store { Durability::InStore } else { Durability::OnDisk },
        })
    }
}

impl Replica {
    fn from_words(words: &Words) -> Result<Self, ConfigError> {
        let read_only = words.has(&o::READ_ONLY);
        Ok(Self {
            beneath: if read_only { Beneath::Nothing } else { Beneath::Local },
            cache: words.absolute(&o::CACHE)?,
            cache_size: words.size(&o::CACHE_SIZE, CACHE_SIZE_MIN..=u64::MAX)?,
            store_timeout: words.duration(&o::STORE_TIMEOUT)?,
            poll: words.given_duration(&o::POLL)?,
            poll_max: words.duration(&o::POLL_MAX)?,
            read_ahead: words.count(&o::READ_AHEAD)?,
        })
    }
}

/// A batch is held in memory while it is on its way; below one page it could carry nothing.
const BATCH_MAX_RANGE: std::ops::RangeInclusive<u64> = 8192..=256 << 20;

/// One segment of the usual size, so that what is being read can stay.
const CACHE_SIZE_MIN: u64 = 16 << 20;

#[cfg(test)]
mod tests;
