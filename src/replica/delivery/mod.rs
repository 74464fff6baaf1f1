//! Delivery: a database's server on this host takes in what the view shows, while it runs and
//! without knowing of it. What is to be done, `layout::questdb::delivery` says.
//!
//! | file | idea |
//! |---|---|
//! | `rounds` | round after round over the tables that have something to do |
//! | `table` | one table: from the volume to what the server applied |
//! | `attach` | the first look at a table's files |
//! | `making`, `renames` | tables that begin, end, get another name |
//! | `views` | views that are defined anew |
//! | `bases` | views are made before the tables that they condense change |
//! | `segments`, `lengths` | the segments in place, and whether they are complete |
//! | `records` | records and changes of structure in place |
//! | `source` | what the volume has of a table |
//! | `root`, `files` | the database's directory, and files changed in place |
//! | `ground` | what all tables share |
//! | `settle` | a takeover: the directory becomes a primary's |
//! | `versions` | whether both servers are of the same version |
//! | `news`, `account`, `trouble` | who has something to do, how it is going, why it does not |
//!
//! # A crash at any moment
//!
//! Nothing about the progress is stored. The log here says what was published, `_txn` what was
//! applied, the volume what is to come; what the server may need is written again where it differs.
//! The count in a log's header is stored last, by one store of eight bytes: what is not counted
//! does not exist for the server.
//!
//! # The server
//!
//! It reads plain files, complete before they are named: no page of it can fail, and without walfs
//! it merely gets no news. A table is suspended by the database alone, and stays so until the
//! operator resumes it.

mod account;
mod attach;
mod bases;
mod files;
mod ground;
mod lengths;
mod making;
mod news;
mod records;
mod renames;
mod root;
mod rounds;
mod segments;
mod settle;
mod source;
mod table;
mod trouble;
mod versions;
mod views;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle as Runtime;
use tokio::task::JoinHandle;

use crate::fuse::status::Status;
use crate::server::{Address, Agent};
use crate::volume::VolumeId;

use super::shown::Shown;
use super::view::Change;

use account::Account;
use ground::Ground;
use news::News;
use root::Root;
use rounds::Rounds;
use versions::Versions;

pub use settle::settle;

/// Where to deliver to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The database's directory.
    pub database: PathBuf,
    /// Its server, if walfs may speak to it.
    pub server: Option<Address>,
    /// How many bytes of segments may be in place.
    pub window: u64,
}

/// A delivery that goes on.
#[derive(Debug)]
pub struct Delivery {
    news: Arc<News>,
    account: Arc<Account>,
    rounds: Option<Rounds>,
    task: Option<JoinHandle<()>>,
}

impl Delivery {
    /// To deliver this volume.
    pub fn new(settings: Settings, volume: VolumeId, shown: &Arc<Shown>) -> io::Result<Self> {
        let root = Root::open(&settings.database, volume)?;
        let ground = Ground::new(root, settings.window, settings.server.map(Agent::new));
        let (news, account) = (Arc::<News>::default(), Arc::<Account>::default());
        let rounds =
            Rounds::new(ground, Arc::clone(shown), Arc::clone(&news), Arc::clone(&account));
        Ok(Self { news, account, rounds: Some(rounds), task: None })
    }

    /// Begins, once the whole volume is shown: what is not shown is taken for dropped.
    pub fn begin(&mut self, runtime: &Runtime) {
        self.task = self.rounds.take().map(|rounds| runtime.spawn(rounds.run()));
    }

    /// Who tells it what changed.
    pub fn listener(&self) -> impl Fn(&[Change]) + Send + Sync + use<> {
        let news = Arc::clone(&self.news);
        move |changes| news.tell(changes)
    }

    /// Fills in how it is.
    pub fn tell(&self, status: &mut Status) {
        let account = self.account.get();
        if status.problem.is_none() {
            status.problem = account.problems.first().map(|problem| problem.problem.clone());
        }
        if status.problem.is_none() {
            let (here, primary) = (account.version.clone(), account.primary_version.clone());
            status.problem = Versions { here, primary }.problem();
        }
        status.delivery = Some(account);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
