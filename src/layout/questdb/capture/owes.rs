//! What may not go from the disk yet. Asked before the database's own call goes on: looks at the
//! one table that the file belongs to.

use std::io;

use crate::layout::questdb::names::Name;
use crate::layout::questdb::sequencer;
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
            Ok(sequencer::open(files, &table)?.is_some_and(|log| log.lacks(shipped) > 0))
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
            let unshipped = (log.shipped(shipped), log.header.max_txn);
            let records = read_records(files, &segment.table, log.header.form, unshipped)?;
            Ok(records
                .iter()
                .any(|record| segment_of(&segment.table, record).as_ref() == Some(&segment)))
        }
    }
}
