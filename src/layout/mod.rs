//! What a database's files mean. The only place that knows a database. A layout sees files
//! through a read-only view ([`Files`]), so that a recorded directory is a complete test; it does
//! no network I/O, reads no clock, and writes nothing.
//!
//! | file | idea |
//! |---|---|
//! | [`plan`] | what a layout is asked and what it answers |
//! | [`files`] | the read-only view of the primary's files |
//! | `shipped` | which blocks of a file the manifest lacks |
//! | [`postgres`] | PostgreSQL's `pg_wal` |
//! | [`questdb`] | QuestDB's `db/` |
//! | [`generic`] | any other files that grow |
//! | [`recorded`] | files in memory: recorded directories, tests, the simulation |

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use crate::volume::{LeftOut, Manifest, RelPath};

pub mod files;
pub mod generic;
pub mod plan;
pub mod postgres;
pub mod questdb;
pub mod recorded;
mod shipped;
#[cfg(test)]
mod shipping;
#[cfg(test)]
mod traces;

pub use files::{FileId, Files, Found, Kind, OpenFile};
pub use plan::{Look, Plan, Removal, Role, Scope, Step};
pub(crate) use shipped::frames_agree;

/// The meaning of one database's files.
pub trait Layout: Debug + Send + Sync {
    /// What operators call it: the value of `layout=`.
    fn name(&self) -> &'static str;

    /// What this path is. Depends on nothing but the path.
    fn role(&self, path: &RelPath) -> Role;

    /// Whether a directory of this path may hold anything that is not local. What may not is never
    /// looked into, however much there is in it.
    fn holds(&self, directory: &RelPath) -> bool;

    /// What a removal of this path by the database means.
    fn removal(&self, path: &RelPath) -> Removal;

    /// Whether the database ever uses a file of this path for something else, by cutting it or by
    /// giving it another name: then what the store lacks of it is kept first.
    fn reuses(&self, path: &RelPath) -> bool;

    /// Where in this file eight bytes are that change with each commit, if the database writes
    /// through `mmap` and no call tells of it. A hint: it says when to look.
    fn signal(&self, path: &RelPath) -> Option<u64>;

    /// Whether a replica's database takes the log in by delivery, rather than from its own directory.
    fn is_delivered(&self) -> bool;

    /// Whether the database writes its log through `mmap`: its bytes are seen in time, and in
    /// order, only where the kernel itself writes the local files.
    fn is_mapped(&self) -> bool;

    /// What of these files the store lacks, in the order in which replicas may see it.
    /// Complete for what `look.scope` names; it may leave later steps out, never earlier ones.
    fn capture(&self, look: &Look<'_>) -> io::Result<Plan>;

    /// What these files have that is never shipped, and that an operator would look for on a
    /// replica.
    fn left_out(&self, files: &dyn Files) -> io::Result<Vec<LeftOut>>;

    /// Whether this path has bytes that matter and that `shipped` lacks. Asked before the
    /// database's removal, rename or overwrite of a name destroys them.
    fn owes(&self, files: &dyn Files, path: &RelPath, shipped: &Manifest) -> io::Result<bool>;
}

/// The layout that operators call so.
pub fn by_name(name: &str) -> Option<Arc<dyn Layout>> {
    match name {
        "postgres" => Some(Arc::new(postgres::Postgres)),
        "questdb" => Some(Arc::new(questdb::Questdb)),
        "generic" => Some(Arc::new(generic::Generic::built_in())),
        _ => None,
    }
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 3] = ["postgres", "questdb", "generic"];

/// The layout that these files look like; `None` if no database is recognised. Never `generic`:
/// files that merely grow look like anything, so it has to be asked for.
pub fn recognise(files: &dyn Files) -> io::Result<Option<Arc<dyn Layout>>> {
    Ok(if postgres::Postgres::recognises(files)? {
        Some(Arc::new(postgres::Postgres))
    } else if questdb::Questdb::recognises(files)? {
        Some(Arc::new(questdb::Questdb))
    } else {
        None
    })
}
