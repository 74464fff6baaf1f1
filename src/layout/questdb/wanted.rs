//! What a look at a `db/` is about: tables, and segments that may be ready to be sealed.

use std::collections::BTreeSet;
use std::io;

use crate::layout::{Files, Kind, Look};
use crate::volume::{About, Content, RelPath};

use super::names::{Name, Segment, SequencerFile, Table};

/// What the look is about.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Tables whose log may have news.
    pub(super) tables: BTreeSet<Table>,
    /// Segments that may be ready to be sealed.
    pub(super) segments: BTreeSet<Segment>,
    /// What walfs itself has to say.
    pub(super) about: bool,
}

impl Wanted {
    /// All tables, and all segments that are open in the manifest.
    pub(super) fn everything(look: &Look<'_>) -> io::Result<Self> {
        let tables = tables(look.files)?;
        let mut wanted = Self { tables, about: true, ..Self::default() };
        for (path, file) in &look.shipped.files {
            if !matches!(file.content, Content::Open(_)) {
                continue;
            }
            match Name::of(path) {
                Some(Name::Wal(segment, _)) => _ = wanted.segments.insert(segment),
                Some(Name::Sequencer(table, SequencerFile::Log)) => _ = wanted.tables.insert(table),
                _ => {}
            }
        }
        Ok(wanted)
    }

    /// What these paths are about.
    pub(super) fn named(paths: &BTreeSet<RelPath>) -> Self {
        let about = paths.contains(&About::path());
        let mut wanted = Self { about, ..Self::default() };
        for name in paths.iter().filter_map(Name::of) {
            match name {
                Name::Sequencer(table, _) => _ = wanted.tables.insert(table),
                Name::Wal(segment, _) => _ = wanted.segments.insert(segment),
            }
        }
        wanted
    }
}

/// All tables that have a directory.
pub(super) fn tables(files: &dyn Files) -> io::Result<BTreeSet<Table>> {
    let directories = files.list(None)?.into_iter().filter(|found| found.kind == Kind::Directory);
    Ok(directories.filter_map(|found| Table::parse(found.path.as_str())).collect())
}
