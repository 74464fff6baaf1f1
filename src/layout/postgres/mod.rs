//! PostgreSQL's `pg_wal`, versions 13 to 18, any `wal_segment_size`.
//!
//! | file | idea |
//! |---|---|
//! | [`names`] | what a file's name says: timeline, place, kind |
//! | [`page`] | the header of a page, and when a page is what its place says |
//! | `record` | a record as far as it proves itself |
//! | `log` | the segments of a timeline as one stretch of pages |
//! | `end` | where the log ends, as PostgreSQL's recovery would find it |
//! | `history` | where a timeline came from |
//! | `capture` | what the store lacks, in the order in which replicas may see it |
//! | [`synthetic`] | WAL without a PostgreSQL, for tests and the simulation |
//!
//! Files that are not in this table stay on their host: `xlogtemp.*`, `RECOVERYXLOG`,
//! `archive_status/`, `summaries/` and whatever tools leave behind.
//!
//! | name | role |
//! |---|---|
//! | 24 digits | Segment. Recycled and prepared files have no valid page and are not seen |
//! | 24 digits`.partial` | Segment, the end of a timeline that was left |
//! | 8 digits`.history`, 24 digits`.`8 digits`.backup` | Pointer |

use std::io;

use crate::volume::{LeftOut, Manifest, RelPath};

use super::{Files, Kind, Layout, Look, Plan, Removal, Role};

mod capture;
mod end;
mod history;
mod log;
pub mod names;
pub mod page;
mod record;
pub mod synthetic;

use log::{Kept, Log};
use names::{Lsn, Name};

/// The layout.
#[derive(Clone, Copy, Debug)]
pub struct Postgres;

impl Postgres {
    /// Whether these files are a `pg_wal`.
    pub fn recognises(files: &dyn Files) -> io::Result<bool> {
        for found in files.list(None)? {
            if found.kind == Kind::Directory && found.path.as_str() == "archive_status" {
                return Ok(true);
            }
            if let Some(Name::Segment(name)) = Name::of(&found.path)
                && names::is_segment_size(found.size)
                && let Some(number) = name.number(found.size)
            {
                let mut log = Log::new(files, name.timeline, Kept::Whole, found.size);
                if log.header(log.start(number))?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Layout for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn role(&self, path: &RelPath) -> Role {
        match Name::of(path) {
            Some(Name::Segment(_) | Name::Partial(_)) => Role::Segment,
            Some(Name::History(_) | Name::Backup) => Role::Pointer,
            None => Role::Local,
        }
    }

    fn holds(&self, _directory: &RelPath) -> bool {
        false
    }

    fn removal(&self, _path: &RelPath) -> Removal {
        Removal::Housekeeping
    }

    fn reuses(&self, _path: &RelPath) -> bool {
        true
    }

    fn signal(&self, _path: &RelPath) -> Option<u64> {
        None
    }

    fn is_delivered(&self) -> bool {
        false
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn capture(&self, look: &Look<'_>) -> io::Result<Plan> {
        capture::capture(look)
    }

    fn left_out(&self, _files: &dyn Files) -> io::Result<Vec<LeftOut>> {
        Ok(Vec::new())
    }

    fn owes(&self, files: &dyn Files, path: &RelPath, shipped: &Manifest) -> io::Result<bool> {
        capture::owes(files, path, shipped)
    }
}

/// Where the log ends that contains the page at `from`: where its next record will begin. `None`
/// if there is nothing whole from there on.
pub fn end_of_log(
    files: &dyn Files,
    timeline: u32,
    segment_size: u64,
    from: Lsn,
) -> io::Result<Option<Lsn>> {
    end::find(&mut Log::new(files, timeline, Kept::Whole, segment_size), from)
}
