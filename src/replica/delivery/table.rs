//! One table: from what the volume has of it to what the server has applied. Nothing about its
//! progress is stored: what is in place, published and applied, the files say.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use crate::layout::questdb::alter;
use crate::layout::questdb::delivery::pieces::{Piece, pieces, structure};
use crate::layout::questdb::delivery::statements::Kind;
use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::txnlog::{Form, Record, What};

use super::files::beginning;
use super::ground::Ground;
use super::records::{put_changes, put_records};
use super::renames::Rename;
use super::segments::Segments;
use super::source::{Log, Source, parse};
use super::trouble::Trouble;

/// How many commits to look at together.
const RECORDS: u64 = 4096;
/// A server that has not applied what it was nudged for by then is nudged again, and asked again
/// for a table that it suspended.
const PATIENCE: Duration = Duration::from_secs(5);

/// What comes next for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, until the volume has news of it.
    Rest,
    /// To be looked at again soon.
    Soon,
    /// It is not delivered, or not any longer.
    Gone,
}

/// One table that is delivered.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) table: Table,
    pub(super) kind: Kind,
    /// What is known of the files here; `None`: they have to be looked at first.
    pub(super) here: Option<Here>,
    /// How many commits the volume has.
    pub(super) wanted: u64,
    pub(super) segments: Segments,
    pub(super) rename: Rename,
    pub(super) nudge: Nudge,
    /// When the server was told to make it, and did not answer.
    pub(super) unanswered: Option<Instant>,
    /// The server was told to forget what it knew of the table when it made it.
    pub(super) is_forgotten: bool,
    /// Since when its next change waits for a view over it.
    pub(super) waits_for_view: Option<Instant>,
    /// The database suspended it, and why.
    pub(super) suspended: Option<String>,
    /// Why it does not go on.
    pub(super) trouble: Option<Trouble>,
    /// Since when it does not.
    pub(super) since: Option<Instant>,
    /// When to try again.
    pub(super) again: Option<Instant>,
    pub(super) tries: u32,
}

/// What is here of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) form: Form,
    /// How many commits the server may see.
    pub(super) published: u64,
    /// How many it applied.
    pub(super) applied: u64,
    /// The record of the last of them, as it was published: a server that appends by itself may
    /// overwrite it, and leave the count as it is.
    pub(super) last: Option<[u8; RECORD]>,
}

/// What a record begins with in every form of log.
const RECORD: usize = 28;

/// The last of these records.
pub(super) fn last_of(form: Form, records: &[u8]) -> Option<[u8; RECORD]> {
    let len = usize::try_from(form.record()).ok()?;
    let start = records.len().checked_sub(len)?;
    records.get(start..start + RECORD)?.try_into().ok()
}

/// Whether the server has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nudge {
    /// It was told of all that is published, then.
    Told(Option<Instant>),
    /// It was not.
    Due,
}

impl Delivered {
    pub(super) fn new(table: Table) -> Self {
        Self {
            table,
            kind: Kind::Table,
            here: None,
            wanted: 0,
            segments: Segments::default(),
            rename: Rename::default(),
            nudge: Nudge::Told(None),
            unanswered: None,
            is_forgotten: false,
            waits_for_view: None,
            suspended: None,
            trouble: None,
            since: None,
            again: None,
            tries: 0,
        }
    }

    /// How many commits of the volume the server has not applied.
    pub(super) fn behind(&self) -> u64 {
        self.wanted.saturating_sub(self.here.map_or(0, |here| here.applied))
    }

    /// Goes on as far as it can without waiting for the server.
    pub(super) async fn step(
        &mut self,
        ground: &mut Ground,
        source: &Source,
    ) -> Result<Next, Trouble> {
        let Some(log) = source.log(&self.table).await? else {
            ground.find(&self.table).await?;
            return self.vanish(ground, source).await;
        };
        self.wanted = log.txns;
        ground.find(&self.table).await?;
        if ground.entry(&self.table).is_none() {
            if source.is_dropped(&self.table, &log).await? {
                return self.let_go(ground).await;
            }
            if let Some(next) = self.make(ground, source, &log).await? {
                return Ok(next);
            }
        } else if let Some(kind) = ground.entry(&self.table).and_then(|it| Kind::of(it.kind)) {
            self.kind = kind;
        }
        if self.here.is_none() {
            self.attach(ground, source, &log).await?;
        }
        if !self.look(ground, source)? {
            return Ok(Next::Soon);
        }
        match self.go_on(ground, source, &log).await {
            Err(Trouble::Gap(_)) if source.is_dropped(&self.table, &log).await? => {
                self.drop_here(ground, source).await
            }
            Err(Trouble::Gap(what)) => Err(self.gap(&what)),
            next => next,
        }
    }

