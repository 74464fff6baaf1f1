//! What all tables of a delivery share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::layout::questdb::delivery::statements;
use crate::layout::questdb::names::Table;
use crate::layout::questdb::registry::Entry;
use crate::server::{Agent, AgentError};

use super::files::beginning;
use super::root::Root;
use super::segments::Window;
use super::trouble::Trouble;
use super::versions::Versions;

/// How old an answer about the tables that the server found may be.
const FRESH: Duration = Duration::from_millis(500);
/// How often to look whether the registry is another file.
const REGISTRY: Duration = Duration::from_secs(1);

/// What all tables share.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) root: Root,
    pub(super) window: Window,
    pub(super) agent: Option<Agent>,
    /// Which version the server is, and which one the primary's; `None`: not known.
    pub(super) versions: Versions,
    /// The tables that the server has, by directory.
    pub(super) registry: BTreeMap<String, Entry>,
    registry_file: Option<PathBuf>,
    registry_end: Option<Vec<u8>>,
    registry_read: Option<Instant>,
    /// Tables that the server found in their directories when it started: it keeps them in mind,
    /// and its registry does not name them.
    found: BTreeMap<String, Entry>,
    found_asked: Option<(u64, Instant)>,
    /// Views that were waited for in vain.
    pub(super) without_base: HashSet<Table>,
    /// How long the server keeps a sequencer open that nobody uses.
    closes_after: Option<Duration>,
}

impl Ground {
    pub(super) fn new(root: Root, limit: u64, agent: Option<Agent>) -> Self {
        Self {
            root,
            window: Window { limit, used: 0 },
            agent,
            versions: Versions::default(),
            registry: BTreeMap::new(),
            registry_file: None,
            registry_end: None,
            registry_read: None,
            found: BTreeMap::new(),
            found_asked: None,
            without_base: HashSet::new(),
            closes_after: None,
        }
    }

    /// What the registry calls this table.
    pub(super) fn entry(&self, table: &Table) -> Option<&Entry> {
        let directory = table.directory().as_str();
        self.registry.get(directory).or_else(|| self.found.get(directory))
    }

    /// Asks the server for this table, if its directory is here and the registry does not name it.
    pub(super) async fn find(&mut self, table: &Table) -> Result<(), AgentError> {
        let is_there = self.root.is_whole(table);
        if !is_there {
            self.found.remove(table.directory().as_str());
        }
        if !is_there || self.entry(table).is_some() || !self.is_connected().await {
            return Ok(());
        }
        let Some(agent) = &mut self.agent else { return Ok(()) };
        let fresh = |(connections, then): (u64, Instant)| {
            connections == agent.connections && then.elapsed() < FRESH
        };
        if self.found_asked.is_some_and(fresh) {
            return Ok(());
        }
        let rows = agent.run(statements::SUSPENDED).await?;
        self.found_asked = Some((agent.connections, Instant::now()));
        let known: HashSet<&String> = self.registry.values().map(|entry| &entry.name).collect();
        let names = rows.iter().filter_map(|row| row.first()?.as_ref());
        let unknown: HashSet<&String> = names.filter(|name| !known.contains(name)).collect();
        self.found = self.root.unlisted(&self.registry, &unknown).unwrap_or_default();
        Ok(())
    }

    /// Whether the server, asked now, has no such table. Asked before its files are removed.
    pub(super) async fn lacks(&mut self, table: &Table) -> Result<bool, Trouble> {
        (self.registry_read, self.found_asked) = (None, None);
        self.refresh()?;
        self.find(table).await?;
        Ok(self.entry(table).is_none())
    }

    /// Reads the registry again, if it changed.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.registry_read.is_none_or(|then| now - then >= REGISTRY) {
            self.registry_file = self.root.registry_file()?;
            self.registry_read = Some(now);
        }
        // Where the entries end stands first: it changes with each of them.
        let end = match &self.registry_file {
            Some(file) => beginning(file, 8)?,
            None => None,
        };
        if end != self.registry_end || end.is_none() {
            (self.registry, self.registry_end) = (self.root.registry()?, end);
        }
        Ok(())
    }

    /// Whether a server has the database's directory.
    pub(super) async fn is_served(&mut self) -> io::Result<bool> {
        Ok(self.root.is_served()? || self.is_connected().await)
    }

    /// Whether there is a server to speak to.
    pub(super) async fn is_connected(&mut self) -> bool {
        match &mut self.agent {
            Some(agent) => agent.is_there().await,
            None => false,
        }
    }

    /// Says something to the server.
    pub(super) async fn say(&mut self, statement: &str) -> Result<(), AgentError> {
        match &mut self.agent {
            Some(agent) => agent.run(statement).await.map(|_| ()),
            None => Err(AgentError::Away(NO_CREDENTIALS.to_owned())),
        }
    }

    /// The tables that the server suspended, by name, each with its reason. Not kept: to tell the
    /// server of news would resume one that it has suspended since.
    pub(super) async fn suspended(&mut self) -> Result<HashMap<String, String>, AgentError> {
        let Some(agent) = &mut self.agent else { return Ok(HashMap::new()) };
        let rows = agent.run(statements::SUSPENDED).await?;
        let suspended = rows.into_iter().filter_map(|row| match &row[..] {
            [Some(name), Some(yes), why] if yes.starts_with('t') => {
                Some((name.clone(), why.clone().unwrap_or_else(|| NO_REASON.to_owned())))
            }
            _ => None,
        });
        Ok(suspended.collect())
    }

    /// After how long the server has surely closed a sequencer that nobody uses.
    pub(super) async fn closes_after(&mut self) -> Result<Duration, AgentError> {
        if let Some(known) = self.closes_after {
            return Ok(known);
        }
        let Some(agent) = &mut self.agent else { return Ok(UNKNOWN) };
        let rows = agent.run(statements::CLOSES_AFTER).await?;
        let millis = rows.iter().filter_map(|row| row.first()?.as_ref()?.parse::<u64>().ok());
        let sum: u64 = millis.sum();
        let known = Duration::from_millis(sum) + MARGIN;
        self.closes_after = Some(known);
        Ok(known)
    }
}

/// On top of what the server's settings add up to.
const MARGIN: Duration = Duration::from_secs(1);
/// Where the server cannot be asked: its own defaults.
const UNKNOWN: Duration = Duration::from_secs(500);

/// What a server that was restarted since says.
const NO_REASON: &str = "the server keeps no reason";

/// What a delivery without them says.
pub(super) const NO_CREDENTIALS: &str =
    "walfs cannot speak to the server: give questdb=HOST:PORT and questdb_password_file=FILE";
