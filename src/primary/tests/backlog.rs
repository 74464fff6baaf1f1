//! What waits for the store, and for room.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::world::{Node, World, at_once, secs};
use crate::fuse::filesystem::{Answer, Reply};
use crate::primary::{BacklogFull, Durability, Settings};

fn in_store() -> Settings {
    Settings { durability: Durability::InStore, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_must_be_in_the_store_waits_for_its_batch_and_no_longer() {
    let world = World::default();
    let mut node = world.node(in_store());
    node.start().await;
    sleep(secs(10)).await;
    let answer = node.commit_in_store(100_000);
    sleep(Duration::from_millis(5)).await;
    assert_eq!(*answer.lock().unwrap(), Some(Ok(())));
    assert!(world.manifest().await.byte_count() > 0);
    node.faulty.set_outage(true);
    let answer = node.commit_in_store(100_000);
    sleep(secs(300)).await;
    assert_eq!(*answer.lock().unwrap(), None);
    node.faulty.set_outage(false);
    sleep(secs(30)).await;
    assert_eq!(*answer.lock().unwrap(), Some(Ok(())));
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_sync_is_answered_though_others_keep_writing() {
    let world = World::default();
    let mut node = world.node(Settings { batch_max: 16 << 10, ..in_store() });
    node.start().await;
    let answer = node.commit_in_store(200_000);
    for _ in 0..400 {
        node.commit(60_000);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(*answer.lock().unwrap(), Some(Ok(())));
}

fn asks_for_room(node: &Node) -> Arc<Mutex<Option<Answer<()>>>> {
    let seen = Arc::<Mutex<Option<Answer<()>>>>::default();
    let answered = Arc::clone(&seen);
    node.front.barrier.wait_for_room(Reply::new(move |answer| {
        *answered.lock().unwrap() = Some(answer);
    }));
    seen
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_blocks_until_the_store_is_back() {
    let world = World::default();
    let settings = Settings { backlog_max: 300_000, backlog_full: BacklogFull::Block, ..at_once() };
    let mut node = world.node(settings);
    node.start().await;
    node.faulty.set_outage(true);
    node.commit(100_000);
    sleep(secs(3)).await;
    assert_eq!(*asks_for_room(&node).lock().unwrap(), Some(Ok(())));
    node.commit(500_000);
    sleep(secs(3)).await;
    let waiting = asks_for_room(&node);
    sleep(secs(100)).await;
    assert_eq!(*waiting.lock().unwrap(), None);
    assert!(node.front.account().backlog > 300_000);
    node.faulty.set_outage(false);
    sleep(secs(30)).await;
    assert_eq!(*waiting.lock().unwrap(), Some(Ok(())));
    assert_eq!(node.front.account().backlog, 0);
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_that_shouts_lets_syncs_pass() {
    let world = World::default();
    let mut node = world.node(Settings { backlog_max: 300_000, ..in_store() });
    node.start().await;
    node.faulty.set_outage(true);
    let first = node.commit_in_store(100_000);
    sleep(secs(3)).await;
    assert_eq!(*first.lock().unwrap(), None);
    let second = node.commit_in_store(500_000);
    sleep(secs(3)).await;
    assert_eq!(*first.lock().unwrap(), Some(Ok(())));
    assert_eq!(*second.lock().unwrap(), Some(Ok(())));
}
