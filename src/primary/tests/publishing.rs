//! What is shipped, and when.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{World, at_once, path, secs, segment, until};
use crate::primary::{Ended, Leftover, Settings};
use crate::store::Aims;
use crate::store::faulty::{Fault, Weather};
use crate::volume::{Content, Manifest};

fn is_sealed(manifest: &Manifest, number: u64) -> bool {
    let file = manifest.file(&segment(number));
    file.is_some_and(|file| matches!(file.content, Content::Sealed { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_shipped_after_the_interval() {
    let world = World::default();
    let mut node = world.node(Settings::default());
    node.start().await;
    sleep(secs(20)).await;
    node.commit(100);
    sleep(Duration::from_millis(900)).await;
    assert_eq!(world.manifest().await.file_count(), 0);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.manifest().await.file_count(), 1);
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_a_commit_is_shipped_at_once() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    sleep(secs(20)).await;
    let before = Instant::now();
    node.commit(100);
    until(async || world.manifest().await.file_count() == 1).await;
    assert!(before.elapsed() <= Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_hint_is_found_all_the_same() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    sleep(secs(60)).await;
    node.write(100);
    sleep(secs(6)).await;
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn an_idle_primary_asks_nothing_of_the_store() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.commit(100);
    sleep(secs(30)).await;
    let before = node.requests();
    sleep(secs(600)).await;
    assert_eq!(node.requests(), before);
}

#[tokio::test(start_paused = true)]
async fn segments_are_sealed_once_the_next_one_begins() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.fill_up_to(4);
    until(async || is_sealed(&world.manifest().await, 3)).await;
    let manifest = world.manifest().await;
    assert!((1..=3).all(|number| is_sealed(&manifest, number)));
    assert!(!is_sealed(&manifest, 4));
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_large_backlog_goes_in_batches_of_bounded_size() {
    let world = World::default();
    let mut node = world.node(Settings { batch_max: 64 << 10, ..at_once() });
    node.start().await;
    node.commit(600_000);
    sleep(secs(5)).await;
    assert_eq!(world.files().await, node.files());
    let mut largest = 0;
    let mut each = |link: &crate::volume::codec::EncodedLink, _: &Manifest| {
        if let crate::volume::Link::Batch(batch) = &link.link {
            largest = largest.max(batch.payload.len());
        }
    };
    node.chain().catch_up(Manifest::empty(), &mut each).await.unwrap();
    assert!((32 << 10..=64 << 10).contains(&largest), "{largest}");
}

#[tokio::test(start_paused = true)]
async fn lost_replies_lead_to_no_gap_and_no_repetition() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.faulty.script_writes(
        [Fault::LostReply, Fault::OwnEcho, Fault::Conflict, Fault::LostRequest].map(Some),
    );
    for _ in 0..8 {
        node.commit(20_000);
        sleep(secs(40)).await;
    }
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_storm_delays_and_damages_nothing() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.faulty.set_weather(Weather::STORM);
    for _ in 0..60 {
        node.commit(50_000);
        sleep(Duration::from_millis(300)).await;
    }
    node.faulty.set_weather(Weather::CALM);
    assert_eq!(node.stop(secs(600)).await, Ended::Stopped(Leftover::default()));
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_by_itself_what_was_not_shipped() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.commit(100_000);
    sleep(secs(1)).await;
    node.faulty.set_outage(true);
    node.fill_up_to(3);
    sleep(secs(10)).await;
    node.crash().await;
    node.faulty.set_outage(false);
    node.start().await;
    sleep(secs(10)).await;
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_primary_leaves_nothing_behind_or_says_what() {
    let world = World::default();
    let mut node = world.node(Settings::default());
    node.start().await;
    node.commit(100_000);
    assert_eq!(node.stop(secs(30)).await, Ended::Stopped(Leftover::default()));
    assert_eq!(world.files().await, node.files());
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_stopped_without_a_store_says_what_is_left() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.faulty.set_outage(true);
    node.commit(100_000);
    let before = Instant::now();
    let Ended::Stopped(left) = node.stop(secs(5)).await else { panic!("nobody fenced it") };
    assert!(before.elapsed() <= secs(6));
    assert!(left.bytes >= 100_000);
    assert_eq!(left.files, [segment(1)]);
}

#[tokio::test(start_paused = true)]
async fn files_of_the_host_stay_there() {
    let world = World::default();
    let mut node = world.node(at_once());
    std::fs::write(node.directory.path().join("xlogtemp.7"), "scratch").unwrap();
    node.start().await;
    node.commit(100);
    sleep(secs(5)).await;
    assert!(world.manifest().await.file(&path("xlogtemp.7")).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lag_that_was_asked_for_shortens_the_interval_and_a_lack_of_it_is_told() {
    let world = World::default();
    let aims = Aims { max_lag: Some(Duration::from_secs(4)), budget: None };
    let mut node = world.node(Settings { interval: secs(60), aims, ..Settings::default() });
    node.start().await;
    node.commit(10_000);
    sleep(secs(15)).await;
    assert_eq!(world.files().await, node.files(), "long before the interval");
    let told = node.front.account().aims.clone().unwrap();
    assert_eq!((told.interval_seconds, told.missed), (Some(3.0), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_lag_that_an_outage_exceeds_is_told() {
    let world = World::default();
    let aims = Aims { max_lag: Some(Duration::from_secs(4)), budget: None };
    let mut node = world.node(Settings { aims, ..at_once() });
    node.start().await;
    node.faulty.set_outage(true);
    node.commit(10_000);
    sleep(secs(60)).await;
    let told = node.front.account().aims.clone().unwrap();
    assert!(matches!(&told.missed[..], [one] if one.contains("max_lag=4s is missed")), "{told:?}");
    node.faulty.set_outage(false);
    sleep(secs(60)).await;
    assert_eq!(node.front.account().aims.clone().unwrap().missed, [""; 0]);
}
