//! `_event` and `_event.i` of a segment: what each of its commits is. Little-endian.
//!
//! ```text
//! _event    0 i32 maxTxn, in place   4 i32 format   8 records   then i32 -1 where the next begins
//! record    0 i32 length   4 i64 txn   12 i8 type   13 what the type has
//!           types 0 and 3, rows: 13 i64 first row, 21 i64 row after the last
//!           type 1, SQL: 13 i32 kind, 17 text (i32 length, UTF-16)
//!           type 5, a view's definition: 13 text
//! _event.i  i64 each: where record n begins, from 8 on; one more than there are records
//! ```
//!
//! `_event` never says what is committed: `_txnlog` does. (QuestDB: `WalEventWriter`,
//! `WalTxnType`.)

use std::io;

use super::super::OpenFile;
use super::bytes::{i32_at, i64_at, text_at, u64_of};

/// Where the first record begins.
pub const FIRST: u64 = 8;
/// The length of what stands where the next record will begin.
pub const SENTINEL: u64 = 4;

/// Types that bring rows (`WalTxnType.DATA`, `MAT_VIEW_DATA`).
const WITH_ROWS: [u8; 2] = [0, 3];
/// The type of a statement that is carried out again (`WalTxnType.SQL`).
const STATEMENT: u8 = 1;

/// The type of a view's definition (`WalTxnType.VIEW_DEFINITION`).
const DEFINITION: u8 = 5;

/// The events of a segment up to one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The length of `_event`, what stands for the next record included.
    pub len: u64,
    /// The length of `_event.i`.
    pub index_len: u64,
    /// How many rows the segment has; 0 if the records that were read brought none.
    pub rows: u64,
    /// The statements among the records that were read, each with its record's number.
    pub statements: Vec<(u64, String)>,
}

/// The definition that this record gives a view; `None` if it gives none.
pub fn definition(record: &[u8]) -> Option<String> {
    let is_definition = record.get(12) == Some(&DEFINITION);
    is_definition.then(|| text_at(record, 13))?.map(|(query, _)| query)
}

/// Where a record begins and ends: its entry of the index, and the next one.
pub fn bounds(entries: &[u8]) -> Option<(u64, u64)> {
    let bound = |at| i64_at(entries, at).and_then(u64_of);
    bound(0).zip(bound(8)).filter(|(start, end)| *start >= FIRST && start < end)
}

/// How many records an index of this length tells of.
pub fn records_in(index_len: u64) -> u64 {
    (index_len / 8).saturating_sub(1)
}

/// Where so many records end, and the next begins; `None` if the index does not tell.
pub fn end_of(index: &dyn OpenFile, records: u64) -> io::Result<Option<u64>> {
    let mut end = [0; 8];
    let read = index.read_at(records * 8, &mut end)?;
    Ok(if read == end.len() { i64_at(&end, 0).and_then(u64_of) } else { None })
}

/// The lengths up to and with record `last`, and the rows that records from `first` on bring.
/// `None` if the files do not have them.
pub fn read(
    events: &dyn OpenFile,
    index: &dyn OpenFile,
    (first, last): (u64, u64),
) -> io::Result<Option<Events>> {
    let Some(bounds) = read_bounds(index, first, last)? else { return Ok(None) };
    let (start, end) = bounds;
    let Some(len) = end.checked_sub(start) else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    if events.read_at(start, &mut bytes)? < bytes.len() {
        return Ok(None);
    }
    let Some((rows, statements)) = parse(&bytes) else { return Ok(None) };
    Ok(Some(Events { len: end + SENTINEL, index_len: (last + 2) * 8, rows, statements }))
}

/// Where record `first` begins and record `last` ends.
fn read_bounds(index: &dyn OpenFile, first: u64, last: u64) -> io::Result<Option<(u64, u64)>> {
    let bounds = end_of(index, first)?.zip(end_of(index, last + 1)?);
    Ok(bounds.filter(|(start, _)| *start >= FIRST))
}

/// The highest row after the last of these records, 0 if they bring none, and the statements among
/// them; `None` if these are not whole records.
fn parse(mut bytes: &[u8]) -> Option<(u64, Vec<(u64, String)>)> {
    let (mut rows, mut statements) = (0, Vec::new());
    while !bytes.is_empty() {
        let len = usize::try_from(i32_at(bytes, 0)?).ok().filter(|len| *len > 12)?;
        let record = bytes.get(..len)?;
        match record.get(12) {
            Some(kind) if WITH_ROWS.contains(kind) => {
                rows = rows.max(u64_of(i64_at(record, 21)?)?);
            }
            Some(&STATEMENT) => {
                let number = u64_of(i64_at(record, 4)?)?;
                statements.extend(text_at(record, 17).map(|(text, _)| (number, text)));
            }
            _ => {}
        }
        bytes = bytes.get(len..)?;
    }
    Some((rows, statements))
}
