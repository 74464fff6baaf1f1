//! The files of a table that nothing was ever committed to, as the server makes them: what a
//! replica's server must find to apply the table's commits from the first one on. All of it
//! follows from `txn_seq/_meta.0`, which keeps the structure of a new table for ever.
//!
//! ```text
//! _meta                _meta.0, up to a page           _cv, _todo_    zeros (not of a view)
//! <symbol>.{o,c,k,v}   empty symbol maps               _name          the name, a zero
//! _txn                 a header, an empty record       txn_seq/…      an empty log
//! ```
//!
//! (QuestDB: `TableUtils.createTableOrViewOrMatViewFiles`, `SequencerMetadata.create`.)

use bytes::Bytes;

use super::names::SequencerFile;
use super::table::{Column, Structure};
use super::txnlog::{self, Form, Header};

/// Files that are mapped have whole pages.
const PAGE: usize = 4096;
/// Of how many bytes the header of an empty `.k` is (`BitmapIndexWriter.initKeyMemory`).
const KEYS: usize = 64;
/// Stands in the `_txn` of every new table (`EMPTY_TABLE_LAG_CHECKSUM`).
const EMPTY_LAG: i64 = 0x01b4_d89e;

/// What a new table is.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Its name when it was made.
    pub name: &'a str,
    /// `txn_seq/_meta.0`.
    pub first_meta: &'a [u8],
    /// The beginning of `txn_seq/_txnlog`: its version, when it was made.
    pub log: &'a [u8],
    /// What it selects, if it is a view.
    pub definition: Option<(SequencerFile, &'a [u8])>,
}

/// A file, by its path from the table's directory.
pub type SeedFile = (String, Bytes);

impl New<'_> {
    /// Its files. The log comes last: it tells this table from every other one of its name, so
    /// that whoever finds it finds the others, too. `None` if the structure cannot be read.
    pub fn files(&self) -> Option<Vec<SeedFile>> {
        let structure = Structure::parse(self.first_meta)?;
        let symbols: Vec<_> = structure.columns.iter().filter(|it| it.symbol.is_some()).collect();
        let view = matches!(self.definition, Some((SequencerFile::View, _)));
        let mut files = vec![file("_meta", paged(self.first_meta))];
        for (column, (capacity, cached)) in
            symbols.iter().filter_map(|column| Some((column, column.symbol?)))
        {
            files.extend(symbol(column, capacity, cached));
        }
        if !view {
            files.push(file("_cv", paged(&[])));
            files.push(file("_todo_", paged(&[])));
        }
        files.push(file("_name", [text(self.name), vec![0]].concat()));
        if let Some((kind, definition)) = self.definition {
            files.push(file(&kind.to_string(), definition.to_vec()));
            files.push(file(&format!("txn_seq/{kind}"), definition.to_vec()));
        }
        files.push(file("_txn", empty_txn(symbols.len())?));
        files.push(file("txn_seq/_meta.0", self.first_meta.to_vec()));
        files.push(file("txn_seq/_meta", paged(&sequencer_meta(&structure, 0)?)));
        files.push(file("txn_seq/_wal_index.d", paged(&[])));
        files.push(file("txn_seq/_txnlog.meta.d", paged(&[])));
        files.push(file("txn_seq/_txnlog.meta.i", paged(&[])));
        files.push(file("txn_seq/_txnlog", self.empty_log()?));
        Some(files)
    }

    fn empty_log(&self) -> Option<Vec<u8>> {
        let mut log = self.log.get(..usize::try_from(txnlog::HEADER).ok()?)?.to_vec();
        let at = usize::try_from(txnlog::MAX_TXN).ok()?;
        log.get_mut(at..at + 8)?.fill(0);
        Some(match Header::parse(&log)?.form {
            Form::Whole => paged(&log),
            Form::Parts(_) => log,
        })
    }
}

/// `txn_seq/_meta` of a table with this structure, of this structure version
/// (`SequencerMetadata.syncToMetaFile`).
pub fn sequencer_meta(structure: &Structure, version: i64) -> Option<Vec<u8>> {
    let count = i32::try_from(structure.columns.len()).ok()?;
    let mut out = Vec::new();
    out.extend([0; 8]);
    out.extend(version.to_le_bytes());
    for number in [count, structure.timestamp, structure.id] {
        out.extend(number.to_le_bytes());
    }
    out.push(0);
    let mut sum = i64::from(count);
    for Column { name, kind, .. } in &structure.columns {
        out.extend(kind.to_le_bytes());
        out.extend(text(name));
        sum = sum.wrapping_mul(31).wrapping_add(i64::from(*kind));
        sum = sum.wrapping_mul(31).wrapping_add(i64::from(java_hash(name)));
    }
    out.extend(sum.to_le_bytes());
    out.extend(count.to_le_bytes());
    (0..count).for_each(|index| out.extend(index.to_le_bytes()));
    let size = i32::try_from(out.len()).ok()?;
    out.get_mut(..4)?.copy_from_slice(&size.to_le_bytes());
    Some(out)
}

