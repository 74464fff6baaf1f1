//! Keeps the volume's account of the primary true: which version its server is, and what it has
//! that is never shipped. A document in walfs's own place, which the layout ships when it changed.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::layout::Layout;
use crate::layout::questdb::delivery::statements::{BUILD, version_of};
use crate::server::Agent;
use crate::volume::{About, LeftOut};

use super::front::Front;
use super::local_disk::LocalDisk;
use super::ticks::Touch;

/// How often to look.
const EVERY: Duration = Duration::from_secs(3);
/// So many tables are named.
const TABLES_MAX: usize = 1000;
/// So many commits are remembered; older ones are forgotten first.
pub(super) const COMMITS_MAX: usize = 1000;

/// Keeps the account.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) disk: Arc<LocalDisk>,
    pub(super) layout: Arc<dyn Layout>,
    pub(super) front: Arc<Front>,
    /// The connection to the server, if it may be asked.
    pub(super) agent: Option<Agent>,
    /// The tables that the last look found never to be shipped.
    pub(super) found: Vec<LeftOut>,
}

impl Teller {
    /// Goes on for ever.
    pub(super) async fn run(mut self) {
        let (mut asked, mut version, mut trouble) = (0, None, None);
        loop {
            self.ask(&mut asked, &mut version).await;
            let told = self.tell(version.as_deref()).map_err(|error| error.to_string()).err();
            if let Some(error) = told.as_ref().filter(|_| told != trouble) {
                warn!("what the database has besides its log cannot be told: {error}");
            }
            trouble = told;
            sleep(EVERY).await;
        }
    }

    /// Asks the server for its version, once on each connection.
    async fn ask(&mut self, asked: &mut u64, version: &mut Option<String>) {
        let Some(agent) = &mut self.agent else { return };
        if !agent.is_there().await || *asked == agent.connections {
            return;
        }
        // A connection that broke was told by the agent; the next one is asked.
        if let Ok(told) = agent.version(BUILD, version_of).await {
            (*asked, *version) = (agent.connections, told);
        }
    }

    /// Writes the document if it would say something else.
    fn tell(&mut self, version: Option<&str>) -> io::Result<()> {
        let before = self.disk.about()?;
        let known = before.as_deref().and_then(About::from_json).unwrap_or_default();
        // A server that does not run is still what it was; one that nobody may ask is unknown.
        let server = version.map(str::to_owned).or(known.server.filter(|_| self.agent.is_some()));
        let found = bounded(self.layout.left_out(&*self.disk)?);
        // One that is being made is taken for one of them for a moment, and only for that.
        let lasts = |it: &&LeftOut| self.found.contains(it) || known.left_out.contains(it);
        let lasting: Vec<_> = found.iter().filter(lasts).cloned().collect();
        self.found = found;
        let commits = self.commits(known.left_out);
        let about = About { server, left_out: lasting.into_iter().chain(commits).collect() };
        self.front.note(|account| account.about = about.clone());
        let after = about.to_json();
        if before.as_ref() != Some(&after) {
            self.disk.set_about(&after)?;
            self.front.ticks.touch(&About::path(), Touch::Synced);
        }
        Ok(())
    }

    /// The commits that no replica carries out: those known so far and those seen since.
    fn commits(&self, known: Vec<LeftOut>) -> Vec<LeftOut> {
        let seen = self.front.account().left_out.clone();
        let all = known.into_iter().chain(seen).filter(|it| it.commit.is_some());
        let mut once = BTreeSet::new();
        let all: Vec<_> = all.filter(|it| once.insert((it.table.clone(), it.commit))).collect();
        let old = all.len().saturating_sub(COMMITS_MAX);
        all.into_iter().skip(old).filter(|it| self.disk.has_directory(&it.table)).collect()
    }
}

/// The first of these, and how many more there are.
fn bounded(mut tables: Vec<LeftOut>) -> Vec<LeftOut> {
    let more = tables.len().saturating_sub(TABLES_MAX);
    if more > 0 {
        tables.truncate(TABLES_MAX);
        let (table, what) = (format!("{more} more tables"), "are not replicated either".to_owned());
        tables.push(LeftOut { table, commit: None, what });
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuse::mirror::{Mirror, TTL_ALONE};
    use crate::layout::questdb::Questdb;

    fn teller(directory: &std::path::Path) -> Teller {
        let directory = Arc::new(std::fs::File::open(directory).unwrap().into());
        let mirror = Arc::new(Mirror::new(Arc::clone(&directory), TTL_ALONE).unwrap());
        let disk = Arc::new(LocalDisk::open(directory, mirror).unwrap());
        Teller {
            disk,
            layout: Arc::new(Questdb),
            front: Arc::default(),
            agent: None,
            found: Vec::new(),
        }
    }

    fn told(teller: &Teller) -> About {
        About::from_json(&teller.disk.about().unwrap().unwrap()).unwrap()
    }

    #[test]
    fn what_was_found_in_commits_is_remembered_for_as_long_as_its_table_is_there() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("t~1/txn_seq")).unwrap();
        let found = LeftOut { table: "t~1".into(), commit: Some(3), what: "x".into() };
        let mut first = teller(root.path());
        first.front.note(|account| account.left_out.push(found.clone()));
        first.tell(None).unwrap();
        assert!(first.front.ticks.take().paths.contains(&About::path()), "it is to be shipped");
        first.tell(None).unwrap();
        assert!(first.front.ticks.take().is_empty(), "nothing new is nothing to ship");
        drop(first);
        let mut second = teller(root.path());
        second.tell(Some("9.3.4")).unwrap();
        assert_eq!(told(&second), About { server: Some("9.3.4".into()), left_out: vec![found] });
        std::fs::remove_dir_all(root.path().join("t~1")).unwrap();
        second.tell(None).unwrap();
        assert_eq!(told(&second), About::default(), "nobody may ask the server any more");
    }
}
