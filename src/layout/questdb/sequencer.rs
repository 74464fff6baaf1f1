//! The files of a table's sequencer on the primary's disk, against what the manifest has of them.

use std::io;

use bytes::Bytes;

use crate::layout::shipped::{Shipped, differing, read_whole};
use crate::layout::{Files, OpenFile};
use crate::volume::{Manifest, RelPath};

use super::bytes::{i32_at, i64_at, u64_of};
use super::names::{Name, SequencerFile, Table};
use super::segment::Meta;
use super::txnlog::{Form, HEADER, Header, What, read_records};

/// Structures and definitions are small; what is larger is something else.
const SMALL_MAX: u64 = 1 << 20;

/// The log of a table, opened.
#[derive(Debug)]
pub(super) struct Log {
    /// Its path.
    pub(super) path: RelPath,
    /// It.
    pub(super) file: Box<dyn OpenFile>,
    /// What it said when it was opened: what comes later is for the next look.
    pub(super) header: Header,
    table: Table,
}

/// The log of this table; `None` if there is none, or not yet.
pub(super) fn open(files: &dyn Files, table: &Table) -> io::Result<Option<Log>> {
    let path = table.sequencer(SequencerFile::Log);
    let Some(file) = files.open(&path)? else { return Ok(None) };
    let header = Header::read(&*file)?;
    Ok(header.map(|header| Log { path, file, header, table: table.clone() }))
}

/// Whether the sequencer of this table was made completely: this file is made last.
pub(super) fn is_made(files: &dyn Files, table: &Table) -> io::Result<bool> {
    Ok(files.open(&last_wal(table))?.is_some())
}

/// Whether the table was dropped, and nothing of it is on the disk but what is held.
pub(super) fn is_over(files: &dyn Files, table: &Table, log: &Log) -> io::Result<bool> {
    Ok(!is_made(files, table)? && structure(files, table, log)?.is_none())
}

/// The file in which the server counts the numbers that it gives to the writers of this table
/// (`WalUtils.WAL_INDEX_FILE_NAME`).
pub(super) fn last_wal(table: &Table) -> RelPath {
    table.sequencer_file("_wal_index.d")
}

/// How many commits the manifest has of a table whose log has this form.
pub fn txns_in(manifest: &Manifest, table: &Table, form: Form) -> u64 {
    let size = |file| manifest.files.get(&table.sequencer(file)).map_or(0, |file| file.size);
    let Form::Parts(count) = form else { return form.txns_in(size(SequencerFile::Log)) };
    let parts = table.parts();
    let numbers = manifest.below(&parts).filter_map(|(path, _)| match Name::of(path) {
        Some(Name::Sequencer(_, SequencerFile::Part(number))) => Some(number),
        _ => None,
    });
    let last = numbers.max();
    last.map_or(0, |last| last * count + form.txns_in(size(SequencerFile::Part(last))))
}

impl Log {
    /// How many commits the manifest has.
    pub(super) fn shipped(&self, manifest: &Manifest) -> u64 {
        txns_in(manifest, &self.table, self.header.form)
    }

    /// How many it lacks.
    pub(super) fn lacks(&self, manifest: &Manifest) -> u64 {
        self.header.max_txn.saturating_sub(self.shipped(manifest))
    }

    /// Whether the last records that the manifest has are those on the disk; `true` also where
    /// that cannot be told: beside the count, which changes, in the first block of a log without
    /// parts.
    pub(super) fn goes_on_from(&self, files: &dyn Files, manifest: &Manifest) -> io::Result<bool> {
        let (file, offset) = self.header.form.place(self.shipped(manifest));
        let path = self.table.sequencer(file);
        let (shipped, with_count) = (Shipped::of(manifest, &path), file == SequencerFile::Log);
        // Where a batch was full, a part of the next record came with the last block.
        let with_next = shipped.end() > offset + self.header.form.record();
        if with_next || (with_count && shipped.last_block() == 0) {
            return Ok(true);
        }
        // The server removes parts that were applied.
        let Some(file) = files.open(&path)? else { return Ok(true) };
        let range = shipped.last_block()..shipped.end();
        Ok(differing(&*file, shipped, range)?.is_empty())
    }