/// `String.hashCode`.
fn java_hash(text: &str) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, step)
}

fn symbol(column: &Column, capacity: i32, cached: bool) -> [SeedFile; 4] {
    let mut offsets = vec![0; 64];
    put(&mut offsets, 0, &capacity.to_le_bytes());
    put(&mut offsets, 4, &[u8::from(cached)]);
    let mut keys = vec![0; KEYS];
    // A signature; a sequence number at both ends; two values in a block; no key yet.
    put(&mut keys, 0, &[0xfa, 1]);
    put(&mut keys, 17, &[2]);
    put(&mut keys, 29, &[1]);
    put(&mut keys, 37, &(-1_i64).to_le_bytes());
    let name = &column.name;
    [
        file(&format!("{name}.o"), paged(&offsets)),
        file(&format!("{name}.c"), Vec::new()),
        file(&format!("{name}.k"), paged(&keys)),
        file(&format!("{name}.v"), Vec::new()),
    ]
}

/// `_txn` (`TableUtils.createTxn`, `resetTxn`).
fn empty_txn(symbols: usize) -> Option<Vec<u8>> {
    const RECORD: usize = 64;
    let mut out = vec![0; PAGE.max((RECORD + 136 + symbols * 8).next_multiple_of(PAGE))];
    put(&mut out, 8, &i32::try_from(RECORD).ok()?.to_le_bytes());
    put(&mut out, 12, &i32::try_from(symbols * 8).ok()?.to_le_bytes());
    put(&mut out, RECORD + 24, &i64::MAX.to_le_bytes());
    put(&mut out, RECORD + 32, &i64::MIN.to_le_bytes());
    put(&mut out, RECORD + 88, &EMPTY_LAG.to_le_bytes());
    put(&mut out, RECORD + 100, &i64::MAX.to_le_bytes());
    put(&mut out, RECORD + 108, &i64::MIN.to_le_bytes());
    put(&mut out, RECORD + 128, &i32::try_from(symbols).ok()?.to_le_bytes());
    Some(out)
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let target = out.get_mut(at..at + bytes.len()).expect("the template has room");
    target.copy_from_slice(bytes);
}

fn text(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let count = i32::try_from(units.len() / 2).unwrap_or(i32::MAX);
    [&count.to_le_bytes()[..], &units].concat()
}

fn paged(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().max(1).next_multiple_of(PAGE), 0);
    out
}

fn file(path: &str, bytes: Vec<u8>) -> SeedFile {
    (path.to_owned(), bytes.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Directories that QuestDB 9.3.4 made: path, length, bytes without the zeros at the end.
    const MADE: [(&str, &str, Option<SequencerFile>); 4] = [
        ("plain", include_str!("seed/plain.txt"), None),
        ("rich", include_str!("seed/rich.txt"), None),
        ("naïve 日本", include_str!("seed/unicode.txt"), None),
        ("v1", include_str!("seed/view.txt"), Some(SequencerFile::View)),
    ];

    fn trace(text: &str) -> BTreeMap<String, Vec<u8>> {
        let file = |line: &str| {
            let [path, len, hex] = line.split('\t').collect::<Vec<_>>()[..] else { panic!() };
            let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
            bytes.resize(len.parse().unwrap(), 0);
            (path.to_owned(), bytes)
        };
        text.lines().map(file).collect()
    }

    #[test]
    fn a_seed_is_what_the_server_makes() {
        for (name, text, kind) in MADE {
            let made = trace(text);
            let definition = kind.map(|kind| (kind, &*made[&format!("txn_seq/{kind}")]));
            let (first_meta, log) = (&made["txn_seq/_meta.0"], &made["txn_seq/_txnlog"]);
            let new = New { name, first_meta, log, definition };
            let seed: BTreeMap<_, _> = new.files().unwrap().into_iter().collect();
            assert_eq!(seed.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>(), "{name}");
            for (path, bytes) in &made {
                assert!(*seed[path] == **bytes, "{name}: {path}");
            }
        }
    }

    #[test]
    fn a_structure_that_is_cut_has_no_seed() {
        let made = trace(MADE[1].1);
        let whole = &made["txn_seq/_meta.0"];
        for len in [0, 3, 127, 500, whole.len() - 1] {
            let first_meta = &whole[..len];
            let new = New { name: "x", first_meta, log: &[0; 76], definition: None };
            assert!(new.files().is_none(), "{len}");
        }
    }
}
