//! A table gets another name while the server runs. The server does not take a name from the log:
//! it is told to rename, and appends to the log itself the very commit that the primary has there,
//! but for its time. For that it must open the table's sequencer anew, and find it as the
//! primary's was before.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::layout::questdb::delivery::statements;
use crate::layout::questdb::names::SequencerFile;
use crate::layout::questdb::structure_of;
use crate::layout::questdb::txnlog::Record;

use super::attach::OWN_WALS;
use super::files::beginning;
use super::ground::Ground;
use super::making::META_MAX;
use super::source::Source;
use super::table::{Delivered, Next};
use super::trouble::Trouble;

/// How long other tables have to give a name free; then the table goes on under its old name.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the structure version stands in a sequencer's `_meta`.
const STRUCTURE: usize = 8;

/// What is known of a rename that comes next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rename {
    /// Since when it waits for the name.
    waits: Option<Instant>,
    /// When the server has surely closed the sequencer.
    closed: Option<Instant>,
    /// Until when nothing may be published.
    held: Option<Instant>,
    /// The structure whose name the server does not get.
    given_up: Option<u64>,
}

impl Rename {
    /// Whether this one is left to the next start of the server.
    pub(super) fn is_given_up(&self, structure: u64) -> bool {
        self.given_up == Some(structure)
    }

    /// Nothing is published until then.
    pub(super) fn hold(&mut self, until: Instant) {
        self.held = Some(until);
    }

    /// Whether nothing may be published yet.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some_and(|until| Instant::now() < until)
    }

    /// Whether nothing may be said about the table now: that would open its sequencer again.
    pub(super) fn is_under_way(&self) -> bool {
        self.closed.is_some()
    }
}

impl Delivered {
    /// The next commit gives the table this name. `None`: it has it now, or will not have it.
    pub(super) async fn rename(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        records: &[Record],
        name: &str,
    ) -> Result<Option<Next>, Trouble> {
        let (Some(here), Some(record)) = (self.here, records.first()) else {
            return Ok(Some(Next::Soon));
        };
        if here.applied < here.published {
            return Ok(Some(Next::Soon));
        }
        let now = Instant::now();
        let Some(closed) = self.rename.closed else {
            let waits = *self.rename.waits.get_or_insert(now);
            if let Err(taken) = self.name_is_free(ground, name) {
                if now - waits < PATIENCE {
                    return Err(taken);
                }
                return Ok(self.give_up(record, name, &taken.to_string()));
            }
            self.rename.closed = Some(now + ground.closes_after().await?);
            return Ok(Some(Next::Soon));
        };
        if now < closed {
            return Ok(Some(Next::Soon));
        }
        (self.rename.closed, self.rename.waits) = (None, None);
        if !self.open_as_before(ground, source, record.structure).await? {
            return Ok(self.give_up(record, name, "its structure has changed again since"));
        }
        let Some(old) = ground.entry(&self.table).map(|entry| entry.name.clone()) else {
            return Ok(Some(Next::Soon));
        };
        ground.say(&statements::rename(&old, name)).await?;
        ground.refresh()?;
        info!(table = %self.table, old, name, txn = here.published + 1, "renamed");
        // What it appended is compared with the primary's commit, and replaced by it.
        self.here = None;
        Ok(Some(Next::Soon))
    }

    fn give_up(&mut self, record: &Record, name: &str, why: &str) -> Option<Next> {
        warn!(table = %self.table, name, "gets its name at the next start of the server: {why}");
        self.rename = Rename { given_up: Some(record.structure), ..Rename::default() };
        None
    }

    /// Leaves the sequencer as the server must find it to append the change to this structure.
    async fn open_as_before(
        &self,
        ground: &Ground,
        source: &Source,
        structure: u64,
    ) -> Result<bool, Trouble> {
        let Some(before) = structure.checked_sub(1) else { return Ok(false) };
        let meta = ground.root.sequencer(&self.table, SequencerFile::Meta);
        let here = beginning(&meta, META_MAX)?.unwrap_or_default();
        if structure_of(&here) != Some(before) {
            let theirs = source.whole(&self.table.sequencer(SequencerFile::Meta)).await?;
            if structure_of(&theirs) != Some(structure) {
                return Ok(false);
            }
            let mut patched = theirs.to_vec();
            let Some(version) = patched.get_mut(STRUCTURE..STRUCTURE + 8) else { return Ok(false) };
            version.copy_from_slice(&before.to_le_bytes());
            ground.root.owner.put(&meta, &patched)?;
        }
        let counter = ground.root.table(&self.table).join("txn_seq/_wal_index.d");
        let file = ground.root.owner.open(&counter)?;
        super::files::write_where_different(&file, 0, &u64::from(OWN_WALS).to_le_bytes())?;
        Ok(true)
    }
}
