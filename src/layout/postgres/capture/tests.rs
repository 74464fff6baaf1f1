//! PostgreSQL's ways with `pg_wal`, one after the other, on synthetic WAL. What real servers left
//! behind is in `tests/traces.rs`.

use std::sync::Arc;

use crate::layout::postgres::Postgres;
use crate::layout::postgres::names::{Lsn, SegmentName};
use crate::layout::postgres::page::PAGE;
use crate::layout::postgres::synthetic::{Dirty, Synthetic};
use crate::layout::recorded::Recorded;
use crate::layout::shipping::Shipping;
use crate::layout::{Plan, Step};

const MIB: u64 = 1 << 20;

/// A server without tables.
struct Server {
    log: Synthetic,
    disk: Recorded,
    segment_size: u64,
    /// Where the last flush ended.
    flushed: Lsn,
}

impl Server {
    fn new(segment_size: u64) -> Self {
        let log = Synthetic::new(1, segment_size, 1);
        let flushed = log.end();
        Self { log, disk: Recorded::default(), segment_size, flushed }
    }

    /// Commits a transaction with so many bytes. Returns the segment that it ends in.
    fn commit(&mut self, bytes: usize) -> String {
        let letter = u8::try_from(bytes % 251).unwrap();
        self.log.append(&vec![letter; bytes]);
        self.flush()
    }

    fn flush(&mut self) -> String {
        for page in self.log.take() {
            self.write(&page);
        }
        self.flushed = self.log.end();
        self.log.place(Lsn(self.flushed.0 - 1)).0.to_string()
    }

    fn write(&mut self, (at, bytes): &Dirty) {
        let (name, offset) = self.log.place(*at);
        let name = name.to_string();
        if self.disk.bytes(&name).is_none() {
            self.disk.resize(&name, self.segment_size);
        }
        self.disk.write(&name, offset, bytes);
    }

    /// Fills segments until this one is complete and the next one has begun.
    fn fill(&mut self, number: u64) {
        while self.log.end().0 <= (number + 1) * self.segment_size + 100 {
            self.commit(3000);
        }
    }

    fn name(&self, timeline: u32, number: u64) -> String {
        SegmentName::new(timeline, number, self.segment_size).to_string()
    }

    /// Of the segments that still have their names, every byte up to the last flush is in the
    /// view, and nothing but zeros after its page.
    fn check(&self, store: &Shipping) {
        for (name, view) in &store.view {
            let Some(segment) = SegmentName::parse(name) else { continue };
            let Some(disk) = self.disk.bytes(name) else { continue };
            let start = segment.number(self.segment_size).unwrap() * self.segment_size;
            let valid = usize::try_from(self.flushed.0.saturating_sub(start)).unwrap();
            let valid = valid.min(view.len());
            assert!(view[..valid] == disk[..valid], "{name}");
            let rest = valid.next_multiple_of(usize::try_from(PAGE).unwrap());
            assert!(view[rest..].iter().all(|byte| *byte == 0), "{name} shows zeros past the end");
        }
    }
}

fn store() -> Shipping {
    Shipping::new(Arc::new(Postgres))
}

fn tails(plan: &Plan) -> Vec<(u64, u64)> {
    let tail = |step: &Step| match step {
        Step::Tail { offset, len, .. } => Some((offset / PAGE, len / PAGE)),
        _ => None,
    };
    plan.steps.iter().filter_map(tail).collect()
}

/// The steps as `tail <segment>`, `seal <segment>`, `pointer <name>`, with timeline and number.
fn steps(plan: &Plan) -> Vec<String> {
    let step = |step: &Step| match step {
        Step::Tail { path, .. } => format!("tail {path}"),
        Step::Seal { files } => format!("seal {}", files[0].0),
        Step::Pointer { path, .. } => format!("pointer {path}"),
        other => format!("{other:?}"),
    };
    plan.steps.iter().map(step).collect()
}

#[test]
fn a_growing_tail_is_shipped_page_by_page_at_every_segment_size() {
    for segment_size in [MIB, 16 * MIB, 64 * MIB] {
        let (mut server, mut store) = (Server::new(segment_size), store());
        let name = server.commit(100);
        let plan = store.only(&server.disk, &[&name]);
        assert_eq!(tails(&plan), [(0, 1)]);
        assert_eq!(plan.database, Some(format!("timeline 1, LSN {}", server.flushed)));
        server.commit(100);
        assert_eq!(tails(&store.only(&server.disk, &[&name])), [(0, 1)], "the last page again");
        server.commit(10_000);
        assert_eq!(tails(&store.only(&server.disk, &[&name])), [(0, 2)]);
        server.commit(20_000);
        assert_eq!(tails(&store.only(&server.disk, &[&name])), [(1, 3)]);
        server.check(&store);
        assert_eq!(store.only(&server.disk, &[&name]).steps, []);
        assert_eq!(store.all(&server.disk).steps, []);
    }
}

