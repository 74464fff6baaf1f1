//! Round after round over the tables that have something to do. One that has nothing to do costs
//! nothing; one that cannot go on does not keep others from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, warn};

use crate::fuse::status;
use crate::layout::questdb::names::Table;
use crate::replica::shown::Shown;

use super::account::{Account, describe};
use super::ground::Ground;
use super::news::News;
use super::source::Source;
use super::table::{Delivered, Next, Nudge};
use super::trouble::Trouble;

/// Between two looks at what the server applies: from so often, while it does…
const LOOK_MIN: Duration = Duration::from_millis(2);
/// …to so rarely, while nothing moves.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// How often to look where nothing is to be done.
const IDLE: Duration = Duration::from_secs(5);
/// Between two tries of a table that cannot go on by itself.
const STOPPED: Duration = Duration::from_secs(10);
/// The shortest and the longest wait of one that can.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// All tables that are delivered.
#[derive(Debug)]
pub(super) struct Rounds {
    ground: Ground,
    shown: Arc<Shown>,
    news: Arc<News>,
    account: Arc<Account>,
    tables: BTreeMap<Table, Delivered>,
    /// Those that have something to do.
    active: BTreeSet<Table>,
    /// How many connections to the server there were.
    connections: u64,
    look: Duration,
    /// When the account was given last.
    told: Option<Instant>,
}

impl Rounds {
    pub(super) fn new(
        ground: Ground,
        shown: Arc<Shown>,
        news: Arc<News>,
        account: Arc<Account>,
    ) -> Self {
        Self {
            ground,
            shown,
            news,
            account,
            tables: BTreeMap::new(),
            active: BTreeSet::new(),
            connections: 0,
            look: LOOK_MIN,
            told: None,
        }
    }

