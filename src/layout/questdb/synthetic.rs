//! The files of a QuestDB server without one: writes what a server writes, in its order, for tests.
//! Columns: a designated timestamp `ts`, a long `v`, a varchar `s`.

use std::collections::BTreeMap;

use crate::layout::recorded::Recorded;

use super::names::{Segment, SequencerFile, Table};

/// Writers allocate so much at a time.
const PAGE: u64 = 64 << 10;

/// What a writer knows of its segment.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    rows: u64,
    text: u64,
    events: u64,
    end: u64,
}

/// A server that writes its files.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) files: Recorded,
    open: BTreeMap<Segment, Open>,
    txns: BTreeMap<Table, u64>,
    structures: BTreeMap<Table, u64>,
    /// How many commits a part of the log has; 0: it has no parts.
    pub(super) part: u64,
}

pub(super) fn table(text: &str) -> Table {
    Table::parse(text).unwrap()
}

pub(super) fn segment(text: &str, wal: u32, segment: u32) -> Segment {
    Segment { table: table(text), wal, segment }
}

impl Server {
    /// A server without tables.
    pub(super) fn new() -> Self {
        let mut server = Self::default();
        server.files.write("_tab_index.d", 0, &[0; 8]);
        server.files.write("_upgrade.d", 0, &[0; 8]);
        server.register(&[]);
        server
    }

    /// These are the tables that the server knows.
    pub(super) fn register(&mut self, tables: &[&str]) {
        let text = |text: &str| {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [&i32::try_from(text.len()).unwrap().to_le_bytes()[..], &units].concat()
        };
        let entry = |name: &&str| {
            let kind = [1_i32.to_le_bytes(), 1_i32.to_le_bytes()].concat();
            [&0_i32.to_le_bytes()[..], &text(name), &text(name), &kind, &[0; 64]].concat()
        };
        let entries = tables.iter().map(entry).collect::<Vec<_>>().concat();
        let end = i64::try_from(entries.len() + 8).unwrap();
        self.files.write("tables.d.0", 0, &[&end.to_le_bytes()[..], &entries].concat());
    }

    /// Makes a table, but for the file that is made last.
    pub(super) fn begin_table(&mut self, name: &str) {
        let table = table(name);
        self.put(&table, SequencerFile::FirstMeta, 0, &meta(0, &[]));
        self.put(&table, SequencerFile::Meta, 0, &meta(0, &[]));
        let mut header = vec![0; 4096];
        header[0] = u8::from(self.part > 0);
        header[20..24].copy_from_slice(&u32::try_from(self.part).unwrap().to_le_bytes());
        self.put(&table, SequencerFile::Log, 0, &header);
        self.put(&table, SequencerFile::Changes, 0, &[0; 4096]);
        self.put(&table, SequencerFile::ChangesIndex, 0, &[0; 4096]);
        self.txns.insert(table.clone(), 0);
        self.structures.insert(table, 0);
    }

    /// Makes a table.
    pub(super) fn make_table(&mut self, name: &str) {
        self.begin_table(name);
        self.files.write(table(name).sequencer_file("_wal_index.d").as_str(), 0, &[0; 8]);
    }

    /// A writer fills rows in and commits them.
    pub(super) fn commit(&mut self, segment: &Segment, rows: u64) {
        self.fill(segment, rows);
        let open = self.open[segment];
        self.record(&segment.table, (segment.wal, segment.segment), open.events - 1);
    }

    /// A writer fills rows in, and tells of them in its segment, but not in the log.
    pub(super) fn fill(&mut self, segment: &Segment, rows: u64) {
        let mut open = self.open.get(segment).copied().unwrap_or_default();
        if open.end == 0 {
            open.end = 8;
            self.part(segment, "_meta", 0, &meta(0, &[("ts", 8), ("v", 6), ("s", 26)]));
            self.part(segment, "_event", 0, &[0; 8]);
            self.part(segment, "_event.i", 0, &8_u64.to_le_bytes());
        }
        for row in open.rows..open.rows + rows {
            let text = format!("{segment} row {row}: a text that is not stored inline");
            let len = u64::try_from(text.len()).unwrap();
            let time = [row.to_le_bytes(), row.to_le_bytes()].concat();
            self.part(segment, "ts.d", row * 16, &time);
            self.part(segment, "v.d", row * 8, &row.wrapping_mul(0x9e37_79b9).to_le_bytes());
            self.part(segment, "s.d", open.text, text.as_bytes());
            let entry = [len << 4, open.text << 16].map(u64::to_le_bytes).concat();
            self.part(segment, "s.i", row * 16, &entry);
            open.text += len;
        }
        let first = open.rows;
        open.rows += rows;
        let mut event = vec![0; 50];
        event[..4].copy_from_slice(&50_u32.to_le_bytes());
        event[4..12].copy_from_slice(&open.events.to_le_bytes());
        event[13..21].copy_from_slice(&first.to_le_bytes());
        event[21..29].copy_from_slice(&open.rows.to_le_bytes());
        event.extend([0xff; 4]);
        self.part(segment, "_event", open.end, &event);
        open.end += 50;
        open.events += 1;
        self.part(segment, "_event.i", open.events * 8, &open.end.to_le_bytes());
        let max = u32::try_from(open.events - 1).unwrap().to_le_bytes();
        self.part(segment, "_event", 0, &max);
        self.open.insert(segment.clone(), open);
    }

