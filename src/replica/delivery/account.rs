//! What a delivery tells about itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::fuse::status::{self, TableProblem};
use crate::layout::questdb::names::Table;

use super::ground::Ground;
use super::source::Source;
use super::table::Delivered;
use super::trouble::Trouble;

/// What goes on by itself is told when it took as long as this.
const LONG: Duration = Duration::from_secs(5);

/// The last account.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Guards: the last account.
    told: Mutex<status::Delivery>,
}

impl Account {
    pub(super) fn tell(&self, account: status::Delivery) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = account;
    }

    pub(super) fn get(&self) -> status::Delivery {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How the tables are.
pub(super) fn describe(
    ground: &Ground,
    source: &Source,
    tables: &BTreeMap<Table, Delivered>,
) -> status::Delivery {
    let behind: Vec<u64> = tables.values().map(Delivered::behind).filter(|it| *it > 0).collect();
    let problems = tables.values().filter_map(|it| Some((it, it.trouble.as_ref()?)));
    let problems = problems.filter(|(it, trouble)| match trouble {
        Trouble::Stopped(_) | Trouble::Gap(_) => true,
        _ => it.since.is_some_and(|since| since.elapsed() >= LONG),
    });
    let problems = problems.map(|(it, trouble)| TableProblem {
        table: it.table.to_string(),
        problem: trouble.to_string(),
    });
    let resume = |it: &Delivered| {
        let why = it.suspended.as_ref()?;
        let problem = format!("the database suspended it, resume it once that is mended: {why}");
        Some(TableProblem { table: it.table.to_string(), problem })
    };
    let problems = problems.chain(tables.values().filter_map(resume));
    let suspended = tables.values().filter(|it| it.suspended.is_some()).map(|it| {
        let name = ground.entry(&it.table).map(|entry| entry.name.clone());
        name.unwrap_or_else(|| it.table.to_string())
    });
    let is_here_only = |directory: &String| {
        Table::parse(directory).is_none_or(|table| {
            let log = table.sequencer(crate::layout::questdb::names::SequencerFile::Log);
            !tables.contains_key(&table) && source.file(&log).is_none()
        })
    };
    let here_only = ground.registry.iter().filter(|(directory, _)| is_here_only(directory));
    status::Delivery {
        server: match &ground.agent {
            None => "no credentials".to_owned(),
            Some(agent) => agent.trouble.clone().unwrap_or_else(|| "connected".to_owned()),
        },
        version: ground.versions.here.clone(),
        primary_version: ground.versions.primary.clone(),
        tables: count(tables.len()),
        behind_tables: count(behind.len()),
        behind_txns: behind.iter().sum(),
        window_bytes: ground.window.used,
        window_size: ground.window.limit,
        suspended: suspended.collect(),
        problems: problems.collect(),
        here_only: here_only.map(|(_, entry)| entry.name.clone()).collect(),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