#[test]
fn a_segment_is_sealed_when_the_next_one_has_begun() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let first = server.commit(100);
    store.all(&server.disk);
    server.fill(1);
    let second = server.name(1, 2);
    let plan = store.only(&server.disk, &[&second]);
    let expected = [format!("tail {first}"), format!("seal {first}"), format!("tail {second}")];
    assert_eq!(steps(&plan), expected);
    assert!(store.is_sealed(&first));
    server.check(&store);
}

#[test]
fn what_was_never_shipped_as_tail_is_only_sealed() {
    let (mut server, mut store) = (Server::new(MIB), store());
    server.fill(3);
    let plan = store.all(&server.disk);
    let names: Vec<_> = (1..5).map(|number| server.name(1, number)).collect();
    let expected =
        names[..3].iter().map(|it| format!("seal {it}")).chain([format!("tail {}", names[3])]);
    assert_eq!(steps(&plan), expected.collect::<Vec<_>>());
    assert_eq!(plan.problems, Vec::<String>::new());
    server.check(&store);
}

#[test]
fn a_switch_leaves_zeros_that_are_not_shipped() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let first = server.commit(100);
    store.only(&server.disk, &[&first]);
    server.log.switch();
    server.flush();
    let plan = store.only(&server.disk, &[&first]);
    assert_eq!(tails(&plan), [(0, 1)]);
    assert_eq!(plan.database, Some("timeline 1, LSN 0/200000".into()));
    let second = server.commit(100);
    let plan = store.only(&server.disk, &[&second]);
    assert_eq!(steps(&plan), [format!("seal {first}"), format!("tail {second}")]);
    server.check(&store);
}

#[test]
fn recycled_segments_show_nothing_of_their_former_life() {
    let (mut server, mut store) = (Server::new(MIB), store());
    server.fill(2);
    store.all(&server.disk);
    let (old, new) = (server.name(1, 1), server.name(1, 4));
    assert!(!store.owes(&server.disk, &old), "it is sealed");
    server.disk.rename(&old, &new);
    assert_eq!(store.only(&server.disk, &[&old, &new]).steps, []);
    assert_eq!(store.all(&server.disk).steps, []);
    server.fill(3);
    store.only(&server.disk, &[&new]);
    server.commit(50_000);
    store.only(&server.disk, &[&new]);
    server.check(&store);
}

#[test]
fn a_name_is_owed_until_all_of_it_is_in_the_store() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let first = server.commit(100);
    assert!(store.owes(&server.disk, &first));
    let tail = store.all(&server.disk);
    assert_eq!(tails(&tail), [(0, 1)]);
    assert!(!store.owes(&server.disk, &first), "every byte of it is in the store");
    server.fill(1);
    assert!(store.owes(&server.disk, &first));
    store.all(&server.disk);
    assert!(!store.owes(&server.disk, &first));
    assert!(!store.owes(&server.disk, "xlogtemp.17"));
    assert!(!store.owes(&server.disk, &server.name(1, 9)), "there is no such file");
}

#[test]
fn a_page_that_was_lost_hides_what_follows_it() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let name = server.commit(100);
    let old = server.log.clone().take();
    server.commit(40_000);
    // A power cut kept the old copy of the first page and the new ones of the others.
    server.write(&old[0]);
    let plan = store.all(&server.disk);
    assert_eq!(tails(&plan), [(0, 1)]);
    // Recovery ends in the old copy, and the database goes on from there.
    let end = plan.database.unwrap().split_once("LSN ").unwrap().1.parse().unwrap();
    let last = Lsn(MIB + 40);
    server.log = Synthetic::resume(1, MIB, end, last, &server.disk.bytes(&name).unwrap());
    server.commit(200);
    assert_eq!(tails(&store.only(&server.disk, &[&name])), [(0, 1)]);
    server.check(&store);
    server.commit(9000);
    store.only(&server.disk, &[&name]);
    server.check(&store);
}

#[test]
fn a_record_that_was_never_finished_is_passed_over() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let name = server.commit(100);
    let last = server.log.last();
    server.log.append(&vec![7; 30_000]);
    let pages = server.log.take();
    for page in &pages[..3] {
        server.write(page);
    }
    assert_eq!(tails(&store.only(&server.disk, &[&name])), [(0, 1)], "nothing more is whole");
    // Recovery goes on at the first page that is missing.
    server.log = Synthetic::resume(1, MIB, pages[3].0, last, &[]);
    server.log.abandon();
    server.flush();
    assert_eq!(tails(&store.only(&server.disk, &[&name])), [(1, 3)]);
    server.commit(100);
    store.all(&server.disk);
    server.check(&store);
}

#[test]
fn a_damaged_record_ends_the_log() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let name = server.commit(9000);
    server.commit(40_000);
    server.disk.write(&name, 3 * PAGE + 500, &[0xFF; 8]);
    assert_eq!(tails(&store.all(&server.disk)), [(0, 2)]);
}

