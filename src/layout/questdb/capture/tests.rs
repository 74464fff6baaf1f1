//! Claims about what is shipped, on the files of a server that is none.

use std::sync::Arc;

mod ends;

use super::super::Questdb;
use super::super::synthetic::{Server, segment, table};
use super::super::txnlog::{Form, Record, What};
use super::*;
use crate::layout::shipping::Shipping;

fn shipping() -> Shipping {
    Shipping::new(Arc::new(Questdb))
}

const LOG: &str = "a~1/txn_seq/_txnlog";

/// What a replica reads is whole: everything that the log's records name is there. Keeps books of
/// its own: reads the view, not the manifest.
fn check(store: &Shipping, name: &str) -> u64 {
    let view = |path: String| store.view.get(&path).map_or(&[][..], Vec::as_slice);
    let log = view(format!("{name}/txn_seq/_txnlog"));
    let txns = if log.len() < 76 { 0 } else { (log.len() - 76) / 28 };
    for record in (0..txns).map(|txn| &log[76 + txn * 28..][..28]) {
        let What::Event { wal, segment, txn } = Record::parse(record).unwrap().what else {
            continue;
        };
        let part = |file: &str| view(format!("{name}/wal{wal}/{segment}/{file}"));
        let entry = |at: usize| {
            let bytes = part("_event.i").get(at * 8..at * 8 + 8).expect("the index has its events");
            usize::try_from(u64::from_le_bytes(bytes.try_into().unwrap())).unwrap()
        };
        let txn = usize::try_from(txn).unwrap();
        let event = part("_event").get(entry(txn)..entry(txn + 1)).expect("the event is there");
        let len = u32::from_le_bytes(event[..4].try_into().unwrap());
        assert_eq!(usize::try_from(len), Ok(event.len()), "event {txn} is what the server wrote");
        let rows = u64::from_le_bytes(event[21..29].try_into().unwrap());
        let rows = usize::try_from(rows).unwrap();
        assert!(part("ts.d").len() >= rows * 16 && part("v.d").len() >= rows * 8);
        let last = part("s.i").get(rows * 16 - 16..rows * 16).expect("each row has a text");
        let (len, at) = (u32::from_le_bytes(last[..4].try_into().unwrap()) >> 4, &last[10..16]);
        let at = at.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let text = &part("s.d")[at..at + usize::try_from(len).unwrap()];
        assert!(text.starts_with(format!("{name}/wal{wal}/{segment} row {}", rows - 1).as_bytes()));
    }
    u64::try_from(txns).unwrap()
}

/// Publishes step by step: each state in between is one that a replica may see.
fn ship_all(store: &mut Shipping, server: &Server, name: &str) -> Vec<Step> {
    let plan = store.plan(&server.files);
    assert_eq!(plan.problems, Vec::<String>::new());
    let mut txns = check(store, name);
    for step in &plan.steps {
        store.carry_out(&server.files, std::slice::from_ref(step));
        let now = check(store, name);
        assert!(now >= txns, "no commit is taken back");
        txns = now;
    }
    plan.steps
}

#[test]
fn a_commit_is_shipped_with_all_that_it_names() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    let steps = ship_all(&mut store, &server, "a~1").len();
    assert_eq!(steps, 4, "the number it has, two structures, and an empty log");
    server.commit(&segment("a~1", 1, 0), 3);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 1);
    server.commit(&segment("a~1", 1, 0), 1000);
    server.commit(&segment("a~1", 2, 0), 1);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 3);
    assert_eq!(store.plan(&server.files).steps, []);
}

#[test]
fn what_stands_for_the_next_event_is_replaced_wherever_blocks_end() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    let segment = segment("a~1", 1, 0);
    // 8 bytes, 50 per event, and 4 that stand for the next one: of these, 2 begin a block.
    (0..819).for_each(|_| server.commit(&segment, 1));
    ship_all(&mut store, &server, "a~1");
    assert_eq!(store.view["a~1/wal1/0/_event"].len() % usize::try_from(BLOCK).unwrap(), 2);
    server.commit(&segment, 1);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 820);
}

#[test]
fn a_segment_that_is_just_being_removed_stops_nothing() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.commit(&segment("a~1", 1, 0), 100);
    server.close(&segment("a~1", 1, 0));
    ship_all(&mut store, &server, "a~1");
    // The server removes what it has applied, file by file, and goes on in another segment.
    server.files.remove("a~1/wal1/0/s.i");
    server.commit(&segment("a~1", 1, 1), 5);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 2);
}