    /// The length of the log itself with so many commits.
    pub(super) fn size(&self, txns: u64) -> u64 {
        match self.header.form {
            Form::Whole => HEADER + txns * self.header.form.record(),
            Form::Parts(_) => HEADER,
        }
    }

    /// The files that the commits after `after` up to `upto` are in, and their lengths then.
    pub(super) fn sizes(&self, after: u64, upto: u64) -> Vec<(RelPath, u64)> {
        // Who sees the first commit must know what form the log has.
        let log = std::iter::once((self.path.clone(), self.size(upto)));
        let runs = self.header.form.runs((after, upto)).into_iter();
        let parts = runs.filter(|(file, _)| *file != SequencerFile::Log);
        log.chain(parts.map(|(part, range)| (self.table.sequencer(part), range.end))).collect()
    }
}

/// The structure version of the last commit; `None` if that was the table's end.
pub(super) fn structure(files: &dyn Files, table: &Table, log: &Log) -> io::Result<Option<u64>> {
    let Header { max_txn, form } = log.header;
    if max_txn == 0 {
        return Ok(Some(0));
    }
    let last = read_records(files, table, form, (max_txn - 1, max_txn))?;
    Ok(last.first().filter(|last| last.what != What::Drop).map(|last| last.structure))
}

/// The lengths of the changes of structure up to this version, and of their index.
pub(super) fn change_sizes(
    files: &dyn Files,
    table: &Table,
    structure: u64,
) -> io::Result<[(RelPath, u64); 2]> {
    let (data, index) =
        (table.sequencer(SequencerFile::Changes), table.sequencer(SequencerFile::ChangesIndex));
    let mut end = [0; 8];
    let read = match files.open(&index)? {
        Some(file) => file.read_at(structure * 8, &mut end)?,
        None => 0,
    };
    let len = if read == end.len() { i64_at(&end, 0).and_then(u64_of) } else { None };
    let len = len.ok_or_else(|| {
        let text = format!("{index} does not tell of structure version {structure}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    Ok([(data, len), (index, (structure + 1) * 8)])
}

/// All of a small file; `None` if there is none, or nothing in it.
pub(super) fn read_small(files: &dyn Files, path: &RelPath) -> io::Result<Option<Bytes>> {
    let Some(file) = files.open(path)? else { return Ok(None) };
    Ok(read_whole(&*file, SMALL_MAX)?.filter(|content| !content.is_empty()))
}

/// The structure version that a sequencer's `_meta` tells; `None` if it is being written.
pub fn structure_of(meta: &[u8]) -> Option<u64> {
    i32_at(meta, 0).filter(|len| *len > 0)?;
    i64_at(meta, 8).and_then(u64_of)
}

/// The sequencer's `_meta`, if it is whole and of this structure. It is written in place: its
/// length is 0 meanwhile, and what is read twice alike with a length was not being written.
pub(super) fn read_meta(
    files: &dyn Files,
    path: &RelPath,
    structure: u64,
) -> io::Result<Option<Bytes>> {
    let Some(first) = read_small(files, path)? else { return Ok(None) };
    let is_right = structure_of(&first) == Some(structure) && Meta::parse(&first).is_ok();
    let again = if is_right { read_small(files, path)? } else { None };
    Ok(again.filter(|again| *again == first))
}

/// Whether the manifest has the sequencer's `_meta` of this structure.
pub(super) fn has_meta(shipped: &Manifest, path: &RelPath, structure: u64) -> bool {
    Shipped::of(shipped, path).pointer().is_some_and(|meta| structure_of(meta) == Some(structure))
}
