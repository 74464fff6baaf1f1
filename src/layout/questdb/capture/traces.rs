//! What real servers left in `db/`, with logs as a whole and in parts, step by step through the
//! layout. The books kept here read the view by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::layout::questdb::names::{Name, SequencerFile, Table};
use crate::layout::questdb::seed::New;
use crate::layout::questdb::txnlog::{Header, Record, What};
use crate::layout::questdb::view::{MatView, query};
use crate::layout::questdb::{Questdb, alter, registry};
use crate::layout::recorded::Recorded;
use crate::layout::shipping::Shipping;
use crate::layout::traces::{Recording, traces};
use crate::layout::{Layout, Role};
use crate::volume::RelPath;

/// One step, and what the server said then: how many commits each table had, by name.
struct Step {
    recording: Recording,
    told: Option<BTreeMap<String, u64>>,
    writers: Vec<String>,
}

#[test]
fn looks_at_everything_ship_what_was_committed_and_nothing_else() {
    for trace in recorded() {
        let (mut store, mut disk) = (Shipping::new(Arc::new(Questdb)), Recorded::default());
        for step in trace {
            step.put(&mut disk);
            let plan = store.all(&disk);
            assert_eq!(plan.problems, Vec::<String>::new(), "{}", step.name());
            check(&step, &store);
            assert_eq!(store.all(&disk).steps, [], "{}: nothing is shipped twice", step.name());
        }
    }
}

#[test]
fn looks_where_something_was_touched_ship_the_same() {
    for trace in recorded() {
        let (mut store, mut disk) = (Shipping::new(Arc::new(Questdb)), Recorded::default());
        for step in trace {
            let touched = step.put(&mut disk);
            let touched: Vec<_> = touched.iter().map(String::as_str).collect();
            store.only(&disk, &touched);
            check(&step, &store);
            assert_eq!(store.all(&disk).steps, [], "{}: nothing was missed", step.name());
        }
    }
}

#[test]
fn a_replica_can_begin_each_table_that_the_server_made() {
    for trace in recorded() {
        let made = &trace[1];
        for name in ["one~4", "two~5"] {
            let table = Table::parse(name).unwrap();
            let bytes = |path: &str| made.recording.files[&format!("{name}/{path}")].as_slice();
            let (first_meta, log) = (bytes("txn_seq/_meta.0"), bytes("txn_seq/_txnlog"));
            let name = table.first_name();
            let files = New { name, first_meta, log, definition: None }.files().unwrap();
            let known = ["_name", "txn_seq/_meta", "txn_seq/_meta.0", "txn_seq/_txnlog"];
            for (path, content) in files.iter().filter(|(path, _)| known.contains(&path.as_str())) {
                assert!(*content == bytes(path), "{}: {path}", table.directory());
            }
        }
    }
}

#[test]
fn definitions_and_names_are_read_as_the_server_wrote_them() {
    for trace in recorded() {
        let views = &trace[4].recording.files;
        let file = |name: &str| {
            let is_it = |path: &&String| path.starts_with(name) && path.contains("txn_seq/_");
            let is_definition = |path: &&String| path.ends_with("_mv") || path.ends_with("_view");
            let path = views.keys().filter(is_it).find(is_definition).unwrap();
            views[path].as_slice()
        };
        let hourly = MatView::parse(file("hourly~")).unwrap();
        let select = "SELECT ts, count() c FROM one SAMPLE BY 1h";
        assert_eq!((hourly.base.as_str(), hourly.query.as_str()), ("one", select));
        assert_eq!(query(file("seen~")).unwrap(), "SELECT ts, n FROM one");
        let renamed = &trace[6].recording.files;
        let index = &renamed["two~5/txn_seq/_txnlog.meta.i"];
        let (start, end) = alter::bounds(index, 1).unwrap();
        let change = &renamed["two~5/txn_seq/_txnlog.meta.d"][start..end];
        assert_eq!(alter::new_name(change).as_deref(), Some("three"));
    }
}

impl Step {
    fn name(&self) -> &str {
        &self.recording.name
    }

    fn put(&self, disk: &mut Recorded) -> Vec<String> {
        let touched = self.recording.put(disk);
        for path in self.recording.files.keys() {
            disk.set_writers(path, self.writers.contains(path));
        }
        touched
    }