#[test]
fn what_the_log_does_not_count_is_not_shipped() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    server.fill(&segment("a~1", 1, 0), 5);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(store.view["a~1/wal1/0/v.d"].len(), 3 * 8);
    assert_eq!(store.view["a~1/wal1/0/_event.i"].len(), 2 * 8);
    assert_eq!(store.view["a~1/wal1/0/_event"].len(), 8 + 50 + 4);
}

#[test]
fn a_hint_at_the_log_ships_that_table_only() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.make_table("b~2");
    ship_all(&mut store, &server, "a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    server.commit(&segment("b~2", 1, 0), 3);
    let plan = store.only(&server.files, &[LOG]);
    assert!(plan.steps.iter().all(|step| !format!("{step:?}").contains("b~2")));
    assert_eq!((check(&store, "a~1"), check(&store, "b~2")), (1, 0));
}

#[test]
fn a_large_segment_that_is_closed_leaves_as_one_object() {
    let (mut server, mut store) = (Server::new(), shipping());
    let (big, next) = (segment("a~1", 1, 0), segment("a~1", 1, 1));
    server.make_table("a~1");
    server.commit(&big, 5000);
    server.close(&big);
    server.commit(&next, 1);
    let steps = ship_all(&mut store, &server, "a~1");
    let tails = |steps: &[Step], name: &str| {
        steps
            .iter()
            .any(|step| matches!(step, Step::Tail { path, .. } if path.as_str().starts_with(name)))
    };
    assert!(store.is_sealed("a~1/wal1/0/s.d") && !tails(&steps, "a~1/wal1/0/"));
    assert!(tails(&steps, "a~1/wal1/1/"), "one that is written is shipped as tail");
    server.commit(&next, 5000);
    ship_all(&mut store, &server, "a~1");
    server.close(&next);
    let plan = store.all(&server.files);
    assert!(matches!(plan.steps.as_slice(), [Step::Seal { files }] if files.len() == 7));
    assert!(store.is_sealed("a~1/wal1/1/_event"));
}

#[test]
fn a_small_segment_stays_in_its_batches_and_so_does_one_that_was_not_closed() {
    let (mut server, mut store) = (Server::new(), shipping());
    let (small, crashed) = (segment("a~1", 1, 0), segment("a~1", 2, 0));
    server.make_table("a~1");
    server.commit(&small, 10);
    server.close(&small);
    server.commit(&crashed, 5000);
    server.files.set_writers("a~1/wal2/0/s.d", false);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(store.plan(&server.files).steps, []);
    assert!(!store.is_sealed("a~1/wal1/0/s.d") && !store.is_sealed("a~1/wal2/0/s.d"));
}

#[test]
fn of_a_table_that_is_held_back_nothing_is_sealed_either() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    let segment = segment("a~1", 1, 0);
    server.commit(&segment, 10);
    ship_all(&mut store, &server, "a~1");
    server.commit(&segment, 5_000);
    server.close(&segment);
    server.change("a~1", b"add column");
    server.files.remove("a~1/txn_seq/_txnlog.meta.d");
    let plan = store.plan(&server.files);
    assert_eq!(plan.problems.len(), 1);
    assert_eq!(plan.steps, []);
}

#[test]
fn a_plan_that_was_cut_off_anywhere_is_made_up_for_by_the_next_look() {
    let mut server = Server::new();
    server.make_table("a~1");
    for rows in [3, 4, 300] {
        server.commit(&segment("a~1", 1, 0), rows);
    }
    let steps = shipping().plan(&server.files).steps;
    for cut in 0..=steps.len() {
        let mut store = shipping();
        store.carry_out(&server.files, &steps[..cut]);
        ship_all(&mut store, &server, "a~1");
        assert_eq!(check(&store, "a~1"), 3, "cut off after {cut} steps");
    }
}

#[test]
fn events_that_an_index_alone_tells_of_are_shipped() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    ship_all(&mut store, &server, "a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    // An earlier walfs shipped them in this order, and was ended in between.
    let index = RelPath::new("a~1/wal1/0/_event.i").unwrap();
    let step = Step::Tail { path: index, size: 24, offset: 0, len: 24 };
    store.carry_out(&server.files, &[step]);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 2);
}

