//! The names below a QuestDB `db/` and what they say. Reads no file.
//!
//! ```text
//! trades~3/                        a table: its name when it was made, `~`, its id
//!   txn_seq/_txnlog …              the sequencer: which commit is which part of which segment
//!   wal7/2/{_event,price.d,…}      segment 2 of the WAL that one writer wrote
//! ```
//!
//! (QuestDB: `WalUtils`, `TableUtils.getTableDir`.)

use std::fmt;

use crate::volume::RelPath;

/// What a path is to the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A file of a table's sequencer.
    Sequencer(Table, SequencerFile),
    /// A file of a WAL segment.
    Wal(Segment, String),
}

/// A table's directory, such as `trades~3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(RelPath);

/// A directory of the files that one writer filled together, such as `trades~3/wal7/2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Whose commits it holds.
    pub table: Table,
    /// The writer's number; never used again.
    pub wal: u32,
    /// Which of that writer's segments.
    pub segment: u32,
}

/// The files of `txn_seq` that a replica needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SequencerFile {
    /// `_txnlog`: the commits, in order.
    Log,
    /// `_txn_parts/<n>`: the commits, where the log has parts.
    Part(u64),
    /// `_txnlog.meta.d`: changes of the table's structure.
    Changes,
    /// `_txnlog.meta.i`: where each of them ends.
    ChangesIndex,
    /// `_meta`: the table's structure now.
    Meta,
    /// `_meta.0`: its structure when it was made.
    FirstMeta,
    /// `_mv`: what a materialized view selects.
    MatView,
    /// `_view`: what a view selects.
    View,
}

/// The directory of a table's sequencer.
const SEQUENCER: &str = "txn_seq";
/// The directory of a log's parts, in there.
const PARTS: &str = "_txn_parts";

impl Name {
    /// The meaning of this path, if it has one for the volume.
    pub fn of(path: &RelPath) -> Option<Self> {
        let (table, rest) = path.as_str().split_once('/')?;
        let table = Table::parse(table)?;
        if let Some(file) = rest.strip_prefix(SEQUENCER).and_then(|rest| rest.strip_prefix('/')) {
            return SequencerFile::parse(file).map(|file| Self::Sequencer(table, file));
        }
        let mut parts = rest.splitn(3, '/');
        let wal = number(parts.next()?.strip_prefix("wal")?)?;
        let segment = number(parts.next()?)?;
        let file = parts.next().filter(|file| is_segment_file(file))?;
        Some(Self::Wal(Segment { table, wal, segment }, file.to_owned()))
    }
}

/// Whether a directory of this path may hold files with a meaning: a table, its sequencer, its WAL.
pub fn holds(directory: &RelPath) -> bool {
    let mut parts = directory.as_str().splitn(3, '/');
    if parts.next().and_then(Table::parse).is_none() {
        return false;
    }
    match (parts.next(), parts.next()) {
        (None, _) | (Some(SEQUENCER), None) => true,
        (Some(SEQUENCER), Some(below)) => below == PARTS,
        (Some(wal), below) => {
            let is_wal = wal.strip_prefix("wal").is_some_and(|wal| number(wal).is_some());
            is_wal && below.is_none_or(|below| number(below).is_some())
        }
    }
}

/// Columns, their offsets, events, structure.
fn is_segment_file(name: &str) -> bool {
    let has_end = |end: &str| name.strip_suffix(end).is_some_and(|column| !column.is_empty());
    !name.contains('/') && (matches!(name, "_event" | "_meta") || has_end(".d") || has_end(".i"))
}

impl Table {
    /// The table whose directory is called so.
    pub fn parse(directory: &str) -> Option<Self> {
        let (name, id) = directory.rsplit_once('~')?;
        number(id)?;
        (!name.is_empty() && !directory.contains('/')).then(|| RelPath::new(directory).map(Self))?
    }

    /// Its directory.
    pub fn directory(&self) -> &RelPath {
        &self.0
    }

    /// What it was called when it was made.
    pub fn first_name(&self) -> &str {
        self.0.as_str().rsplit_once('~').map_or(self.0.as_str(), |(name, _)| name)
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.0.as_str().rsplit_once('~').and_then(|(_, id)| number(id)).unwrap_or(0)
    }

