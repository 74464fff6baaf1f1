//! The first look at a table's files here: whether they are the volume's, and whether what the
//! server may see already is in place. Done after each start and whenever they are not what they
//! were left as.

use tracing::info;

use crate::layout::questdb::delivery::agreement::{Agreement, Told, compare, is_same_log};
use crate::layout::questdb::delivery::statements::{self, Kind};
use crate::layout::questdb::names::SequencerFile;
use crate::layout::questdb::seed::New;
use crate::layout::questdb::txnlog::{Form, HEADER, Header};

use super::files::beginning;
use super::ground::Ground;
use super::making::is_younger;
use super::records::{put_changes, put_records};
use super::source::{Log, Source, parse};
use super::table::{Delivered, Here, Nudge, last_of};
use super::trouble::Trouble;

/// Of what was applied already, so many commits are compared.
const COMPARED: u64 = 4096;
/// Numbers of writers from here on are this server's own.
pub(super) const OWN_WALS: u32 = 1_000_000;

impl Delivered {
    /// Finds out what is here.
    pub(super) async fn attach(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        log: &Log,
    ) -> Result<(), Trouble> {
        let path = ground.root.sequencer(&self.table, SequencerFile::Log);
        let applied = ground.root.applied(&self.table)?;
        let head = beginning(&path, HEADER)?;
        let (Some(head), Some(applied)) = (head, applied) else {
            return Err(Trouble::Later(format!("{} is not whole yet", self.table)));
        };
        if !is_same_log(&head, &log.head) {
            return self.begin(ground, source, log, (&head, applied)).await;
        }
        let published = Header::parse(&head).map_or(0, |header| header.max_txn);
        if published == 0 && !self.is_forgotten {
            // Whoever gave it its files may have ended before the server was told.
            self.be_forgotten(ground).await?;
        }
        if published > log.txns {
            return Err(self.drifted(log.txns + 1));
        }
        let after = published.saturating_sub(COMPARED).min(applied);
        let after = self.kept_after(ground, log.form, (after, published)).min(applied);
        let theirs = source.records(&self.table, log.form, (after, published)).await?;
        let mine = self.records_here(ground, log, (after, published))?;
        let told = match self.kind {
            Kind::View => Told::Definition(OWN_WALS),
            Kind::Table | Kind::MatView => Told::Change,
        };
        match compare((log.form, told), after, &mine, &theirs) {
            Agreement::Same => {}
            Agreement::Retime(txn) if self.kind == Kind::View && applied < txn => {
                return Err(Trouble::Later("the server applies its new definition".to_owned()));
            }
            Agreement::Retime(txn) => {
                put_records(ground, &self.table, log.form, (after, published), &theirs)?;
                info!(table = %self.table, txn, "the change that this server was told to make is the primary's");
            }
            Agreement::Differs(txn) => {
                let here = (txn, published, applied);
                return match self.misplaced(ground, source, log, here).await? {
                    Some(upto) => self.put_in_its_place(ground, source, log, (txn, upto)).await,
                    None => Err(self.drifted(txn)),
                };
            }
        }
        ground.root.owner.make_directory(&ground.root.wal(&self.table))?;
        for wal in ground.root.real_wals(&self.table)? {
            if wal < OWN_WALS {
                ground.root.link(&self.table, wal)?;
            }
        }
        let records = parse(log.form, &theirs)?;
        let structure = records.iter().map(|record| record.structure).max().unwrap_or(0);
        if structure > 0 {
            put_changes(ground, source, &self.table, structure).await?;
        }
        let skip = usize::try_from(applied.saturating_sub(after)).unwrap_or(usize::MAX);
        let unapplied = records.get(skip..).unwrap_or_default();
        self.segments.forget(&mut ground.window);
        self.put_again(ground, source, (applied, unapplied)).await?;
        self.segments.sweep(&ground.root, source, &self.table)?;
        let last = last_of(log.form, &theirs);
        self.here = Some(Here { form: log.form, published, applied, last });
        self.nudge = if applied < published { Nudge::Due } else { Nudge::Told(None) };
        Ok(())
    }