    /// Looks how far the server is. `false`: the table is not what it was.
    fn look(&mut self, ground: &mut Ground, source: &Source) -> Result<bool, Trouble> {
        let Some(here) = &mut self.here else { return Ok(false) };
        let head = beginning(&ground.root.sequencer(&self.table, SequencerFile::Log), 12)?;
        let max = head.as_deref().and_then(|head| crate::layout::questdb::bytes::i64_at(head, 4));
        let applied = ground.root.applied(&self.table)?;
        let (Some(max), Some(applied)) = (max, applied) else {
            // The server dropped it; its registry will say so.
            self.here = None;
            return Ok(false);
        };
        let mine = ground.root.record(&self.table, here.form, here.published)?;
        let is_mine = here.last.is_none_or(|last| mine.as_deref() == Some(&last));
        if u64::try_from(max).ok() != Some(here.published) || !is_mine {
            debug!(table = %self.table, max, "the log is not what was published");
            self.here = None;
            self.segments.forget(&mut ground.window);
            return Ok(false);
        }
        here.applied = applied;
        let place = (&ground.root, &mut ground.window);
        self.segments.evict(place, source, &self.table, applied)?;
        Ok(true)
    }

    async fn go_on(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        log: &Log,
    ) -> Result<Next, Trouble> {
        loop {
            let Some(here) = self.here else { return Ok(Next::Soon) };
            if self.suspended.is_some() || self.rename.is_held() {
                return Ok(Next::Soon);
            }
            if here.published >= log.txns {
                return self.rest(&here);
            }
            let upto = log.txns.min(here.published + RECORDS);
            let bytes = source.records(&self.table, here.form, (here.published, upto)).await?;
            let mut records = parse(here.form, &bytes)?;
            records.truncate(self.before_views(ground, source, &records).await?);
            if self.kind == Kind::View
                && let Some(first) = records.first()
                && let Some(next) = self.redefine(ground, source, first).await?
            {
                return Ok(next);
            }
            if let Some((at, name)) = self.next_rename(ground, source, &records).await? {
                if at == 0 {
                    if let Some(next) = self.rename(ground, source, &records, &name).await? {
                        return Ok(next);
                    }
                    continue;
                }
                records.truncate(at);
            }
            let count = self.put(ground, source, &records).await?;
            if count == 0 {
                return Ok(Next::Soon);
            }
            records.truncate(count);
            self.publish(ground, source, &records, &bytes).await?;
        }
    }

    /// What comes once all is published.
    fn rest(&self, here: &Here) -> Result<Next, Trouble> {
        match self.nudge {
            Nudge::Told(_) if here.applied >= here.published => Ok(Next::Rest),
            Nudge::Told(_) if self.kind == Kind::View => Err(Trouble::Waits(
                "its new definition counts from the server's next start on".into(),
            )),
            _ => Ok(Next::Soon),
        }
    }

    /// Whether the server was told of what it has not applied, or was asked whether the table is
    /// still suspended, and long ago.
    pub(super) fn is_overdue(&self) -> bool {
        let behind = self.here.is_some_and(|here| here.applied < here.published);
        let long_ago = |then: Option<Instant>| then.is_none_or(|then| then.elapsed() >= PATIENCE);
        (behind || self.suspended.is_some())
            && matches!(self.nudge, Nudge::Told(then) if long_ago(then))
    }

