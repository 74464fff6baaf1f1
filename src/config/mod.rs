//! Text in, one valid configuration out.
//!
//! | file | idea |
//! |---|---|
//! | [`options`] | the table of options |
//! | [`row`] | what an option is |
//! | [`words`] | what was written after `-o`, checked against the table |
//! | `foreign` | words of fstab that are somebody else's |
//! | [`value`] | sizes and durations as people write them |
//! | [`render`] | the table as help, man page and README section |
//!
//! Reads no file, no environment and no clock.

mod foreign;
pub mod options;
pub mod render;
pub mod row;
pub mod value;
pub mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::fuse::mount::Passthrough;
use crate::primary::{self, BacklogFull, Claim, Durability};
use crate::replica::{self, Access, delivery};
use crate::server::Address;

use options as o;
use words::Words;

/// What a mount was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this mount is to the volume.
    pub role: Role,
    /// What the files mean, if said.
    pub layout: Option<String>,
    /// Where I/O is done.
    pub passthrough: Passthrough,
    /// What people call this node, if said.
    pub node: Option<String>,
    /// What lag and cost to aim at.
    pub wishes: Wishes,
    /// How the store is reached.
    pub reach: Reach,
    /// How long to go on shipping after the unmount.
    pub stop_timeout: Duration,
    /// How much is logged.
    pub log: String,
    /// Where the log goes, if said.
    pub log_file: Option<PathBuf>,
}

/// What lag and cost a mount aims at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// From a commit until replicas show it.
    pub max_lag: Option<Duration>,
    /// US dollars a month for this mount's requests.
    pub budget: Option<f64>,
    /// Where prices are, if they are not list prices.
    pub prices: Option<PathBuf>,
}

/// How a store is reached, besides its URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Settings of its client.
    pub store: BTreeMap<String, String>,
    /// Where the cloud's variables are, if not in the environment.
    pub env_file: Option<PathBuf>,
}

/// What a mount is to the volume.
#[derive(Clone, Debug)]
pub enum Role {
    /// The one that writes.
    Primary {
        /// How it behaves.
        settings: primary::Settings,
        /// Whose place it may take.
        claim: Claim,
        /// The database's server, if it may be asked.
        server: Option<Address>,
    },
    /// One that shows.
    Replica {
        /// How it behaves; how often it polls, if nothing was said, is for the store to say.
        settings: replica::Settings,
        /// How often to poll while data flows, if said.
        poll: Option<Duration>,
        /// Where its cache is, if said.
        cache: Option<PathBuf>,
        /// The database that takes in what is shown, if there is one.
        delivery: Option<delivery::Settings>,
    },
}

/// Why a text is no configuration: one sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// The configuration that the texts after each `-o` say. Later words win over earlier ones.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let words = Words::parse(texts)?;
        let role = if words.has(&o::PRIMARY) { primary(&words)? } else { replica(&words)? };
        let ways = [Passthrough::Auto, Passthrough::On, Passthrough::Off];
        Ok(Self {
            role,
            layout: words.word(&o::LAYOUT),
            passthrough: words.choice(&o::PASSTHROUGH, &ways)?,
            node: words.word(&o::NODE),
            stop_timeout: words.duration(&o::STOP_TIMEOUT)?,
            log: words.word(&o::LOG).unwrap_or_default(),
            log_file: words.absolute(&o::LOG_FILE)?,
            wishes: Wishes::from_words(&words)?,
            reach: Reach::from_words(words)?,
        })
    }
}

impl Wishes {
    fn from_words(words: &Words) -> Result<Self, ConfigError> {
        let max_lag = words.given_duration(&o::MAX_LAG)?;
        if max_lag.is_some_and(|lag| lag.is_zero()) {
            let why = "must be more than 0: write for example 1s";
            return Err(ConfigError(format!("option {}: {why}", o::MAX_LAG.name)));
        }
        let budget = words.word(&o::BUDGET).map(|text| value::dollars(&text)).transpose();
        let budget =
            budget.map_err(|why| ConfigError(format!("option {}: {why}", o::BUDGET.name)))?;
        Ok(Self { max_lag, budget, prices: words.absolute(&o::PRICES)? })
    }
}