#[test]
fn what_the_server_counts_its_numbers_in_is_relied_on_where_they_are_new() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    let mut relied = |server: &Server| {
        let relied = |step: Step| match step {
            Step::Rely { path } => Some(path.to_string()),
            _ => None,
        };
        store.all(&server.files).steps.into_iter().map(relied).collect::<Vec<_>>()
    };
    let steps = relied(&server);
    let [ids, wals] = ["_tab_index.d", "a~1/txn_seq/_wal_index.d"].map(|it| Some(it.to_owned()));
    let shipped_first = steps.iter().take_while(|step| **step != wals);
    assert_eq!(steps[0], ids, "before anything of the table");
    assert_eq!(shipped_first.skip(1).flatten().count(), 0);
    assert!(steps.iter().rposition(|step| *step == wals) < Some(steps.len() - 5));
    server.commit(&segment("a~1", 1, 0), 3);
    assert!(relied(&server).iter().all(Option::is_none), "the writer goes on");
    server.commit(&segment("a~1", 2, 0), 3);
    assert_eq!(relied(&server)[0], wals);
}

#[test]
fn commits_of_a_segment_whose_structure_is_torn_are_held_back() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    let segment = segment("a~1", 1, 0);
    server.commit(&segment, 3);
    let whole = server.files.bytes("a~1/wal1/0/_meta").unwrap();
    server.files.write("a~1/wal1/0/_meta", 0, &[0; 64]);
    let plan = store.all(&server.files);
    assert!(plan.steps.is_empty() && plan.problems[0].contains("torn"), "{plan:?}");
    assert!(store.owes(&server.files, "a~1/wal1/0/v.d"));
    server.files.write("a~1/wal1/0/_meta", 0, &whole);
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 1);
}

#[test]
fn a_structure_is_shipped_whole_or_not_at_all() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    ship_all(&mut store, &server, "a~1");
    let first = store.view["a~1/txn_seq/_meta"].clone();
    server.change("a~1", b"add column");
    ship_all(&mut store, &server, "a~1");
    assert_eq!(store.view["a~1/txn_seq/_txnlog.meta.d"], b"add column");
    assert_eq!(store.view["a~1/txn_seq/_txnlog.meta.i"].len(), 16);
    assert_eq!(store.view["a~1/txn_seq/_meta"], first, "torn: the old one stays");
    server.settle("a~1");
    ship_all(&mut store, &server, "a~1");
    assert_ne!(store.view["a~1/txn_seq/_meta"], first);
}

#[test]
fn a_view_that_was_made_before_its_table_changed_is_shipped_before_the_change() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    ship_all(&mut store, &server, "a~1");
    // The look that finds the change was told of the table alone.
    server.make_table("view~2");
    server.begin_table("unfinished~3");
    server.change("a~1", b"drop column");
    let plan = store.only(&server.files, &[LOG]);
    let grown = |step: &Step| match step {
        Step::Tail { path, .. } => Some(path.as_str().to_owned()),
        _ => None,
    };
    let logs = plan.steps.iter().filter_map(grown).filter(|path| path.ends_with("_txnlog"));
    assert_eq!(logs.collect::<Vec<_>>(), ["view~2/txn_seq/_txnlog", LOG]);
}

#[test]
fn a_table_in_the_making_is_not_shipped() {
    let (mut server, store) = (Server::new(), shipping());
    server.begin_table("a~1");
    assert_eq!(store.plan(&server.files).steps, []);
}

#[test]
fn a_log_in_parts_is_shipped_part_by_part() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.part = 4;
    server.make_table("a~1");
    for _ in 0..6 {
        server.commit(&segment("a~1", 1, 0), 2);
    }
    store.all(&server.files);
    let len = |path: &str| store.view[&format!("a~1/txn_seq/{path}")].len();
    assert_eq!((len("_txnlog"), len("_txn_parts/0"), len("_txn_parts/1")), (76, 240, 120));
    let form = Form::Parts(4);
    assert_eq!(sequencer::txns_in(&store.manifest, &table("a~1"), form), 6);
    server.commit(&segment("a~1", 1, 0), 2);
    store.only(&server.files, &[LOG]);
    assert_eq!(sequencer::txns_in(&store.manifest, &table("a~1"), form), 7);
}

#[test]
fn a_backlog_is_published_in_pieces() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    for _ in 0..300 {
        server.commit(&segment("a~1", 1, 0), 1);
    }
    let steps = ship_all(&mut store, &server, "a~1");
    let logs =
        steps.iter().filter(|step| matches!(step, Step::Tail { path, .. } if path.as_str() == LOG));
    assert!(logs.count() >= 4);
    assert_eq!(check(&store, "a~1"), 300);
}
