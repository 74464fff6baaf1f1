//! What the database destroys before it is shipped.

use std::sync::Arc;

use tokio::time::sleep;

use super::world::{World, at_once, secs, segment};
use crate::layout::Files;
use crate::primary::{Disk, LocalDisk};

#[tokio::test(start_paused = true)]
async fn a_segment_that_is_removed_before_it_was_shipped_is_held_until_it_is() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.faulty.set_outage(false);
    node.start().await;
    node.faulty.set_outage(true);
    node.fill_up_to(3);
    let before = node.files();
    sleep(secs(2)).await;
    let disk = node.disk();
    disk.keep_name(&segment(1)).unwrap();
    node.remove(&segment(1));
    node.crash().await;
    node.faulty.set_outage(false);
    node.start().await;
    sleep(secs(20)).await;
    assert_eq!(node.disk().held().unwrap().into_iter().collect::<Vec<_>>(), []);
    assert_eq!(world.files().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_is_recycled_before_it_was_shipped_is_shipped_as_it_was() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.faulty.set_outage(true);
    node.fill_up_to(3);
    let before = node.files();
    node.disk().keep_bytes(&segment(1)).unwrap();
    let place = |number| node.directory.path().join(segment(number).as_str());
    std::fs::rename(place(1), place(9)).unwrap();
    std::fs::write(place(9), vec![b'z'; 1 << 20]).unwrap();
    node.crash().await;
    node.faulty.set_outage(false);
    node.start().await;
    sleep(secs(20)).await;
    assert_eq!(world.files().await, before);
}

#[test]
fn what_still_has_its_name_after_a_crash_is_not_held() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.write(100);
    node.disk().keep_name(&segment(1)).unwrap();
    assert!(node.disk().held().unwrap().is_empty());
}

#[test]
fn the_file_held_longest_stands_for_its_name() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.write(100);
    let disk: Arc<LocalDisk> = node.disk();
    let old = id_of(&disk);
    disk.keep_name(&segment(1)).unwrap();
    node.remove(&segment(1));
    assert_eq!(disk.list(None).unwrap().len(), 1);
    std::fs::write(node.directory.path().join(segment(1).as_str()), "new").unwrap();
    assert_eq!(id_of(&disk), old);
    assert_eq!(disk.sync(&segment(1)).unwrap(), old);
    disk.release(&segment(1)).unwrap();
    assert_ne!(id_of(&disk), old);
}

fn id_of(disk: &LocalDisk) -> Option<crate::layout::FileId> {
    let file = disk.open(&segment(1)).unwrap();
    file.map(|file| file.found().unwrap().id)
}
