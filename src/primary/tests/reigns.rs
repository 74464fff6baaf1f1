//! Who may be primary.

use nix::errno::Errno;
use tokio::time::{sleep, timeout};

use super::world::{World, at_once, secs, segment, until};
use crate::primary::{Claim, Ended, Note, StartError};
use crate::store::faulty::Fault;
use crate::store::{Candidate, Claimed};
use crate::volume::WallTime;

#[tokio::test(start_paused = true)]
async fn a_second_node_is_refused_and_told_who_is_primary() {
    let world = World::default();
    let (mut first, mut second) = (world.node(at_once()), world.node(at_once()));
    first.start().await;
    match second.begin(Claim::Continue).await {
        Err(StartError::NotPrimary { name, .. }) => assert_eq!(name, "node 1"),
        other => panic!("{other:?}"),
    }
    first.commit(100);
    sleep(secs(3)).await;
    assert_eq!(world.manifest().await.file_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_primary_cannot_add_and_says_who_replaced_it() {
    let world = World::default();
    let (mut first, mut second) = (world.node(at_once()), world.node(at_once()));
    first.start().await;
    first.commit(100_000);
    sleep(secs(3)).await;
    let shipped = first.files();
    second.begin(Claim::TakeOver).await.unwrap();
    let waiting = first.commit_in_store(100_000);
    let Ended::Fenced(by) = first.ended().await else { panic!("it was replaced") };
    assert!(by.contains("node 2"), "{by}");
    assert_eq!(*waiting.lock().unwrap(), Some(Err(Errno::EROFS)));
    assert_eq!(first.front.barrier.writable(), Err(Errno::EROFS));
    assert_eq!(first.front.account().fenced, Some(by));
    assert_eq!(second.files(), shipped);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_replaced_does_not_come_back_by_itself() {
    let world = World::default();
    let (mut first, mut second) = (world.node(at_once()), world.node(at_once()));
    first.start().await;
    first.commit(100);
    sleep(secs(3)).await;
    first.crash().await;
    second.begin(Claim::TakeOver).await.unwrap();
    let refused = first.begin(Claim::Continue).await;
    assert!(matches!(refused, Err(StartError::NotPrimary { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_fences_the_process_before_it() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.commit(100);
    sleep(secs(3)).await;
    let again = node.begin(Claim::Continue).await.unwrap();
    node.commit(100_000);
    assert!(matches!(node.ended().await, Ended::Fenced(_)));
    node.run(again);
    until(async || world.manifest().await.shipped_len(&segment(1)) >= 100_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_landed_after_its_process_died_is_known_again() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.crash().await;
    node.faulty.script_writes([Some(Fault::Hang)]);
    let died = timeout(secs(1), node.begin(Claim::Continue)).await;
    assert!(died.is_err());
    let kept = Note::recall(&*node.disk()).unwrap().unwrap();
    let late = Candidate {
        writer: kept.candidates[0],
        node: kept.node,
        node_name: "late".to_owned(),
        time: WallTime::default(),
    };
    let landed = node.chain().claim(world.manifest().await, &late, &mut |_, _| {}).await;
    assert!(matches!(landed, Ok(Claimed::Won(_))));
    node.begin(Claim::Continue).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_of_the_directory_is_refused() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.crash().await;
    let kept = node.directory.path().join(".walfs/node.json");
    let old = std::fs::read(&kept).unwrap();
    node.start().await;
    node.crash().await;
    std::fs::write(&kept, old).unwrap();
    let refused = node.begin(Claim::Continue).await;
    assert!(matches!(refused, Err(StartError::Diverged(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_contradicts_what_was_sealed_is_refused() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.fill_up_to(2);
    assert!(matches!(node.stop(secs(60)).await, Ended::Stopped(left) if left.bytes == 0));
    let place = node.directory.path().join(segment(1).as_str());
    let mut bytes = std::fs::read(&place).unwrap();
    bytes[500_000] ^= 1;
    std::fs::write(&place, bytes).unwrap();
    let refused = node.begin(Claim::Continue).await;
    assert!(matches!(refused, Err(StartError::Diverged(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_takeover_brings_every_file_and_sets_aside_what_differs() {
    let world = World::default();
    let (mut first, mut second) = (world.node(at_once()), world.node(at_once()));
    first.start().await;
    first.fill_up_to(3);
    first.stop(secs(60)).await;
    let stranger = second.directory.path().join(segment(2).as_str());
    std::fs::write(stranger, "something else").unwrap();
    std::fs::create_dir(second.directory.path().join(".walfs")).unwrap();
    let removed = second.directory.path().join(".walfs/removed");
    std::fs::write(removed, segment(1).as_str()).unwrap();
    let reign = second.begin(Claim::TakeOver).await.unwrap();
    let mut expected = first.files();
    expected.remove(segment(1).as_str());
    assert_eq!(second.files(), expected);
    let aside = second.directory.path().join(format!(".walfs/aside/{}.1", segment(2)));
    assert_eq!(std::fs::read(aside).unwrap(), b"something else");
    second.run(reign);
    assert!(matches!(second.stop(secs(60)).await, Ended::Stopped(left) if left.bytes == 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_its_note_takes_over_without_losing_its_tail() {
    let world = World::default();
    let mut node = world.node(at_once());
    node.start().await;
    node.commit(100_000);
    sleep(secs(3)).await;
    node.crash().await;
    node.write(100_000);
    let before = node.files();
    std::fs::remove_file(node.directory.path().join(".walfs/node.json")).unwrap();
    assert!(node.begin(Claim::Continue).await.is_err());
    let reign = node.begin(Claim::TakeOver).await.unwrap();
    assert_eq!(node.files(), before);
    node.run(reign);
    sleep(secs(3)).await;
    assert_eq!(world.files().await, before);
}

#[tokio::test(start_paused = true)]
async fn what_an_ended_reign_never_shipped_does_not_come_back() {
    let world = World::default();
    let (mut first, mut second) = (world.node(at_once()), world.node(at_once()));
    first.start().await;
    first.commit(100_000);
    sleep(secs(3)).await;
    first.faulty.set_outage(true);
    first.fill_up_to(3);
    first.crash().await;
    first.faulty.set_outage(false);
    let reign = second.begin(Claim::TakeOver).await.unwrap();
    second.run(reign);
    sleep(secs(3)).await;
    second.crash().await;
    first.begin(Claim::TakeOver).await.unwrap();
    assert_eq!(first.files(), second.files());
    let aside = first.directory.path().join(format!(".walfs/aside/{}.1", segment(2)));
    assert!(aside.exists());
}