    /// Goes on for ever.
    pub(super) async fn run(mut self) {
        self.begin();
        loop {
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(error) => {
                    warn!("the database's directory cannot be read, trying again: {error}");
                    STOPPED
                }
            };
            if timeout(wait, self.news.wait()).await.is_ok() {
                self.look = LOOK_MIN;
            }
            if wait > LOOK_MAX {
                // News come in bursts: what belongs together is taken together.
                sleep(Duration::from_micros(200)).await;
            }
        }
    }

    /// Looks at all tables.
    pub(super) fn begin(&mut self) {
        self.active.extend(Source::new(&self.shown).tables());
        match self.ground.root.delivered() {
            Ok(tables) => self.active.extend(tables),
            Err(error) => error!("the delivered tables cannot be listed: {error}"),
        }
    }

    /// One round. Returns how long nothing needs to be done.
    pub(super) async fn round(&mut self) -> std::io::Result<Duration> {
        self.ground.refresh()?;
        self.meet_server().await;
        self.active.extend(self.news.take());
        let source = Source::new(&self.shown);
        self.ground.versions.hear(source.about().server);
        let mut order: Vec<Table> = self.active.iter().cloned().collect();
        order.sort_by_key(Table::id);
        let mut moved = false;
        for table in order {
            moved |= self.step(&source, table).await;
        }
        self.nudge().await;
        self.look = if moved { LOOK_MIN } else { (self.look * 2).min(LOOK_MAX) };
        let wait = self.wait();
        if wait >= LOOK_MAX || self.told.is_none_or(|told| told.elapsed() >= LOOK_MAX) {
            self.account.tell(self.describe());
            self.told = Some(Instant::now());
        }
        Ok(wait)
    }

    /// How the tables are.
    pub(super) fn describe(&self) -> status::Delivery {
        describe(&self.ground, &Source::new(&self.shown), &self.tables)
    }

    /// A server that came asks for everything anew.
    async fn meet_server(&mut self) {
        self.ground.is_connected().await;
        let connections = self.ground.agent.as_ref().map_or(0, |agent| agent.connections);
        if connections == self.connections {
            return;
        }
        let Ground { agent: Some(agent), versions, .. } = &mut self.ground else { return };
        if let Err(error) = versions.ask(agent).await {
            return debug!("the server went away at once: {error}");
        }
        self.connections = connections;
        for (table, delivered) in &mut self.tables {
            if delivered.here.is_some_and(|here| here.applied < here.published) {
                delivered.nudge = Nudge::Due;
            }
            if delivered.nudge == Nudge::Due || delivered.trouble.is_some() {
                delivered.again = None;
                self.active.insert(table.clone());
            }
        }
    }

    /// Lets one table go on; returns whether it did.
    async fn step(&mut self, source: &Source, table: Table) -> bool {
        let now = Instant::now();
        let delivered =
            self.tables.entry(table.clone()).or_insert_with(|| Delivered::new(table.clone()));
        if delivered.again.is_some_and(|again| now < again) {
            return false;
        }
        let before = delivered.here.map(|here| (here.published, here.applied));
        let next = delivered.step(&mut self.ground, source).await;
        let moved = before != delivered.here.map(|here| (here.published, here.applied));
        match next {
            Ok(next) => {
                delivered.recover();
                if next != Next::Soon {
                    self.active.remove(&table);
                }
                if next == Next::Gone {
                    self.tables.remove(&table);
                }
            }
            Err(trouble) => delivered.fail(trouble, now),
        }
        moved
    }

    /// Tells the server of what was published.
    async fn nudge(&mut self) {
        let mut due = Vec::new();
        for table in &self.active {
            let Some(delivered) = self.tables.get(table) else { continue };
            let wants = delivered.nudge == Nudge::Due || delivered.is_overdue();
            let is_due = delivered.again.is_none_or(|again| Instant::now() >= again);
            if wants && is_due && !delivered.rename.is_under_way() {
                due.push(table.clone());
            }
        }
        if due.is_empty() || !self.ground.is_connected().await {
            return;
        }
        let suspended = match self.ground.suspended().await {
            Ok(suspended) => suspended,
            Err(error) => return debug!("who is suspended is not known: {error}"),
        };
        let (mut told, mut statements) = (Vec::new(), Vec::new());
        for table in due {
            let Some(name) = self.ground.entry(&table).map(|entry| &entry.name) else { continue };
            let Some(delivered) = self.tables.get_mut(&table) else { continue };
            let why = suspended.get(name);
            if let Some(why) = why.filter(|why| delivered.suspended.as_ref() != Some(*why)) {
                warn!(table = %table, "the database suspended the table, waiting until it is resumed: {why}");
            }
            delivered.suspended = why.cloned();
            delivered.nudge = Nudge::Told(Some(Instant::now()));
            if let Some(nudge) = delivered.kind.nudge(name).filter(|_| why.is_none()) {
                statements.push(nudge);
                told.push(table);
            }
        }
        let Some(agent) = &mut self.ground.agent else { return };
        let answers = agent.run_all(&statements).await;
        for (table, answer) in told.iter().zip(answers) {
            let (Err(error), Some(delivered)) = (answer, self.tables.get_mut(table)) else {
                continue;
            };
            delivered.nudge = Nudge::Due;
            delivered.fail(Trouble::from(error), Instant::now());
        }
    }

    /// A table whose commits the server may not all see yet, and why not.
    pub(super) fn unpublished(&self) -> Option<(&Table, Option<&Trouble>)> {
        let lacks = |table: &Delivered| {
            table.wanted > 0 && table.here.is_none_or(|here| here.published < table.wanted)
        };
        let unseen = self.active.iter().find(|table| !self.tables.contains_key(table));
        let found = self.tables.iter().find(|(_, table)| lacks(table) || table.trouble.is_some());
        found
            .map(|(table, delivered)| (table, delivered.trouble.as_ref()))
            .or_else(|| unseen.map(|table| (table, None)))
    }

    fn wait(&self) -> Duration {
        let now = Instant::now();
        let waits = self.active.iter().filter_map(|table| self.tables.get(table)).map(|it| {
            it.again.map_or(self.look, |again| again.saturating_duration_since(now).max(LOOK_MIN))
        });
        let server = self.ground.agent.as_ref().and_then(crate::server::Agent::again_at);
        let server = server.map(|again| again.saturating_duration_since(now).max(LOOK_MIN));
        waits.chain(server).min().unwrap_or(IDLE)
    }
}

impl Delivered {
    fn recover(&mut self) {
        if self.trouble.take().is_some() && self.tries > 3 {
            debug!(table = %self.table, "goes on");
        }
        (self.again, self.tries, self.since) = (None, 0, None);
    }

    fn fail(&mut self, trouble: Trouble, now: Instant) {
        let is_new = self.trouble.as_ref().is_none_or(|it| it.to_string() != trouble.to_string());
        let again = match &trouble {
            Trouble::Stopped(_) | Trouble::Gap(_) => STOPPED,
            _ => AGAIN.0.saturating_mul(1 << self.tries.min(8)).min(AGAIN.1),
        };
        match &trouble {
            Trouble::Stopped(why) | Trouble::Gap(why) if is_new => {
                error!(table = %self.table, "the table stops: {why}");
            }
            other => debug!(table = %self.table, "waits: {other}"),
        }
        self.tries = self.tries.saturating_add(1);
        self.since.get_or_insert(now);
        (self.trouble, self.again) = (Some(trouble), Some(now + again));
    }
}
