//! What is said to the server in SQL.

use crate::layout::questdb::columns::sql_type;
use crate::layout::questdb::names::SequencerFile;
use crate::layout::questdb::table::{Column, Structure};
use crate::layout::questdb::view::{self, MatView, quoted};

/// What a table is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Table,
    /// A materialized view.
    MatView,
    /// A view.
    View,
}

/// Asks which tables are suspended: name, `t` or `f`, and why.
pub const SUSPENDED: &str = "SELECT name, suspended, errorMessage FROM wal_tables()";

impl Kind {
    /// What the registry calls it; `None` if it has no WAL.
    pub fn of(kind: i32) -> Option<Self> {
        Some(match kind {
            1 => Self::Table,
            2 => Self::MatView,
            3 => Self::View,
            _ => return None,
        })
    }

    /// The file of its definition.
    pub fn definition(self) -> Option<SequencerFile> {
        match self {
            Self::Table => None,
            Self::MatView => Some(SequencerFile::MatView),
            Self::View => Some(SequencerFile::View),
        }
    }

    /// Makes the server look at what was put in place; `None` where no statement does.
    pub fn nudge(self, name: &str) -> Option<String> {
        match self {
            Self::Table => Some(format!("ALTER TABLE {} RESUME WAL", quoted(name))),
            Self::MatView => Some(format!("ALTER MATERIALIZED VIEW {} RESUME WAL", quoted(name))),
            Self::View => None,
        }
    }

    /// Removes it.
    pub fn drop(self, name: &str) -> String {
        let what = match self {
            Self::Table => "TABLE",
            Self::MatView => "MATERIALIZED VIEW",
            Self::View => "VIEW",
        };
        format!("DROP {what} {}", quoted(name))
    }

    /// Makes it. Of a table only the columns are said, which the server keeps in mind: all else its
    /// files then tell. `None` if its definition cannot be read.
    pub fn create(self, name: &str, first_meta: &[u8], definition: &[u8]) -> Option<String> {
        match self {
            Self::Table => create_table(name, &Structure::parse(first_meta)?),
            Self::MatView => {
                let partitions = Structure::parse(first_meta)?.partition_unit()?;
                Some(MatView::parse(definition)?.create(name, partitions))
            }
            Self::View => {
                let query = view::query(definition)?;
                Some(format!("CREATE VIEW {} AS ({query})", quoted(name)))
            }
        }
    }
}

fn create_table(name: &str, structure: &Structure) -> Option<String> {
    let column =
        |column: &Column| Some(format!("{} {}", quoted(&column.name), sql_type(column.kind)?));
    let columns: Option<Vec<_>> = structure.columns.iter().map(column).collect();
    let timestamp = structure.columns.get(usize::try_from(structure.timestamp).ok()?)?;
    Some(format!(
        "CREATE TABLE {} ({}) TIMESTAMP({}) PARTITION BY {} WAL",
        quoted(name),
        columns?.join(", "),
        quoted(&timestamp.name),
        structure.partition_unit()?
    ))
}

/// Asks which version the server is.
pub const BUILD: &str = "SELECT build()";

/// The version that the answer tells: `Build Information: QuestDB 9.3.4, JDK …`.
pub fn version_of(rows: &[Vec<Option<String>>]) -> Option<String> {
    let text = rows.first()?.first()?.as_deref()?;
    let version = text.split_once("QuestDB ").map_or(text, |(_, rest)| rest);
    Some(version.split(',').next().unwrap_or(version).trim().to_owned())
}

/// Gives a table another name.
pub fn rename(name: &str, new_name: &str) -> String {
    format!("RENAME TABLE {} TO {}", quoted(name), quoted(new_name))
}

/// Gives a view another definition.
pub fn redefine(name: &str, query: &str) -> String {
    format!("ALTER VIEW {} AS ({query})", quoted(name))
}

/// Makes the server read a table's structure again.
pub fn hydrate(name: &str) -> String {
    format!("SELECT hydrate_table_metadata('{}')", name.replace('\'', "''"))
}

/// Names that the server does not tell apart are equal in this form.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Asks for the settings that say how long a sequencer stays open that nobody uses, in
/// milliseconds: they add up.
pub const CLOSES_AFTER: &str = "SELECT value FROM (SHOW PARAMETERS) WHERE property_path IN \
                                ('cairo.wal.inactive.writer.ttl', 'cairo.idle.check.interval')";