impl Reach {
    /// What these texts say of it, for verbs that mount nothing: other words are refused.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let words = Words::parse(texts)?;
        match words.first_besides(&o::ENV_FILE) {
            Some(name) => Err(ConfigError(format!(
                "option {name}: is for mounts; here only {} and {} can be set",
                o::STORE.usage(),
                o::ENV_FILE.usage()
            ))),
            None => Self::from_words(words),
        }
    }

    fn from_words(words: Words) -> Result<Self, ConfigError> {
        Ok(Self { env_file: words.absolute(&o::ENV_FILE)?, store: words.into_store() })
    }
}

fn primary(words: &Words) -> Result<Role, ConfigError> {
    let settings = primary::Settings {
        interval: words.duration(&o::INTERVAL)?,
        batch_max: words.size(&o::BATCH_MAX, BATCH_MAX_RANGE)?,
        backlog_max: words.size(&o::BACKLOG_MAX, 1..=u64::MAX)?,
        backlog_full: words.choice(&o::BACKLOG_FULL, &[BacklogFull::Shout, BacklogFull::Block])?,
        durability: if words.has(&o::SYNC) { Durability::InStore } else { Durability::Async },
        ..primary::Settings::default()
    };
    let takeover = words.has(&o::TAKEOVER);
    let claim = if takeover { Claim::TakeOver } else { Claim::Continue };
    Ok(Role::Primary { settings, claim, server: server(words)? })
}

fn replica(words: &Words) -> Result<Role, ConfigError> {
    let poll = words.given_duration(&o::POLL)?;
    let defaults = replica::Settings::default();
    let cache_size = words.size(&o::CACHE_SIZE, CACHE_SIZE_MIN..=u64::MAX)?;
    let delivery = delivery(words, cache_size / 2)?;
    let settings = replica::Settings {
        access: if words.has(&o::READ_ONLY) || delivery.is_some() {
            Access::ReadOnly
        } else {
            Access::Union
        },
        // What is in place for a server is bounded by the other half.
        cache_size: if delivery.is_some() { cache_size / 2 } else { cache_size },
        store_timeout: words.duration(&o::STORE_TIMEOUT)?,
        poll: poll.unwrap_or(defaults.poll),
        poll_max: words.duration(&o::POLL_MAX)?,
        aims: defaults.aims,
        read_ahead: words.count(&o::READ_AHEAD)?,
    };
    Ok(Role::Replica { settings, poll, cache: words.absolute(&o::CACHE)?, delivery })
}

/// The database that takes in what is shown, and what may be in place for it.
fn delivery(words: &Words, window: u64) -> Result<Option<delivery::Settings>, ConfigError> {
    let server = server(words)?;
    match words.absolute(&o::DATABASE)? {
        Some(database) => Ok(Some(delivery::Settings { database, server, window })),
        None if server.is_some() => {
            refused(&o::QUESTDB, "needs database=DIR: that server's db directory")
        }
        None => Ok(None),
    }
}

/// How to speak to the database's server.
fn server(words: &Words) -> Result<Option<Address>, ConfigError> {
    let password_file = words.absolute(&o::QUESTDB_PASSWORD_FILE)?;
    let (place, password_file) = match (words.word(&o::QUESTDB), password_file) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return refused(&o::QUESTDB_PASSWORD_FILE, "needs questdb=HOST:PORT as well");
        }
        (Some(_), None) => {
            return refused(&o::QUESTDB, "needs questdb_password_file=FILE as well");
        }
        (Some(place), Some(password_file)) => (place, password_file),
    };
    let parts = place.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parts = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    let Some((host, port)) = parts else {
        let what = format!("`{place}` is not HOST:PORT; QuestDB's port is 8812");
        return refused(&o::QUESTDB, &what);
    };
    let user = words.word(&o::QUESTDB_USER).unwrap_or_default();
    Ok(Some(Address { host, port, user, password_file }))
}

fn refused<T>(row: &o::Row, what: &str) -> Result<T, ConfigError> {
    Err(ConfigError(format!("option {}: {what}", row.name)))
}

/// A batch is held in memory while it is on its way; below one page it could carry nothing.
const BATCH_MAX_RANGE: std::ops::RangeInclusive<u64> = 8192..=256 << 20;

/// One segment of the usual size, so that what is being read can stay.
const CACHE_SIZE_MIN: u64 = 16 << 20;

#[cfg(test)]
mod tests;
