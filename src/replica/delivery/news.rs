//! Which tables have news, for one who looks when it can: nothing is queued twice.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::layout::questdb::names::Table;
use crate::replica::view::Change;

/// Which tables have news.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Guards: the tables with news that nobody took yet.
    tables: Mutex<BTreeSet<Table>>,
    notify: Notify,
}

impl News {
    /// These files of the volume changed.
    pub(super) fn tell(&self, changes: &[Change]) {
        let paths = changes.iter().map(|change| match change {
            Change::Content(path, _) | Change::Name(path) => path,
        });
        let tables = paths.filter_map(|path| Table::parse(path.as_str().split_once('/')?.0));
        self.lock().extend(tables);
        self.notify.notify_one();
    }

    /// Takes the tables with news.
    pub(super) fn take(&self) -> BTreeSet<Table> {
        std::mem::take(&mut *self.lock())
    }

    /// Waits for news.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