    /// The first of these records that gives the table a name which the server does not know.
    async fn next_rename(
        &self,
        ground: &Ground,
        source: &Source,
        records: &[Record],
    ) -> Result<Option<(usize, String)>, Trouble> {
        if ground.agent.is_none() || self.kind != Kind::Table {
            return Ok(None);
        }
        // A table that no server has met is called what it was called when it was made.
        let entry = ground.entry(&self.table).map(|entry| entry.name.as_str());
        let known = entry.unwrap_or_else(|| self.table.first_name());
        for (at, record) in records.iter().enumerate() {
            if record.what != What::Change || self.rename.is_given_up(record.structure) {
                continue;
            }
            let name = new_name(source, &self.table, record.structure).await?;
            if let Some(name) = name.filter(|name| name != known) {
                return Ok(Some((at, name)));
            }
        }
        Ok(None)
    }

    /// Puts in place what these commits need, as far as there is room; returns how many commits
    /// may be published.
    async fn put(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        records: &[Record],
    ) -> Result<usize, Trouble> {
        let Some(here) = self.here else { return Ok(0) };
        let after = here.published;
        let mut count = records.len();
        let mut placed = false;
        for piece in pieces(after, records) {
            let wanted = self.segments.wants(source, &self.table, &piece);
            let is_first = here.applied >= after && !placed;
            if !is_first && ground.window.used + wanted > ground.window.limit {
                let place = (&ground.root, &mut ground.window);
                self.segments.free(place, &self.table, here.applied)?;
                if ground.window.used + wanted > ground.window.limit {
                    count = usize::try_from(piece.first - after - 1).unwrap_or(0);
                    break;
                }
            }
            let place = (&ground.root, &mut ground.window);
            self.segments.place(place, source, &self.table, &piece).await?;
            placed = true;
        }
        let shown = records.get(..count).unwrap_or_default();
        for piece in pieces(after, shown) {
            self.segments.show(&ground.root, source, &self.table, &piece).await?;
        }
        Ok(count)
    }

    /// Lets the server see these commits: changes of structure, records, and the count last.
    async fn publish(
        &mut self,
        ground: &Ground,
        source: &Source,
        records: &[Record],
        bytes: &[u8],
    ) -> Result<(), Trouble> {
        let Some(here) = &mut self.here else { return Ok(()) };
        if let Some(structure) = structure(records) {
            put_changes(ground, source, &self.table, structure).await?;
        }
        let upto = here.published + u64::try_from(records.len()).unwrap_or(0);
        put_records(ground, &self.table, here.form, (here.published, upto), bytes)?;
        ground.root.publish(&self.table, upto)?;
        debug!(table = %self.table, from = here.published, upto, "published");
        here.published = upto;
        let len = usize::try_from(here.form.record()).unwrap_or(0) * records.len();
        here.last = last_of(here.form, bytes.get(..len).unwrap_or_default());
        self.nudge = Nudge::Due;
        Ok(())
    }

    /// Puts segments in place again that commits need which the server may see already.
    pub(super) async fn put_again(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        (after, records): (u64, &[Record]),
    ) -> Result<(), Trouble> {
        let pieces: Vec<Piece> = pieces(after, records);
        for piece in &pieces {
            let place = (&ground.root, &mut ground.window);
            self.segments.place(place, source, &self.table, piece).await?;
            self.segments.show(&ground.root, source, &self.table, piece).await?;
        }
        Ok(())
    }

    fn gap(&self, what: &str) -> Trouble {
        let txn = self.here.map_or(1, |here| here.published + 1);
        Trouble::Stopped(format!(
            "{what}, which commit {txn} of {} needs: the WAL before the volume began is gone. Make \
             this replica's database again from a CHECKPOINT copy of the primary's",
            self.table
        ))
    }
}

/// The name that the change to this structure gives the table.
pub(super) async fn new_name(
    source: &Source,
    table: &Table,
    structure: u64,
) -> Result<Option<String>, Trouble> {
    let index = source.whole(&table.sequencer(SequencerFile::ChangesIndex)).await?;
    let Some((start, end)) = alter::bounds(&index, structure) else {
        return Err(Trouble::Gap(format!("{table}: the change to structure {structure}")));
    };
    let range = u64::try_from(start).unwrap_or(0)..u64::try_from(end).unwrap_or(0);
    let change = source.read(&table.sequencer(SequencerFile::Changes), range).await?;
    Ok(alter::new_name(&change))
}