    /// Makes an empty table of another origin the volume's. One with commits is left alone.
    async fn begin(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        log: &Log,
        (head, applied): (&[u8], u64),
    ) -> Result<(), Trouble> {
        let commits = Header::parse(head).map(|header| header.max_txn);
        if applied > 0 || commits.is_none_or(|commits| commits > 0) {
            return Err(Trouble::Stopped(format!(
                "{} was made here, and is not the volume's table: drop it",
                self.table
            )));
        }
        self.seed(ground, source, log).await?;
        self.be_forgotten(ground).await?;
        self.here = Some(Here { form: log.form, published: 0, applied: 0, last: None });
        self.nudge = Nudge::Told(None);
        Ok(())
    }

    /// Has the server forget what it knew of a table whose files it did not make itself. Its
    /// sequencer, which stays open for a while, it forgets with time alone.
    async fn be_forgotten(&mut self, ground: &mut Ground) -> Result<(), Trouble> {
        let name = ground.entry(&self.table).map(|entry| entry.name.clone());
        if let Some(name) = name.filter(|_| ground.agent.is_some())
            && ground.is_served().await?
        {
            ground.say(&statements::hydrate(&name)).await?;
            let log = ground.root.sequencer(&self.table, SequencerFile::Log);
            if is_younger(&log, ground.closes_after().await?)? {
                self.hold(ground).await?;
            }
        }
        self.is_forgotten = true;
        Ok(())
    }

    /// Gives the table the files that it had when the primary made it, in place.
    pub(super) async fn seed(
        &self,
        ground: &Ground,
        source: &Source,
        log: &Log,
    ) -> Result<(), Trouble> {
        self.seed_into(ground, source, log, &ground.root.table(&self.table)).await?;
        ground.root.owner.make_directory(&ground.root.wal(&self.table))?;
        Ok(())
    }

    pub(super) async fn seed_into(
        &self,
        ground: &Ground,
        source: &Source,
        log: &Log,
        directory: &std::path::Path,
    ) -> Result<(), Trouble> {
        let first_meta = source.whole(&self.table.sequencer(SequencerFile::FirstMeta)).await?;
        let definition = match self.kind.definition() {
            Some(file) => Some((file, source.whole(&self.table.sequencer(file)).await?)),
            None => None,
        };
        let new = New {
            name: self.table.first_name(),
            first_meta: &first_meta,
            log: &log.head,
            definition: definition.as_ref().map(|(file, bytes)| (*file, &**bytes)),
        };
        let files = new.files().ok_or_else(|| {
            Trouble::Stopped(format!(
                "the structure that {} was made with is not in the volume",
                self.table
            ))
        })?;
        ground.root.owner.make_directory(&directory.join("txn_seq"))?;
        for (path, content) in files {
            ground.root.owner.put(&directory.join(path), &content)?;
        }
        Ok(())
    }

    /// The server removes the first parts of its log once they are applied: after which commit
    /// there are records.
    fn kept_after(&self, ground: &Ground, form: Form, (after, upto): (u64, u64)) -> u64 {
        let Form::Parts(count) = form else { return after };
        let path = |part| ground.root.sequencer(&self.table, SequencerFile::Part(part));
        let kept = (after / count..).take_while(|part| part * count < upto);
        let kept = kept.map(|part| (part, path(part))).find(|(_, path)| path.exists());
        kept.map_or(upto, |(part, _)| after.max(part * count))
    }

    fn records_here(
        &self,
        ground: &Ground,
        log: &Log,
        txns: (u64, u64),
    ) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        for (file, range) in log.form.runs(txns) {
            let path = ground.root.sequencer(&self.table, file);
            let all = beginning(&path, range.end)?.unwrap_or_default();
            let from = usize::try_from(range.start).unwrap_or(usize::MAX);
            let lacks = || Trouble::Later(format!("{} is shorter than it says", path.display()));
            let whole = u64::try_from(all.len()).is_ok_and(|here| here == range.end);
            let records = all.get(from..).filter(|_| whole).ok_or_else(lacks)?;
            bytes.extend_from_slice(records);
        }
        Ok(bytes)
    }

    fn drifted(&self, txn: u64) -> Trouble {
        let table = &self.table;
        Trouble::Stopped(format!(
            "somebody wrote into {table} here: its commit {txn} is not the primary's. To rebuild \
             it: stop the server, remove the directory {table}, start it, and see that clients \
             cannot write (walfs config questdb --role replica)"
        ))
    }
}
