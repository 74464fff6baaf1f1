//! Records and changes of structure put in place: what the count in the log's header will name.

use crate::layout::questdb::alter;
use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::txnlog::Form;

use super::files::write_where_different;
use super::ground::Ground;
use super::source::Source;
use super::trouble::Trouble;

/// Puts the changes of structure up to this one in place.
pub(super) async fn put_changes(
    ground: &Ground,
    source: &Source,
    table: &Table,
    structure: u64,
) -> Result<(), Trouble> {
    let index = table.sequencer(SequencerFile::ChangesIndex);
    let index = source.read(&index, 0..(structure + 1) * 8).await?;
    let Some((_, end)) = alter::bounds(&index, structure.max(1)) else {
        return Err(Trouble::Gap(format!("{table}: the change to structure {structure}")));
    };
    let end = u64::try_from(end).unwrap_or(0);
    let changes = source.read(&table.sequencer(SequencerFile::Changes), 0..end).await?;
    for (file, bytes) in [(SequencerFile::Changes, changes), (SequencerFile::ChangesIndex, index)] {
        let file = ground.root.owner.open(&ground.root.sequencer(table, file))?;
        write_where_different(&file, 0, &bytes)?;
    }
    Ok(())
}

/// Puts the records of the commits after the first of these up to the second in place; `bytes`
/// begins with them.
pub(super) fn put_records(
    ground: &Ground,
    table: &Table,
    form: Form,
    txns: (u64, u64),
    mut bytes: &[u8],
) -> Result<(), Trouble> {
    for (file, range) in form.runs(txns) {
        let path = ground.root.sequencer(table, file);
        if let Some(directory) = path.parent() {
            ground.root.owner.make_directory(directory)?;
        }
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let Some((now, rest)) = bytes.split_at_checked(len) else {
            return Err(Trouble::Later("records are missing".to_owned()));
        };
        write_where_different(&ground.root.owner.open(&path)?, range.start, now)?;
        bytes = rest;
    }
    Ok(())
}
