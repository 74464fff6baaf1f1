//! `tables.d.<n>`: which tables there are. Little-endian.
//!
//! ```text
//! 0 i64 where the next entry goes   8 entries
//! entry  i32 0 added, -1 removed · name · directory · i32 id · i32 kind · 64 bytes, if added
//!        (texts: i32 length, UTF-16)
//! ```
//!
//! The highest n counts. A removal names the entry's table and directory; a rename is a removal and
//! an addition. (QuestDB: `TableNameRegistryStore`, `GrowOnlyTableNameRegistryStore`.)

use std::collections::BTreeMap;
use std::io;

use crate::layout::Files;
use crate::volume::RelPath;

use super::bytes::{i32_at, i64_at, text_at};
use super::names::Table;

/// Bytes that stand behind an added entry (`TABLE_NAME_ENTRY_RESERVED_LEN`).
const RESERVED: usize = 64;
/// A registry with a million tables is smaller.
const MAX: u64 = 1 << 30;

/// The file in which the server counts the ids that it gives to tables
/// (`TableUtils.TAB_INDEX_FILE_NAME`).
pub const LAST_ID: &str = "_tab_index.d";

/// A table that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is: 0 without WAL, 1 table, 2 materialized view, 3 view.
    pub kind: i32,
}

/// The registered tables by their directories; `None` if there is no registry.
pub fn read(files: &dyn Files) -> io::Result<Option<BTreeMap<String, Entry>>> {
    let number = |path: &RelPath| path.as_str().strip_prefix("tables.d.")?.parse::<u64>().ok();
    let found = files.list(None)?;
    let newest = found.iter().filter_map(|found| Some((number(&found.path)?, &found.path))).max();
    let Some((_, path)) = newest else { return Ok(None) };
    let Some(file) = files.open(path)? else { return Ok(None) };
    let bytes = crate::layout::shipped::read_whole(&*file, MAX)?;
    Ok(bytes.map(|bytes| parse(&bytes)))
}

/// The entries that give a table another name.
pub fn renamed(table: &Table, entry: &Entry, name: &str) -> Vec<u8> {
    let text = |text: &str| {
        let units: Vec<u16> = text.encode_utf16().collect();
        let len = i32::try_from(units.len()).unwrap_or(i32::MAX);
        let units: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
        [&len.to_le_bytes()[..], &units].concat()
    };
    let directory = text(table.directory().as_str());
    let numbers = [table.id().to_le_bytes(), entry.kind.to_le_bytes()].concat();
    let (removed, added) = ((-1_i32).to_le_bytes(), 0_i32.to_le_bytes());
    let parts: [&[u8]; 9] = [
        &removed,
        &text(&entry.name),
        &directory,
        &numbers,
        &added,
        &text(name),
        &directory,
        &numbers,
        &[0; RESERVED],
    ];
    parts.concat()
}

/// The tables that these bytes register, as far as they are whole.
pub fn parse(bytes: &[u8]) -> BTreeMap<String, Entry> {
    let mut tables = BTreeMap::new();
    let end = i64_at(bytes, 0).and_then(|end| usize::try_from(end).ok());
    let bytes = end.and_then(|end| bytes.get(..end)).unwrap_or_default();
    let mut at = 8;
    while let Some((added, directory, entry, next)) = entry_at(bytes, at) {
        if added {
            tables.insert(directory, entry);
        } else if tables.get(&directory).is_some_and(|known| known.name == entry.name) {
            tables.remove(&directory);
        }
        at = next;
    }
    tables
}

fn entry_at(bytes: &[u8], at: usize) -> Option<(bool, String, Entry, usize)> {
    let added = i32_at(bytes, at)? == 0;
    let (name, at) = text_at(bytes, at + 4)?;
    let (directory, at) = text_at(bytes, at)?;
    let kind = i32_at(bytes, at + 4)?;
    let next = at + 8 + if added { RESERVED } else { 0 };
    Some((added, directory, Entry { name, kind }, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(op: i32, name: &str, directory: &str) -> Vec<u8> {
        let text = |text: &str| {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [&i32::try_from(text.len()).unwrap().to_le_bytes()[..], &units].concat()
        };
        let numbers = [7_i32.to_le_bytes(), 1_i32.to_le_bytes()].concat();
        let reserved = if op == 0 { vec![0; RESERVED] } else { Vec::new() };
        [&op.to_le_bytes()[..], &text(name), &text(directory), &numbers, &reserved].concat()
    }

    #[test]
    fn a_renamed_table_has_its_new_name_and_a_dropped_one_is_gone() {
        let entries = [
            entry(0, "a", "a~1"),
            entry(0, "b", "b~2"),
            entry(-1, "a", "a~1"),
            entry(0, "c", "a~1"),
            entry(-1, "b", "b~2"),
        ]
        .concat();
        let end = i64::try_from(entries.len() + 8).unwrap();
        let bytes = [&end.to_le_bytes()[..], &entries, b"not yet"].concat();
        let tables = parse(&bytes);
        assert_eq!(tables.len(), 1);
        assert_eq!(tables["a~1"], Entry { name: "c".into(), kind: 1 });
    }

    #[test]
    fn a_table_that_is_renamed_here_is_registered_once_under_its_new_name() {
        let table = Table::parse("a~7").unwrap();
        let before = Entry { name: "a".into(), kind: 1 };
        let entries = [entry(0, "a", "a~7"), renamed(&table, &before, "ü")].concat();
        let end = i64::try_from(entries.len() + 8).unwrap();
        let tables = parse(&[&end.to_le_bytes()[..], &entries].concat());
        assert_eq!(tables.len(), 1);
        assert_eq!(tables["a~7"], Entry { name: "ü".into(), kind: 1 });
    }
}
