//! What the volume has of a table, at one moment.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::txnlog::{Form, Header, Record, What};
use crate::layout::questdb::txns_in;
use crate::replica::reading::ReadError;
use crate::replica::shown::Shown;
use crate::replica::view::View;
use crate::volume::{About, File, RelPath};

use super::trouble::Trouble;

/// The volume, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Source {
    shown: Arc<Shown>,
    pub(super) view: Arc<View>,
}

impl Source {
    pub(super) fn new(shown: &Arc<Shown>) -> Self {
        Self { shown: Arc::clone(shown), view: shown.view() }
    }

    /// The tables that the volume has, in the order of their ids: as they were made.
    pub(super) fn tables(&self) -> Vec<Table> {
        let names = self.view.manifest.list(None);
        let mut tables: Vec<_> = names.iter().filter_map(|(name, _)| Table::parse(name)).collect();
        tables.sort_by_key(Table::id);
        tables
    }

    /// What the volume says of the primary's database besides its log.
    pub(super) fn about(&self) -> About {
        About::of(&self.view.manifest).unwrap_or_default()
    }

    pub(super) fn file(&self, path: &RelPath) -> Option<&Arc<File>> {
        self.view.manifest.file(path)
    }

    /// Exactly this range of a file.
    pub(super) async fn read(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, Trouble> {
        let Some(seen) = self.view.see(path) else {
            return Err(Trouble::Gap(format!("{path} is not in the volume")));
        };
        let len = usize::try_from(range.end.saturating_sub(range.start));
        let len = len.map_err(|_| Trouble::Gap(format!("{path} is too long")))?;
        match self.shown.read_file(&seen, range.start, len).await {
            Ok(bytes) if bytes.len() == len => Ok(bytes),
            Ok(_) => {
                Err(Trouble::Gap(format!("{path} is shorter than {} in the volume", range.end)))
            }
            Err(away @ ReadError::Away { .. }) => Err(Trouble::Later(away.to_string())),
            Err(lost) => Err(Trouble::Later(lost.to_string())),
        }
    }

    /// All of a file; nothing if there is none.
    pub(super) async fn whole(&self, path: &RelPath) -> Result<Bytes, Trouble> {
        match self.file(path) {
            Some(file) => self.read(path, 0..file.size).await,
            None => Ok(Bytes::new()),
        }
    }

    /// The beginning of a table's log, and how many commits the volume has of it; `None` if the
    /// volume does not have the table.
    pub(super) async fn log(&self, table: &Table) -> Result<Option<Log>, Trouble> {
        let path = table.sequencer(SequencerFile::Log);
        if self.file(&path).is_none() {
            return Ok(None);
        }
        let head = self.read(&path, 0..crate::layout::questdb::txnlog::HEADER).await?;
        let form = Header::parse(&head).map(|header| header.form);
        let form = form.ok_or_else(|| Trouble::Stopped(format!("{path} is of an unknown form")))?;
        Ok(Some(Log { head, form, txns: txns_in(&self.view.manifest, table, form) }))
    }

    /// The bytes of the records of the commits after the first of these up to the second.
    pub(super) async fn records(
        &self,
        table: &Table,
        form: Form,
        txns: (u64, u64),
    ) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        for (file, range) in form.runs(txns) {
            bytes.extend(self.read(&table.sequencer(file), range).await?);
        }
        Ok(bytes)
    }

    /// Whether the table was dropped: its last commit says so.
    pub(super) async fn is_dropped(&self, table: &Table, log: &Log) -> Result<bool, Trouble> {
        if log.txns == 0 {
            return Ok(false);
        }
        let last = self.records(table, log.form, (log.txns - 1, log.txns)).await?;
        Ok(Record::parse(&last).is_some_and(|record| record.what == What::Drop))
    }
}

/// A table's log in the volume.
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// Its first bytes; what they say about the number of commits is of no account.
    pub(super) head: Bytes,
    /// Where its records are.
    pub(super) form: Form,
    /// How many commits there are.
    pub(super) txns: u64,
}

/// What these bytes say; they came from the volume.
pub(super) fn parse(form: Form, bytes: &[u8]) -> Result<Vec<Record>, Trouble> {
    let len = usize::try_from(form.record()).map_err(|_| Trouble::Stopped(String::new()))?;
    let corrupt = || Trouble::Stopped("the volume's log has a record of no meaning".to_owned());
    bytes.chunks(len).map(|record| Record::parse(record).ok_or_else(corrupt)).collect()
}
