//! What may not go from the disk yet. Asked before the database's own call goes on: looks at the
//! one table that the file belongs to.

use std::io;

use crate::layout::questdb::names::{Name, Table};
use crate::layout::questdb::sequencer::{self, Log};
use crate::layout::questdb::txnlog::read_records;
use crate::layout::shipped::Shipped;
use crate::layout::{Files, Look, Scope};
use crate::volume::{Manifest, RelPath};

use super::{Capture, segment_of};

/// Whether commits that the manifest lacks need this file, or it could be sealed.
pub(in crate::layout::questdb) fn owes(
    files: &dyn Files,
    path: &RelPath,
    shipped: &Manifest,
) -> io::Result<bool> {
    let look = Look { files, shipped, scope: Scope::All };
    match Name::of(path) {
        None => Ok(false),
        Some(Name::Sequencer(table, _)) => {
            let Some(log) = sequencer::open(files, &table)? else { return Ok(false) };
            Ok(log.lacks(shipped) > 0 && !came_and_went(files, &table, &log, shipped)?)
        }
        Some(Name::Wal(segment, _)) => {
            if Shipped::of(shipped, path).is_sealed() {
                return Ok(false);
            }
            if Shipped::of(shipped, path).file().is_some() {
                let mut capture = Capture::new(&look);
                capture.seal(&segment)?;
                if !capture.steps.is_empty() {
                    return Ok(true);
                }
            }
            let Some(log) = sequencer::open(files, &segment.table)? else { return Ok(false) };
            if came_and_went(files, &segment.table, &log, shipped)? {
                return Ok(false);
            }
            let unshipped = (log.shipped(shipped), log.header.max_txn);
            let records = read_records(files, &segment.table, log.header.form, unshipped)?;
            Ok(records
                .iter()
                .any(|record| segment_of(&segment.table, record).as_ref() == Some(&segment)))
        }
    }
}

/// Whether the table came and went before anything of it was shipped: no replica will know it.
fn came_and_went(
    files: &dyn Files,
    table: &Table,
    log: &Log,
    shipped: &Manifest,
) -> io::Result<bool> {
    Ok(!shipped.files.contains_key(&log.path) && sequencer::is_over(files, table, log)?)
}