    /// The directories of the tables that the server told of.
    fn directories(&self) -> BTreeMap<String, Table> {
        let files = &self.recording.files;
        let newest = files.keys().rfind(|path| path.starts_with("tables.d.")).unwrap();
        let tables = registry::parse(&files[newest]);
        tables.iter().map(|(path, it)| (it.name.clone(), Table::parse(path).unwrap())).collect()
    }
}

fn recorded() -> Vec<Vec<Step>> {
    let step = |mut recording: Recording| {
        let told = recording.take("told").map(|told| {
            let line = |line: &str| {
                let (name, txns) = line.split_once('\t').unwrap();
                (name.to_owned(), txns.parse().unwrap())
            };
            told.lines().map(line).collect()
        });
        let writers = recording.take("writers").unwrap_or_default();
        Step { recording, told, writers: writers.lines().map(str::to_owned).collect() }
    };
    traces("questdb-").into_iter().map(|trace| trace.into_iter().map(step).collect()).collect()
}

/// The view has every commit that the server told of, with all that it names, and no other.
fn check(step: &Step, store: &Shipping) {
    let is_ours = |path: &String| Questdb.role(&RelPath::new(path).unwrap()) != Role::Local;
    assert!(store.view.keys().all(is_ours), "{}", step.name());
    let Some(told) = &step.told else { return };
    let directories = step.directories();
    assert!(told.keys().eq(directories.keys()), "{}: {told:?} {directories:?}", step.name());
    for (name, txns) in told {
        let table = &directories[name];
        let records = records(store, table);
        assert_eq!(u64::try_from(records.len()), Ok(*txns), "{}: {name}", step.name());
        for record in records {
            if let What::Event { wal, segment, txn } = record.what {
                has_event(step, store, &format!("{table}/wal{wal}/{segment}"), txn);
            }
        }
    }
    let is_dropped = |path: &str| {
        let table = path.split_once('/').and_then(|(table, _)| Table::parse(table));
        table.is_none_or(|table| !directories.values().any(|known| *known == table))
    };
    // Of a table that is dropped its last structure is not shipped.
    for (path, seen) in store.view.iter().filter(|(path, _)| !is_dropped(path)) {
        let Some(written) = step.recording.files.get(path) else { continue };
        // What counts commits may be ahead of what is shipped of them.
        let counter = match Name::of(&RelPath::new(path).unwrap()) {
            Some(Name::Sequencer(_, SequencerFile::Log)) => 4..12,
            Some(Name::Wal(_, file)) if file == "_event" => 0..4,
            _ => 0..0,
        };
        let same = |(at, byte)| counter.contains(&at) || written.get(at) == Some(byte);
        let end = if path.ends_with("/_event") { seen.len() - 4 } else { seen.len() };
        assert!(seen[..end].iter().enumerate().all(same), "{}: {path}", step.name());
    }
}

/// The records that the view has of a table.
fn records(store: &Shipping, table: &Table) -> Vec<Record> {
    let log = &store.view[table.sequencer(SequencerFile::Log).as_str()];
    let form = Header::parse(log).unwrap().form;
    let len = usize::try_from(form.record()).unwrap();
    let parts = (0..).map_while(|part| {
        store.view.get(table.sequencer(SequencerFile::Part(part)).as_str()).map(Vec::as_slice)
    });
    let bytes = parts.fold(log[76..].to_vec(), |all, part| [&all, part].concat());
    bytes.chunks(len).map(|record| Record::parse(record).unwrap()).collect()
}

/// The view has this event of a segment, and the rows that it brings.
fn has_event(step: &Step, store: &Shipping, segment: &str, txn: u32) {
    let file = |name: &str| {
        let path = format!("{segment}/{name}");
        store.view.get(&path).unwrap_or_else(|| panic!("{}: {path} is shown", step.name()))
    };
    let entry = |at: usize| {
        let entry = file("_event.i").get(at * 8..at * 8 + 8).expect("the index has its events");
        usize::try_from(u64::from_le_bytes(entry.try_into().unwrap())).unwrap()
    };
    let txn = usize::try_from(txn).unwrap();
    let event = file("_event").get(entry(txn)..entry(txn + 1)).expect("the event is there");
    if matches!(event[12], 0 | 3) {
        let rows = u64::from_le_bytes(event[21..29].try_into().unwrap());
        assert!(file("ts.d").len() >= usize::try_from(rows * 16).unwrap(), "{segment}");
    }
}
