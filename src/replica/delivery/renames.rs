//! A table gets another name while the server runs. The server does not take a name from the log:
//! it is told to rename, and appends to the log itself the very commit that the primary has there,
//! but for its time. For that it must open the table's sequencer anew, and find it as the
//! primary's was before.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::layout::questdb::alter;
use crate::layout::questdb::delivery::statements;
use crate::layout::questdb::names::SequencerFile;
use crate::layout::questdb::seed::sequencer_meta;
use crate::layout::questdb::structure_of;
use crate::layout::questdb::table::Structure;
use crate::layout::questdb::txnlog::{Record, What};

use super::attach::OWN_WALS;
use super::files::beginning;
use super::ground::Ground;
use super::making::META_MAX;
use super::records::{put_changes, put_records};
use super::source::{Log, Source, parse};
use super::table::{Delivered, Next, new_name};
use super::trouble::Trouble;

/// How long other tables have to give a name free; then the table goes on under its old name.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than the changes of a table ever take.
const CHANGES_MAX: u64 = 64 << 20;
/// Files that are mapped have whole pages.
const PAGE: usize = 4096;
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

    /// Whether the server has surely closed the sequencer since this was asked first.
    pub(super) fn has_closed(&mut self, after: Duration) -> bool {
        let now = Instant::now();
        let closed = *self.closed.get_or_insert(now + after);
        if now >= closed {
            self.closed = None;
        }
        now >= closed
    }

    /// Whether something was waited for longer than this. The first time, the wait begins.
    pub(super) fn waits_longer_than(&mut self, patience: Duration) -> bool {
        self.waits.get_or_insert_with(Instant::now).elapsed() >= patience
    }

    /// What was waited for is there.
    pub(super) fn waits_no_longer(&mut self) {
        self.waits = None;
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
        if !self.rename.is_under_way()
            && let Err(taken) = self.name_is_free(ground, name)
        {
            if !self.rename.waits_longer_than(PATIENCE) {
                return Err(taken);
            }
            return Ok(self.give_up(record, name, &taken.to_string()));
        }
        if !self.rename.has_closed(ground.closes_after().await?) {
            return Ok(Some(Next::Soon));
        }
        self.rename.waits_no_longer();
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

    /// Whether the commit that differs is the rename that comes next, appended too early: by a
    /// server that had not closed the sequencer, and took what it knew of the log for its end.
    /// Nothing is lost by that, as all that it wrote over was applied. Returns where it belongs.
    pub(super) async fn misplaced(
        &self,
        ground: &Ground,
        source: &Source,
        log: &Log,
        (differs, published, applied): (u64, u64, u64),
    ) -> Result<Option<u64>, Trouble> {
        let next = applied + 1;
        if differs != published || next <= published || next > log.txns {
            return Ok(None);
        }
        let theirs = source.records(&self.table, log.form, (applied, next)).await?;
        let mine = ground.root.record(&self.table, log.form, differs)?;
        let changed = |record: Option<Record>| {
            record.filter(|it| it.what == What::Change).map(|it| it.structure)
        };
        let (Some(mine), Some(theirs)) = (
            changed(Record::parse(&mine.unwrap_or_default())),
            changed(parse(log.form, &theirs)?.first().copied()),
        ) else {
            return Ok(None);
        };
        let wanted = new_name(source, &self.table, theirs).await?;
        let is_it = wanted.is_some() && wanted == self.new_name_here(ground, mine)?;
        Ok(is_it.then_some(next))
    }

    /// Puts the volume's commits there, up to the rename; then the table is looked at again.
    pub(super) async fn put_in_its_place(
        &mut self,
        ground: &Ground,
        source: &Source,
        log: &Log,
        (differs, upto): (u64, u64),
    ) -> Result<(), Trouble> {
        let after = differs - 1;
        let theirs = source.records(&self.table, log.form, (after, upto)).await?;
        let structures = parse(log.form, &theirs)?.into_iter().map(|record| record.structure);
        put_changes(ground, source, &self.table, structures.max().unwrap_or(0)).await?;
        put_records(ground, &self.table, log.form, (after, upto), &theirs)?;
        ground.root.publish(&self.table, upto)?;
        info!(table = %self.table, at = differs, txn = upto, "the server appended its rename too early: put in its place");
        Ok(())
    }

    /// The name that the change to this structure gives, in the log of changes here.
    fn new_name_here(&self, ground: &Ground, structure: u64) -> Result<Option<String>, Trouble> {
        let file = |file| beginning(&ground.root.sequencer(&self.table, file), CHANGES_MAX);
        let index = file(SequencerFile::ChangesIndex)?.unwrap_or_default();
        let changes = file(SequencerFile::Changes)?.unwrap_or_default();
        let change =
            alter::bounds(&index, structure).and_then(|(start, end)| changes.get(start..end));
        Ok(change.and_then(alter::new_name))
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
            let as_before = if structure_of(&theirs) == Some(structure) {
                with_version(&theirs, before)
            } else {
                // The primary's is of a later structure already; the table itself has this one.
                let table = beginning(&ground.root.table(&self.table).join("_meta"), META_MAX)?;
                let table = Structure::parse(&table.unwrap_or_default());
                table.and_then(|table| sequencer_meta(&table, i64::try_from(before).ok()?))
            };
            let Some(mut as_before) = as_before else { return Ok(false) };
            as_before.resize(as_before.len().next_multiple_of(PAGE), 0);
            ground.root.owner.put(&meta, &as_before)?;
        }
        self.number_own_writers(ground)?;
        Ok(true)
    }

    /// Writers of this server's own get numbers that the primary's never have.
    pub(super) fn number_own_writers(&self, ground: &Ground) -> Result<(), Trouble> {
        let counter = ground.root.table(&self.table).join("txn_seq/_wal_index.d");
        let file = ground.root.owner.open(&counter)?;
        super::files::write_where_different(&file, 0, &u64::from(OWN_WALS).to_le_bytes())?;
        Ok(())
    }
}

/// A sequencer's `_meta` of another structure version.
fn with_version(meta: &[u8], version: u64) -> Option<Vec<u8>> {
    let mut patched = meta.to_vec();
    patched.get_mut(STRUCTURE..STRUCTURE + 8)?.copy_from_slice(&version.to_le_bytes());
    Some(patched)
}
