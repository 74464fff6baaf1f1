//! What real servers left in `pg_wal` (`scripts/record-traces`), step by step through the layout.
//! A new trace is a new file in `tests/fixtures`.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use crate::layout::postgres::Postgres;
use crate::layout::postgres::names::{Lsn, SegmentName};
use crate::layout::postgres::page::PAGE;
use crate::layout::recorded::Recorded;
use crate::layout::shipping::Shipping;

/// The recording's `--wal-segsize`.
const SEGMENT: u64 = 1 << 20;

/// One step: the files, and up to where the server had flushed, unless it was killed.
struct Recording {
    name: String,
    files: BTreeMap<String, Vec<u8>>,
    flushed: Option<Lsn>,
}

#[test]
fn looks_at_everything_ship_what_was_flushed_and_nothing_else() {
    for trace in traces() {
        let mut store = Shipping::new(Arc::new(Postgres));
        let mut disk = Recorded::default();
        for step in trace {
            go_to(&mut disk, &step);
            let plan = store.all(&disk);
            assert_eq!(plan.problems, Vec::<String>::new(), "{}", step.name);
            check(&step, &store, plan.database.as_deref());
            assert_eq!(store.all(&disk).steps, [], "{}: nothing is shipped twice", step.name);
        }
    }
}

#[test]
fn looks_where_something_was_touched_ship_the_same() {
    for trace in traces() {
        let mut store = Shipping::new(Arc::new(Postgres));
        let mut disk = Recorded::default();
        for step in trace {
            let touched = go_to(&mut disk, &step);
            let touched: Vec<_> = touched.iter().map(String::as_str).collect();
            let plan = store.only(&disk, &touched);
            check(&step, &store, plan.database.as_deref());
            assert_eq!(store.all(&disk).steps, [], "{}: nothing was missed", step.name);
        }
    }
}

/// Makes the disk what the recording has. Returns the names that were touched.
fn go_to(disk: &mut Recorded, step: &Recording) -> Vec<String> {
    let gone: Vec<_> = disk.paths().map(ToString::to_string).collect();
    for path in gone.iter().filter(|path| !step.files.contains_key(*path)) {
        disk.remove(path);
    }
    let mut touched = Vec::new();
    for (path, bytes) in &step.files {
        if disk.bytes(path).as_ref() != Some(bytes) {
            disk.write(path, 0, bytes);
            touched.push(path.clone());
        }
    }
    touched
}

/// The view has every byte that was flushed, and behind the page of the last one only zeros.
fn check(step: &Recording, store: &Shipping, database: Option<&str>) {
    let Some(flushed) = step.flushed else { return };
    let newest = store.view.keys().filter_map(|name| SegmentName::parse(name)).max().unwrap();
    assert_eq!(database, Some(&*format!("timeline {}, LSN {flushed}", newest.timeline)));
    for (name, bytes) in &step.files {
        let Some(segment) = SegmentName::parse(name) else {
            assert_eq!(store.view.get(name), Some(bytes), "{}: {name}", step.name);
            continue;
        };
        let start = segment.number(SEGMENT).unwrap() * SEGMENT;
        let valid = usize::try_from(flushed.0.saturating_sub(start).min(SEGMENT)).unwrap();
        let Some(view) = store.view.get(name) else {
            assert_eq!(valid, 0, "{}: {name} is hidden only before it begins", step.name);
            continue;
        };
        if segment.timeline < newest.timeline {
            continue; // It ends where it was left; what follows is the newer one's.
        }
        assert!(view[..valid] == bytes[..valid], "{}: {name} has what was flushed", step.name);
        let rest = valid.next_multiple_of(usize::try_from(PAGE).unwrap());
        assert!(view[rest..].iter().all(|byte| *byte == 0), "{}: {name} ends there", step.name);
    }
}

fn traces() -> impl Iterator<Item = Vec<Recording>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("/postgres-"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "there are fixtures");
    found.into_iter().map(|path| {
        let file = std::fs::File::open(path).unwrap();
        let mut tar = Vec::new();
        zstd::stream::read::Decoder::new(file).unwrap().read_to_end(&mut tar).unwrap();
        untar(&tar)
    })
}

/// The steps in a tar of plain files with short names.
fn untar(mut tar: &[u8]) -> Vec<Recording> {
    let mut steps: Vec<Recording> = Vec::new();
    while let Some((header, rest)) = tar.split_at_checked(512) {
        let text = |from: usize, to: usize| {
            let field = header[from..to].split(|byte| *byte == 0).next().unwrap();
            std::str::from_utf8(field).unwrap().trim().to_owned()
        };
        let (name, size) = (text(0, 100), text(124, 136));
        if name.is_empty() {
            break;
        }
        let size = usize::from_str_radix(&size, 8).unwrap();
        let content = rest[..size].to_vec();
        tar = &rest[size.next_multiple_of(512)..];
        let Some((step, file)) = name.trim_start_matches("./").split_once('/') else { continue };
        if steps.last().is_none_or(|last| last.name != step) {
            let (name, files) = (step.to_owned(), BTreeMap::new());
            steps.push(Recording { name, files, flushed: None });
        }
        let last = steps.last_mut().unwrap();
        if file == "lsn" {
            last.flushed = Some(String::from_utf8(content).unwrap().trim().parse().unwrap());
        } else if !file.is_empty() {
            last.files.insert(file.to_owned(), content);
        }
    }
    steps
}