#[test]
fn a_record_may_span_segments() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let first = server.commit(700_000);
    store.only(&server.disk, &[&first]);
    server.log.append(&vec![9; 2_500_000]);
    let pages = server.log.take();
    let (most, rest) = pages.split_at(pages.len() - 2);
    for page in most {
        server.write(page);
    }
    store.only(&server.disk, &[&first]);
    assert!(store.is_sealed(&first) && store.is_sealed(&server.name(1, 2)));
    let fourth = server.name(1, 4);
    assert!(!store.view.contains_key(&fourth), "the record is not whole yet");
    for page in rest {
        server.write(page);
    }
    server.flushed = server.log.end();
    let plan = store.only(&server.disk, &[&fourth]);
    assert_eq!(plan.database, Some(format!("timeline 1, LSN {}", server.log.end())));
    server.check(&store);
}

#[test]
fn a_timeline_waits_for_its_history() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let old = server.commit(5000);
    store.all(&server.disk);
    // The new timeline begins with a copy of the old one's last segment.
    let copy = server.disk.bytes(&old).unwrap();
    let new = server.name(2, 1);
    server.disk.write(&new, 0, &copy);
    let (end, last) = (server.log.end(), server.log.last());
    server.log = Synthetic::resume(2, MIB, end, last, &copy);
    server.commit(9000);
    assert_eq!(store.only(&server.disk, &[&new]), Plan::default());
    let plan = store.all(&server.disk);
    assert_eq!(plan.steps, []);
    assert!(plan.problems[0].contains("timeline 2 is held back"), "{:?}", plan.problems);
    server.disk.write("00000002.history", 0, format!("1\t{end}\tpromoted\n").as_bytes());
    let plan = store.only(&server.disk, &[&new]);
    assert_eq!(steps(&plan), ["pointer 00000002.history".into(), format!("tail {new}")]);
    assert!(plan.database.unwrap().starts_with("timeline 2, LSN "));
    assert_eq!(store.all(&server.disk).steps, []);
    assert!(!store.owes(&server.disk, "00000002.history"));
}

#[test]
fn a_gap_is_told_and_shipping_goes_on() {
    let (mut server, mut store) = (Server::new(MIB), store());
    server.fill(1);
    store.all(&server.disk);
    server.fill(4);
    for number in 2..4 {
        server.disk.remove(&server.name(1, number));
    }
    let plan = store.all(&server.disk);
    let [problem] = plan.problems.as_slice() else { panic!("{:?}", plan.problems) };
    assert!(problem.starts_with("WAL is missing"), "{problem}");
    assert!(store.is_sealed(&server.name(1, 4)));
    assert_eq!(store.all(&server.disk).problems, Vec::<String>::new());
}

#[test]
fn the_note_of_a_backup_hides_no_gap() {
    let (mut server, mut store) = (Server::new(MIB), store());
    server.fill(1);
    let note = format!("{}.00000028.backup", server.name(1, 2));
    server.disk.write(&note, 0, b"START WAL LOCATION");
    let plan = store.all(&server.disk);
    assert_eq!(steps(&plan).last(), Some(&format!("pointer {note}")));
    server.fill(4);
    for number in 2..4 {
        server.disk.remove(&server.name(1, number));
    }
    assert!(store.all(&server.disk).problems[0].starts_with("WAL is missing"));
}

#[test]
fn a_disk_that_was_set_back_is_told() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let name = server.commit(100);
    let before = server.disk.bytes(&name).unwrap();
    server.commit(50_000);
    store.all(&server.disk);
    server.disk.write(&name, 0, &before);
    let plan = store.plan(&server.disk);
    assert!(plan.problems[0].contains("was set back"), "{:?}", plan.problems);
}

#[test]
fn other_sizes_are_not_looked_at_and_other_pages_are_refused() {
    let (mut server, mut store) = (Server::new(MIB), store());
    let name = server.commit(100);
    let bytes = server.disk.bytes(&name).unwrap();
    server.disk.resize(&name, MIB - 1);
    assert_eq!(store.all(&server.disk).steps, []);
    server.disk.write(&name, 0, &bytes);
    server.disk.write(&name, 36, &4096_u32.to_le_bytes());
    let look = crate::layout::Look {
        files: &server.disk,
        shipped: &store.manifest,
        scope: crate::layout::Scope::All,
    };
    let error = super::capture(&look).unwrap_err();
    assert!(error.to_string().contains("pages of 4096 bytes"), "{error}");
}

#[test]
fn the_view_is_right_after_every_look_of_a_long_run() {
    use rand::{Rng, RngExt, SeedableRng};
    for seed in 0..4 {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
        let (mut server, mut store) = (Server::new(MIB), store());
        for _ in 0..60 {
            let name = server.commit(rng.random_range(1..60_000));
            if rng.random_ratio(1, 20) {
                server.log.switch();
                server.flush();
            }
            match rng.next_u32() % 4 {
                0 => continue,
                1 => store.all(&server.disk),
                _ => store.only(&server.disk, &[&name]),
            };
            let log_end = server.flushed;
            assert!(log_end.0 > 0);
            server.check(&store);
        }
    }
}
