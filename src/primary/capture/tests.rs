//! What may be cut from files that move under our hands.

use std::sync::Arc;

use super::super::tests::world::{Node, SEGMENT, World, segment};
use super::super::{LocalDisk, Settings};
use super::*;
use crate::layout::postgres::Postgres;
use crate::volume::Epoch;

struct Bench {
    node: Node,
    disk: Arc<LocalDisk>,
    bodies: Bodies,
}

impl Bench {
    fn new() -> Self {
        let node = World::default().node(Settings::default());
        let disk = node.disk();
        let bodies = Bodies::new(node.store.clone(), node.disk(), Arc::default(), Epoch(1), 1);
        Self { node, disk, bodies }
    }

    fn look(&self) -> Work {
        look(&*self.disk, &Postgres, &Manifest::empty(), Scope::All).unwrap()
    }

    fn cut(&self, work: &mut Work, batch_max: u64) -> Cutting {
        let (disk, bodies) = (&*self.disk, &self.bodies);
        cut(work, &Sources { disk, shipped: &Manifest::empty(), bodies, batch_max }).unwrap()
    }
}

fn writes(cutting: Cutting) -> Vec<Write> {
    let Cutting::Batch(cut) = cutting else { panic!("{cutting:?}") };
    let writes = cut.into_inner().edits.into_iter().map(|edit| match edit {
        Edit::Write(write) => write,
        other => panic!("{other:?}"),
    });
    writes.collect()
}

#[test]
fn a_file_that_took_the_name_meanwhile_is_not_shipped_under_it() {
    let mut bench = Bench::new();
    bench.node.write(100);
    let mut work = bench.look();
    let place = bench.node.directory.path().join(segment(1).as_str());
    std::fs::write(bench.node.directory.path().join("other"), vec![0xAB; 1 << 20]).unwrap();
    std::fs::rename(bench.node.directory.path().join("other"), place).unwrap();
    assert!(matches!(bench.cut(&mut work, 1 << 20), Cutting::Moved));
}

#[test]
fn a_file_that_shrank_or_went_is_looked_at_again() {
    let mut bench = Bench::new();
    bench.node.write(100);
    let (mut shrunk, mut gone) = (bench.look(), bench.look());
    let place = bench.node.directory.path().join(segment(1).as_str());
    std::fs::write(place, "short").unwrap();
    assert!(matches!(bench.cut(&mut shrunk, 1 << 20), Cutting::Moved));
    bench.node.remove(&segment(1));
    assert!(matches!(bench.cut(&mut gone, 1 << 20), Cutting::Moved));
}

#[test]
fn a_batch_holds_whole_blocks_and_the_rest_follows() {
    let mut bench = Bench::new();
    bench.node.write(100_000);
    let mut work = bench.look();
    let mut end = 0;
    while !work.is_done() {
        for write in writes(bench.cut(&mut work, 3 * BLOCK + 700)) {
            assert_eq!((write.offset, write.at, write.size), (end, 0, SEGMENT));
            assert!(write.len <= 3 * BLOCK);
            end += write.len;
        }
    }
    assert!(end > 100_000);
    assert_eq!(work.backlog, 0);
}

#[test]
fn a_growing_file_shows_no_more_than_its_batch_carries() {
    let whole = Range { size: 100_000, offset: 16_384, len: 83_616 };
    let (now, later) = whole.split(20_000, Some(16_384));
    assert_eq!((now.size, now.len), (32_768, 16_384));
    let later = later.unwrap();
    assert_eq!((later.size, later.offset, later.offset + later.len), (100_000, 32_768, 100_000));
    let preallocated = Range { size: 1 << 20, offset: 0, len: 83_616 };
    assert_eq!(preallocated.split(20_000, None).0.size, 1 << 20);
}

#[test]
fn a_segment_that_was_never_a_tail_waits_for_its_body() {
    let mut bench = Bench::new();
    while bench.node.log.end().0 <= 2 * SEGMENT {
        bench.node.write(100_000);
    }
    let mut work = bench.look();
    assert!(matches!(bench.cut(&mut work, 1 << 20), Cutting::Waits));
    assert_eq!(work.waits_for(), Some(&[(segment(1), SEGMENT)][..]));
}
