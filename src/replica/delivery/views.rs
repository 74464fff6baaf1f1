//! A plain view is defined anew while the server runs. No statement makes the server look for such
//! a definition in the log: it is told the definition in SQL, applies it, and appends to the log
//! itself the commit that the primary has there, but for the place of its event.

use std::time::Duration;

use tracing::{info, warn};

use crate::layout::questdb::delivery::statements::redefine;
use crate::layout::questdb::event;
use crate::layout::questdb::names::Segment;
use crate::layout::questdb::txnlog::{Record, What};

use super::ground::Ground;
use super::source::Source;
use super::table::{Delivered, Next};
use super::trouble::Trouble;

/// What the definition names may still have to come; then it waits for the server's next start.
const PATIENCE: Duration = Duration::from_secs(60);

impl Delivered {
    /// The next commit defines the view anew. `None`: it is to be published as any other, for the
    /// next start of the server.
    pub(super) async fn redefine(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        record: &Record,
    ) -> Result<Option<Next>, Trouble> {
        let (Some(here), What::Event { wal, segment, txn }) = (self.here, record.what) else {
            return Ok(None);
        };
        if ground.agent.is_none() || here.applied < here.published {
            return Ok(None);
        }
        if !ground.is_connected().await {
            if ground.is_served().await? {
                return Err(Trouble::NoServer("the server does not answer yet".to_owned()));
            }
            return Ok(None);
        }
        if !self.rename.has_closed(ground.closes_after().await?) {
            return Ok(Some(Next::Soon));
        }
        self.number_own_writers(ground)?;
        let Some(name) = ground.entry(&self.table).map(|entry| entry.name.clone()) else {
            return Ok(Some(Next::Soon));
        };
        let segment = Segment { table: self.table.clone(), wal, segment };
        let query = definition(source, &segment, u64::from(txn)).await?;
        match ground.say(&redefine(&name, &query)).await.map_err(Trouble::from) {
            Ok(()) => info!(table = %self.table, name, txn = here.published + 1, "defined anew"),
            Err(Trouble::Later(why)) if self.rename.waits_longer_than(PATIENCE) => {
                self.rename.waits_no_longer();
                warn!(table = %self.table, name, "is defined anew at the next start of the server: {why}");
                return Ok(None);
            }
            Err(Trouble::Later(why)) => {
                return Err(Trouble::Waits(format!("{name} cannot be defined anew yet: {why}")));
            }
            Err(other) => return Err(other),
        }
        // What it appended is compared with the primary's commit, and replaced by it.
        self.rename.waits_no_longer();
        self.here = None;
        Ok(Some(Next::Soon))
    }
}

/// What the view selects from this event on.
async fn definition(source: &Source, segment: &Segment, number: u64) -> Result<String, Trouble> {
    let place = |name: &str| {
        let gap = || Trouble::Gap(format!("{segment}/{name}"));
        segment.file(name).ok_or_else(gap)
    };
    let (index, events) = (place("_event.i")?, place("_event")?);
    let bounds = source.read(&index, number * 8..(number + 2) * 8).await?;
    let Some((start, end)) = event::bounds(&bounds) else {
        return Err(Trouble::Gap(format!("{index}: event {number}")));
    };
    let record = source.read(&events, start..end).await?;
    event::definition(&record).ok_or_else(|| {
        Trouble::Stopped(format!("{events}: event {number} is no definition that walfs can read"))
    })
}
