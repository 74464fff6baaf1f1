//! QuestDB open source: the whole `db/` of a server.
//!
//! | file | idea |
//! |---|---|
//! | [`names`] | what a path says: table, sequencer, segment |
//! | [`txnlog`] | the log of a table: which commit is which event of which segment |
//! | [`event`] | the events of a segment |
//! | [`segment`] | the columns of a segment, and how long their files are |
//! | [`registry`] | which tables the server has |
//! | [`columns`] | the types of columns, in SQL |
//! | [`table`], [`seed`] | a table's own files, and those of a new one |
//! | [`alter`], [`view`] | a change that renames, a query that is a view |
//! | [`delivery`] | how a server on a replica takes the WAL in |
//! | [`settings`] | what a server's settings should be |
//! | `sequencer`, `parts` | those files on the disk, against what the manifest has |
//! | `wanted`, `capture` | what the store lacks, in the order in which replicas may see it, and what may not go yet |
//! | `left_out` | what is never shipped |
//! | `bytes` | numbers as QuestDB stores them |
//!
//! A server writes through `mmap`, and by default syncs nothing: no call tells of a commit. The
//! eight bytes that count them in `_txnlog` are watched instead, and what they count is made
//! durable before it is shipped.
//!
//! | path, `T` being `<name>~<id>` | role |
//! |---|---|
//! | `T/wal<n>/<m>/{_meta,_event,_event.i,*.d,*.i}` | Segment, its files sealed together |
//! | `T/txn_seq/{_txnlog,_txnlog.meta.d,_txnlog.meta.i}`, `T/txn_seq/_txn_parts/<n>` | Segment, open for ever |
//! | `T/txn_seq/{_meta,_meta.0,_mv,_view}` | Pointer |
//! | `.walfs/about.json`, which is walfs's own | Pointer |
//!
//! Everything else stays on its host: partitions, `_txn`, symbol files, the registry, tables
//! without WAL. What is in the volume is the files' own bytes up to what was committed: a count in
//! a header (`_txnlog`, `_event`) may be ahead of that. How many commits the volume has of a table,
//! the length of its log says ([`txnlog::Form::txns_in`]).

use std::io;

use crate::volume::{About, LeftOut, Manifest, RelPath};

use super::{Files, Layout, Look, Plan, Removal, Role};

pub mod alter;
pub mod bytes;
mod capture;
pub mod columns;
pub mod delivery;
pub mod event;
mod left_out;
pub mod names;
mod parts;
pub mod registry;
pub mod seed;
pub mod segment;
mod sequencer;
pub mod settings;
#[cfg(test)]
mod synthetic;
pub mod table;
pub mod txnlog;
pub mod view;
mod wanted;

use names::{Name, SequencerFile};

pub use sequencer::{structure_of, txns_in};

/// The layout.
#[derive(Clone, Copy, Debug)]
pub struct Questdb;

impl Questdb {
    /// Whether these files are a `db/`.
    pub fn recognises(files: &dyn Files) -> io::Result<bool> {
        let names = [registry::LAST_ID, "_upgrade.d"];
        let found = files.list(None)?;
        Ok(names.iter().all(|name| found.iter().any(|found| found.path.as_str() == *name)))
    }
}

impl Layout for Questdb {
    fn name(&self) -> &'static str {
        "questdb"
    }

    fn role(&self, path: &RelPath) -> Role {
        match Name::of(path) {
            None if *path == About::path() => Role::Pointer,
            None => Role::Local,
            Some(Name::Wal(..)) => Role::Segment,
            Some(Name::Sequencer(_, file)) => match file {
                SequencerFile::Log
                | SequencerFile::Part(_)
                | SequencerFile::Changes
                | SequencerFile::ChangesIndex => Role::Segment,
                SequencerFile::Meta
                | SequencerFile::FirstMeta
                | SequencerFile::MatView
                | SequencerFile::View => Role::Pointer,
            },
        }
    }

    fn holds(&self, directory: &RelPath) -> bool {
        names::holds(directory)
    }

    fn removal(&self, _path: &RelPath) -> Removal {
        Removal::Housekeeping
    }

    fn reuses(&self, _path: &RelPath) -> bool {
        // A writer cuts what it had allocated and not filled; a number is never given twice.
        false
    }

    fn signal(&self, path: &RelPath) -> Option<u64> {
        match Name::of(path) {
            Some(Name::Sequencer(_, SequencerFile::Log)) => Some(txnlog::MAX_TXN),
            _ => None,
        }
    }

    fn is_delivered(&self) -> bool {
        true
    }

    fn is_mapped(&self) -> bool {
        true
    }

    fn capture(&self, look: &Look<'_>) -> io::Result<Plan> {
        capture::capture(look)
    }

    fn left_out(&self, files: &dyn Files) -> io::Result<Vec<LeftOut>> {
        left_out::tables(files)
    }

    fn owes(&self, files: &dyn Files, path: &RelPath, shipped: &Manifest) -> io::Result<bool> {
        capture::owes(files, path, shipped)
    }
}
