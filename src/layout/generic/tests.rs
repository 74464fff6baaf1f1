//! Files that grow, shrink, move and go, through the generic layout.

use std::sync::Arc;

use crate::layout::recorded::Recorded;
use crate::layout::shipping::Shipping;
use crate::layout::{Plan, Step};

use super::{BLOCK, Generic, QUIET_US};

fn store() -> Shipping {
    Shipping::new(Arc::new(Generic::built_in()))
}

fn steps(plan: &Plan) -> Vec<String> {
    let step = |step: &Step| match step {
        Step::Tail { path, size, offset, len } => format!("tail {path} {offset}+{len} of {size}"),
        Step::Seal { files } => format!("seal {}", files[0].0),
        Step::Remove { path } => format!("remove {path}"),
        other => format!("{other:?}"),
    };
    plan.steps.iter().map(step).collect()
}

/// The store has the disk's replicated files, byte for byte, and nothing is left to ship.
fn check(store: &mut Shipping, disk: &Recorded) {
    let files = disk.paths().filter(|path| path.name() != "b.tmp");
    let files = files.map(|path| (path.to_string(), disk.bytes(path.as_str()).unwrap()));
    assert!(store.view.clone() == files.collect(), "the view is the disk");
    assert_eq!(steps(&store.all(disk)), Vec::<String>::new());
}

#[test]
fn a_file_is_shipped_as_it_grows() {
    let (mut disk, mut store) = (Recorded::default(), store());
    disk.write("log/a", 0, b"one");
    disk.write("log/b.tmp", 0, b"local");
    assert_eq!(steps(&store.all(&disk)), ["tail log/a 0+3 of 3"]);
    disk.write("log/a", 3, &vec![7; 10_000]);
    assert_eq!(steps(&store.only(&disk, &["log/a"])), ["tail log/a 0+10003 of 10003"]);
    disk.write("log/a", 10_003, b"more");
    assert_eq!(steps(&store.only(&disk, &["log/a"])), ["tail log/a 8192+1815 of 10007"]);
    check(&mut store, &disk);
}

#[test]
fn an_overwritten_block_is_found_by_looking_at_everything() {
    let (mut disk, mut store) = (Recorded::default(), store());
    disk.write("a", 0, &vec![1; 50_000]);
    store.all(&disk);
    disk.write("a", BLOCK + 5, b"changed");
    assert_eq!(steps(&store.only(&disk, &["a"])), Vec::<String>::new());
    assert_eq!(steps(&store.all(&disk)), ["tail a 8192+8192 of 50000"]);
    check(&mut store, &disk);
}

#[test]
fn a_file_may_shrink_be_empty_or_have_holes() {
    let (mut disk, mut store) = (Recorded::default(), store());
    disk.write("a", 0, &vec![1; 50_000]);
    disk.resize("empty", 0);
    store.all(&disk);
    check(&mut store, &disk);
    disk.write("a", 10, b"changed");
    disk.resize("a", 20_000);
    let expected = ["tail a 16384+3616 of 20000", "tail a 0+8192 of 20000"];
    assert_eq!(steps(&store.all(&disk)), expected);
    check(&mut store, &disk);
    disk.resize("a", BLOCK);
    assert_eq!(steps(&store.only(&disk, &["a"])), ["tail a 0+0 of 8192"]);
    disk.resize("a", 100 * BLOCK);
    assert_eq!(steps(&store.only(&disk, &["a"])), ["tail a 0+0 of 819200"]);
    disk.resize("a", 0);
    store.only(&disk, &["a"]);
    check(&mut store, &disk);
}

#[test]
fn a_file_is_sealed_when_it_has_been_quiet() {
    let (mut disk, mut store) = (Recorded::default(), store());
    disk.write("a", 0, b"one");
    disk.set_writers("a", true);
    store.all(&disk);
    store.now = QUIET_US;
    disk.write("b", 0, b"the volume goes on");
    store.all(&disk);
    assert_eq!(steps(&store.all(&disk)), Vec::<String>::new(), "somebody may still write");
    disk.set_writers("a", false);
    assert_eq!(steps(&store.only(&disk, &["a"])), ["seal a"]);
    check(&mut store, &disk);
    disk.write("a", 0, b"two");
    assert_eq!(steps(&store.only(&disk, &["a"])), ["remove a", "tail a 0+3 of 3"]);
    check(&mut store, &disk);
}

#[test]
fn what_is_gone_is_removed_last() {
    let (mut disk, mut store) = (Recorded::default(), store());
    disk.write("x/a", 0, b"one");
    disk.write("x/b", 0, b"two");
    store.all(&disk);
    disk.rename("x/a", "x/c");
    let expected = ["tail x/c 0+3 of 3", "remove x/a"];
    assert_eq!(steps(&store.only(&disk, &["x/a", "x/c"])), expected);
    check(&mut store, &disk);
    disk.rename("x/b", "y");
    disk.remove("x/c");
    let expected = ["tail y 0+3 of 3", "remove x/b", "remove x/c"];
    assert_eq!(steps(&store.only(&disk, &["x", "y"])), expected);
    check(&mut store, &disk);
}

#[test]
fn what_stands_in_the_way_is_removed_first() {
    let (mut disk, mut store) = (Recorded::default(), store());
    disk.write("a", 0, b"a file");
    disk.write("b/c", 0, b"in a directory");
    store.all(&disk);
    disk.remove("a");
    disk.remove("b/c");
    disk.write("a-", 0, b"sorts between");
    disk.write("a/d", 0, b"a directory now");
    disk.write("b", 0, b"a file now");
    let plan = store.only(&disk, &["a/d", "b", "a-"]);
    assert_eq!(steps(&plan)[..2], ["remove a", "remove b/c"]);
    check(&mut store, &disk);
}

#[test]
fn random_changes_are_all_shipped() {
    use rand::{RngExt, SeedableRng};
    for seed in 0..10 {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
        let (mut disk, mut store) = (Recorded::default(), store());
        for _ in 0..40 {
            let names: [&str; 4] = ["a", "b", "d/a", "d/e/a"];
            let (name, other) = (names[rng.random_range(0..4)], names[rng.random_range(0..4)]);
            store.now += QUIET_US / 3;
            disk.set_time(i128::from(store.now) * 1000);
            let there = disk.bytes(name).is_some();
            match rng.random_range(0..6) {
                0 if there => disk.remove(name),
                1 if there => disk.rename(name, other),
                2 => disk.resize(name, rng.random_range(0..40_000)),
                3 => disk.set_writers(name, rng.random()),
                _ => {
                    let bytes = vec![rng.random(); rng.random_range(0..20_000)];
                    disk.write(name, rng.random_range(0..40_000), &bytes);
                }
            }
            if rng.random_ratio(1, 3) {
                store.all(&disk);
                store.all(&disk); // What became quiet meanwhile is sealed.
                check(&mut store, &disk);
            } else {
                store.only(&disk, &[name, other]);
            }
        }
    }
}
