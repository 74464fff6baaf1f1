//! What real servers left in `pg_wal`, step by step through the layout.

use std::sync::Arc;

use crate::layout::postgres::Postgres;
use crate::layout::postgres::names::{Lsn, SegmentName};
use crate::layout::postgres::page::PAGE;
use crate::layout::recorded::Recorded;
use crate::layout::shipping::Shipping;
use crate::layout::traces::{Recording, traces};

/// The recording's `--wal-segsize`.
const SEGMENT: u64 = 1 << 20;

/// One step, and up to where the server had flushed, unless it was killed.
struct Step {
    recording: Recording,
    flushed: Option<Lsn>,
}

#[test]
fn looks_at_everything_ship_what_was_flushed_and_nothing_else() {
    for trace in recorded() {
        let mut store = Shipping::new(Arc::new(Postgres));
        let mut disk = Recorded::default();
        for step in trace {
            step.recording.put(&mut disk);
            let plan = store.all(&disk);
            assert_eq!(plan.problems, Vec::<String>::new(), "{}", step.recording.name);
            check(&step, &store, plan.database.as_deref());
            assert_eq!(
                store.all(&disk).steps,
                [],
                "{}: nothing is shipped twice",
                step.recording.name
            );
        }
    }
}

#[test]
fn looks_where_something_was_touched_ship_the_same() {
    for trace in recorded() {
        let mut store = Shipping::new(Arc::new(Postgres));
        let mut disk = Recorded::default();
        for step in trace {
            let touched = step.recording.put(&mut disk);
            let touched: Vec<_> = touched.iter().map(String::as_str).collect();
            let plan = store.only(&disk, &touched);
            check(&step, &store, plan.database.as_deref());
            assert_eq!(store.all(&disk).steps, [], "{}: nothing was missed", step.recording.name);
        }
    }
}

/// The view has every byte that was flushed, and behind the page of the last one only zeros.
fn check(step: &Step, store: &Shipping, database: Option<&str>) {
    let Some(flushed) = step.flushed else { return };
    let newest = store.view.keys().filter_map(|name| SegmentName::parse(name)).max().unwrap();
    assert_eq!(database, Some(&*format!("timeline {}, LSN {flushed}", newest.timeline)));
    for (name, bytes) in &step.recording.files {
        let Some(segment) = SegmentName::parse(name) else {
            assert_eq!(store.view.get(name), Some(bytes), "{}: {name}", step.recording.name);
            continue;
        };
        let start = segment.number(SEGMENT).unwrap() * SEGMENT;
        let valid = usize::try_from(flushed.0.saturating_sub(start).min(SEGMENT)).unwrap();
        let Some(view) = store.view.get(name) else {
            assert_eq!(valid, 0, "{}: {name} is hidden only before it begins", step.recording.name);
            continue;
        };
        if segment.timeline < newest.timeline {
            continue; // It ends where it was left; what follows is the newer one's.
        }
        assert!(
            view[..valid] == bytes[..valid],
            "{}: {name} has what was flushed",
            step.recording.name
        );
        let rest = valid.next_multiple_of(usize::try_from(PAGE).unwrap());
        assert!(
            view[rest..].iter().all(|byte| *byte == 0),
            "{}: {name} ends there",
            step.recording.name
        );
    }
}

fn recorded() -> Vec<Vec<Step>> {
    let step = |mut recording: Recording| {
        let flushed = recording.take("lsn").map(|lsn| lsn.trim().parse().unwrap());
        Step { recording, flushed }
    };
    traces("postgres-").into_iter().map(|trace| trace.into_iter().map(step).collect()).collect()
}