    /// A writer cuts its files to what it filled, and closes them.
    pub(super) fn close(&mut self, segment: &Segment) {
        let open = self.open[segment];
        let mut cut = |name: &str, size| {
            let path = segment.file(name).unwrap();
            self.files.resize(path.as_str(), size);
            self.files.set_writers(path.as_str(), false);
        };
        cut("ts.d", open.rows * 16);
        cut("v.d", open.rows * 8);
        cut("s.d", open.text);
        cut("s.i", open.rows * 16);
        cut("_event", open.end + 4);
        cut("_event.i", (open.events + 1) * 8);
        let columns = meta(0, &[("ts", 8), ("v", 6), ("s", 26)]);
        cut("_meta", u64::try_from(columns.len()).unwrap());
    }

    /// The structure of a table changes; its `_meta` is in the making until it is said otherwise.
    pub(super) fn change(&mut self, name: &str, change: &[u8]) {
        let table = table(name);
        let structure = self.structures[&table] + 1;
        let index = table.sequencer(SequencerFile::ChangesIndex);
        let bytes = self.files.bytes(index.as_str()).unwrap();
        let at = usize::try_from(structure * 8).unwrap();
        let start = u64::from_le_bytes(bytes[at - 8..at].try_into().unwrap());
        let end = start + u64::try_from(change.len()).unwrap();
        self.put(&table, SequencerFile::Changes, start, change);
        self.put(&table, SequencerFile::ChangesIndex, structure * 8, &end.to_le_bytes());
        self.put(&table, SequencerFile::Meta, 0, &[0; 4]);
        self.structures.insert(table.clone(), structure);
        self.record(&table, (u32::MAX, u32::MAX), u64::from(u32::MAX));
    }

    /// The `_meta` of a table is whole again.
    pub(super) fn settle(&mut self, name: &str) {
        let table = table(name);
        let structure = self.structures[&table];
        self.put(&table, SequencerFile::Meta, 0, &meta(structure, &[]));
    }

    /// The last commit of a table.
    pub(super) fn drop_table(&mut self, name: &str) {
        self.record(&table(name), (u32::MAX - 1, u32::MAX), u64::from(u32::MAX));
    }

    /// A commit: its record, and then the count.
    fn record(&mut self, table: &Table, (wal, segment): (u32, u32), txn: u64) {
        let number = self.txns[table];
        let structure = self.structures[table];
        let mut record = structure.to_le_bytes().to_vec();
        for value in [wal, segment, u32::try_from(txn).unwrap()] {
            record.extend(value.to_le_bytes());
        }
        record.extend(1_u64.to_le_bytes());
        if let Some(part) = number.checked_div(self.part) {
            record.resize(60, 0);
            let at = number % self.part;
            let path = table.sequencer(SequencerFile::Part(part));
            self.files.write(path.as_str(), self.part * 60 - 1, &[0]);
            self.files.write(path.as_str(), at * 60, &record);
        } else {
            self.put(table, SequencerFile::Log, 76 + number * 28, &record);
        }
        self.put(table, SequencerFile::Log, 4, &(number + 1).to_le_bytes());
        self.txns.insert(table.clone(), number + 1);
    }

    fn put(&mut self, table: &Table, file: SequencerFile, offset: u64, bytes: &[u8]) {
        self.files.write(table.sequencer(file).as_str(), offset, bytes);
    }

    /// Writes to a file of a segment, which is allocated by pages.
    fn part(&mut self, segment: &Segment, name: &str, offset: u64, bytes: &[u8]) {
        let path = segment.file(name).unwrap();
        let end = offset + u64::try_from(bytes.len()).unwrap();
        let size = self.files.bytes(path.as_str()).map_or(0, |bytes| bytes.len());
        if u64::try_from(size).unwrap() < end {
            self.files.resize(path.as_str(), end.next_multiple_of(PAGE));
            self.files.set_writers(path.as_str(), true);
        }
        self.files.write(path.as_str(), offset, bytes);
    }
}

/// A `_meta` as sequencer and segments have it, the first column being the timestamp.
fn meta(structure: u64, columns: &[(&str, i32)]) -> Vec<u8> {
    let mut bytes = vec![0; 29];
    bytes[8..16].copy_from_slice(&structure.to_le_bytes());
    bytes[16..20].copy_from_slice(&i32::try_from(columns.len()).unwrap().to_le_bytes());
    for (name, kind) in columns {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(i32::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
    }
    let len = i32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes
}
