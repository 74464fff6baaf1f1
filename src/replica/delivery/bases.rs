//! A materialized view can only be made while the table that it condenses is as it was: so what
//! changes such a table, renames or drops it, waits until the server has the views over it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::layout::questdb::delivery::statements::folded;
use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::txnlog::{Record, What};
use crate::layout::questdb::view::MatView;

use super::ground::Ground;
use super::source::Source;
use super::table::Delivered;
use super::trouble::Trouble;

/// How long a table waits for a view. One that cannot be made by then is not waited for again.
const PATIENCE: Duration = Duration::from_secs(60);

impl Delivered {
    /// How many of these commits may be published before a view over the table is made.
    pub(super) async fn before_views(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        records: &[Record],
    ) -> Result<usize, Trouble> {
        let changes = |record: &Record| matches!(record.what, What::Change | What::Drop);
        match records.iter().position(changes) {
            None => Ok(records.len()),
            Some(0) => self.have_views(ground, source).await.map(|()| records.len()),
            Some(at) => {
                let view = self.view_to_make(ground, source).await?;
                Ok(view.map_or(records.len(), |_| at))
            }
        }
    }

    /// The table may change only once the views over it are made, or cannot be.
    pub(super) async fn have_views(
        &mut self,
        ground: &mut Ground,
        source: &Source,
    ) -> Result<(), Trouble> {
        let Some(view) = self.view_to_make(ground, source).await? else {
            self.waits_for_view = None;
            return Ok(());
        };
        let since = *self.waits_for_view.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            return Err(Trouble::Waits(format!("the view {view} is to be made from it first")));
        }
        warn!(table = %self.table, %view, "changes, although a view over it could not be made");
        ground.without_base.insert(view);
        self.waits_for_view = None;
        Ok(())
    }

    /// A view over the table that the volume has, and the server has not.
    async fn view_to_make(
        &self,
        ground: &mut Ground,
        source: &Source,
    ) -> Result<Option<Table>, Trouble> {
        if ground.agent.is_none() || !ground.is_served().await? {
            return Ok(None);
        }
        let Some(name) = ground.entry(&self.table).map(|entry| folded(&entry.name)) else {
            return Ok(None);
        };
        for view in source.tables() {
            let definition = view.sequencer(SequencerFile::MatView);
            let is_made = ground.entry(&view).is_some() || ground.without_base.contains(&view);
            if is_made || source.file(&definition).is_none() {
                continue;
            }
            let definition = MatView::parse(&source.whole(&definition).await?);
            if definition.is_some_and(|view| folded(&view.base) == name) {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }
}