    /// A file of its sequencer.
    pub fn sequencer(&self, file: SequencerFile) -> RelPath {
        self.sequencer_file(&file.to_string())
    }

    /// A file of its sequencer by its name, perhaps one that no replica needs.
    pub fn sequencer_file(&self, name: &str) -> RelPath {
        RelPath::new(&format!("{self}/{SEQUENCER}/{name}")).expect("a table's directory is a path")
    }

    /// The directory of its log's parts.
    pub fn parts(&self) -> RelPath {
        self.sequencer_file(PARTS)
    }
}

impl Segment {
    /// Its directory.
    pub fn directory(&self) -> RelPath {
        RelPath::new(&self.to_string()).expect("a table's directory is a path")
    }

    /// A file in it; `None` if no file can have this name.
    pub fn file(&self, name: &str) -> Option<RelPath> {
        self.directory().join(name)
    }
}

impl SequencerFile {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "_txnlog" => Self::Log,
            "_txnlog.meta.d" => Self::Changes,
            "_txnlog.meta.i" => Self::ChangesIndex,
            "_meta" => Self::Meta,
            "_meta.0" => Self::FirstMeta,
            "_mv" => Self::MatView,
            "_view" => Self::View,
            _ => {
                let part = name.strip_prefix(PARTS)?.strip_prefix('/')?;
                Self::Part(u64::from(number(part)?))
            }
        })
    }
}

/// Digits only, as the database writes them.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    let canonical = text == "0" || !text.starts_with('0');
    (plain && canonical).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/wal{}/{}", self.table, self.wal, self.segment)
    }
}

impl fmt::Display for SequencerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("_txnlog"),
            Self::Part(number) => write!(f, "{PARTS}/{number}"),
            Self::Changes => f.write_str("_txnlog.meta.d"),
            Self::ChangesIndex => f.write_str("_txnlog.meta.i"),
            Self::Meta => f.write_str("_meta"),
            Self::FirstMeta => f.write_str("_meta.0"),
            Self::MatView => f.write_str("_mv"),
            Self::View => f.write_str("_view"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<Name> {
        Name::of(&RelPath::new(text).unwrap())
    }

    #[test]
    fn names_say_what_files_are() {
        let table = Table::parse("a~b~12").unwrap();
        assert_eq!((table.first_name(), table.id()), ("a~b", 12));
        let segment = Segment { table: table.clone(), wal: 7, segment: 0 };
        assert_eq!(name("a~b~12/wal7/0/x y.d"), Some(Name::Wal(segment.clone(), "x y.d".into())));
        assert_eq!(name("a~b~12/wal7/0/_event.i"), Some(Name::Wal(segment, "_event.i".into())));
        for file in [SequencerFile::Log, SequencerFile::Part(3), SequencerFile::FirstMeta] {
            let path = table.sequencer(file);
            assert_eq!(Name::of(&path), Some(Name::Sequencer(table.clone(), file)), "{path}");
        }
    }

    #[test]
    fn partitions_are_never_looked_into() {
        let holds = |text: &str| holds(&RelPath::new(text).unwrap());
        for directory in ["a~1", "a~1/txn_seq", "a~1/txn_seq/_txn_parts", "a~1/wal7", "a~1/wal7/0"]
        {
            assert!(holds(directory), "{directory}");
        }
        for directory in
            ["telemetry", "a~1/2024-01-01", "a~1/wal7/0/x", "a~1/txn_seq/x", "a~1/walx"]
        {
            assert!(!holds(directory), "{directory}");
        }
    }

    #[test]
    fn what_belongs_to_one_host_has_no_meaning() {
        for other in [
            "tables.d.0",
            "telemetry/_txn",
            "a~1/_txn",
            "a~1/2024-01-01/x.d",
            "a~1/txn_seq/_wal_index.d",
            "a~1/txn_seq/_txn_parts",
            "a~1/wal1/s.c",
            "a~1/wal1/0/s.k",
            "a~1/wal1/0/x/y.d",
            "a~1/wal01/0/x.d",
            "a~1/wal1.lock",
            "a~1/wal1/0/.d",
            "~1/wal1/0/x.d",
            "a~/wal1/0/x.d",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
