//! What walfs needs of a store, asked of each kind of store with the same questions: memory and
//! files always, a real server where `WALFS_CONTRACT_URL` names one (`scripts/test-stores` starts
//! them). `WALFS_CONTRACT_ROUNDS` says how many epochs are fought for, and `WALFS_CONTRACT_SLOW`
//! that a thousand objects are too many.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and is told by its environment what to ask"
)]

mod bed;
mod hosts;
mod leftovers;
mod lossy;

use std::ops::Range;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use walfs::store::{Candidate, Chain, Claimed, Created, StoreError, fetch_frames, upload};
use walfs::volume::keys::Key;
use walfs::volume::{
    BatchNumber, Epoch, Manifest, NodeId, Position, SegmentId, WallTime, WriterId,
};

use bed::{Bed, Body};

const WRITERS: u8 = 16;
/// More than the pages of lists hold.
const MANY: u64 = 1_100;
const AT_ONCE: usize = 16;

fn link(epoch: u64, number: u64) -> Key {
    Key::Link(Position { epoch: Epoch(epoch), number: BatchNumber(number) })
}

/// Every question, in a place of its own.
async fn keeps_the_contract(bed: &Bed) {
    reads_what_was_created(&bed.fresh("read")).await;
    keeps_a_taken_name(&bed.fresh("taken")).await;
    has_one_winner_per_name(&bed.fresh("race")).await;
    takes_large_bodies(&bed.fresh("body")).await;
    lists_and_deletes_many(&bed.fresh("many")).await;
    hides_what_is_not_ours(&bed.fresh("alien")).await;
    leftovers::hides_and_sweeps_what_dead_writers_left(&bed.fresh("left")).await;
    has_one_winner_per_epoch(&bed.fresh("epoch"), Bed::rounds()).await;
}

async fn reads_what_was_created(bed: &Bed) {
    let (store, bytes) = (bed.store(1), Bytes::from_static(b"0123456789"));
    assert_eq!(store.get(&link(1, 0)).await, Ok(None), "a missing object is no error");
    assert_eq!(store.create(&link(1, 0), bytes.clone()).await, Ok(Created::New));
    // A second client: what one wrote, another one reads at once, though it asked too early.
    assert_eq!(bed.store(2).get(&link(1, 0)).await, Ok(Some(bytes.clone())));
    assert_eq!(store.get_range(&link(1, 0), 3..7).await, Ok(bytes.slice(3..7)));
    assert_eq!(store.get_range(&link(1, 0), 9..10).await, Ok(bytes.slice(9..10)));
    let error = store.get_range(&link(1, 0), 8..12).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let error = store.get_range(&link(1, 1), 0..2).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing(_)), "{error}");
    let empty = store.create(&link(1, 2), Bytes::new()).await;
    assert_eq!((empty, store.get(&link(1, 2)).await), (Ok(Created::New), Ok(Some(Bytes::new()))));
}

async fn keeps_a_taken_name(bed: &Bed) {
    let (store, first) = (bed.store(1), Bytes::from_static(b"first"));
    assert_eq!(store.create(&link(1, 0), first.clone()).await, Ok(Created::New));
    for _ in 0..3 {
        let second = store.create(&link(1, 0), Bytes::from_static(b"second")).await.unwrap();
        assert!(matches!(second, Created::Unclear(_)), "{second:?}");
    }
    assert_eq!(store.get(&link(1, 0)).await, Ok(Some(first)));
    let body = Key::Segment(SegmentId { epoch: Epoch(1), counter: 1 });
    for text in ["one", "two"] {
        assert_eq!(store.put(&body, Bytes::from_static(text.as_bytes())).await, Ok(()));
    }
    assert_eq!(store.get(&body).await, Ok(Some(Bytes::from_static(b"two"))));
}

async fn has_one_winner_per_name(bed: &Bed) {
    for number in 0..10 {
        let race = (0..WRITERS).map(|writer| {
            let store = bed.store(writer.into());
            // Long enough for several packets.
            let bytes = Bytes::from(vec![writer; 100_000]);
            async move { (writer, store.create(&link(1, number), bytes).await.unwrap()) }
        });
        let outcomes = join_all(race).await;
        let won: Vec<_> = outcomes.iter().filter(|(_, made)| *made == Created::New).collect();
        assert_eq!(won.len(), 1, "name {number}: {outcomes:?}");
        let bytes = bed.store(1).get(&link(1, number)).await.unwrap().unwrap();
        assert!(bytes.len() == 100_000 && bytes.iter().all(|byte| *byte == won[0].0));
    }
}

async fn takes_large_bodies(bed: &Bed) {
    let store = bed.store(1);
    // In one request, and in parts.
    for (counter, len) in [(1, 3 << 20), (2, 20 << 20)] {
        let id = SegmentId { epoch: Epoch(1), counter };
        let mut body = Body::new(len);
        let uploaded = upload(&store, id, body.members(), &mut body).await.unwrap().unwrap();
        let segment = body.segment(uploaded);
        let frames = fetch_frames(&bed.store(2), id, &segment, 0..segment.frames.len()).await;
        let bytes: Vec<u8> = frames.unwrap().concat();
        assert!(bytes == body.bytes(), "a body of {len} bytes comes back as it was");
    }
}

async fn lists_and_deletes_many(bed: &Bed) {
    let store = &bed.store(1);
    let each = |number| async move {
        let made = store.create(&link(7, number), Bytes::from_static(b"x")).await;
        assert_eq!(made, Ok(Created::New), "name {number}");
    };
    let numbers = 0..bed.many(MANY);
    let count = usize::try_from(numbers.end).unwrap();
    stream::iter(numbers.clone()).for_each_concurrent(AT_ONCE, each).await;
    store.create(&link(8, 0), Bytes::from_static(b"y")).await.unwrap();
    let listed = store.list(&bed::folder_of(&link(7, 0))).await.unwrap();
    let expected: Vec<_> = numbers.clone().map(|number| link(7, number)).collect();
    let keys: Vec<_> = listed.iter().map(|found| found.key.clone()).collect();
    let missing = expected.iter().find(|key| !keys.contains(key));
    assert!(keys == expected, "{} of {count} are listed, {missing:?} is not", keys.len());
    assert!(listed.iter().all(|found| found.size == 1));
    assert_eq!(store.list("log").await.unwrap().len(), count + 1);
    assert_eq!(store.list("segments").await, Ok(Vec::new()));
    let each = |number| async move { store.delete(&link(7, number)).await.unwrap() };
    stream::iter(numbers).for_each_concurrent(AT_ONCE, each).await;
    assert_eq!(store.list("log").await.unwrap().len(), 1, "what was deleted is not listed");
    assert_eq!(store.delete(&link(7, 0)).await, Ok(()), "nor is it an error that it is gone");
    assert_eq!(store.get(&link(7, 0)).await, Ok(None));
}

async fn hides_what_is_not_ours(bed: &Bed) {
    let store = bed.store(1);
    let key = link(1, 0);
    store.create(&key, Bytes::from_static(b"x")).await.unwrap();
    let place = bed.place();
    let folder = bed::folder_of(&key).split('/').fold(place.prefix.clone(), Path::join);
    for alien in [".0000.tmp.1", "README"] {
        place
            .objects
            .put(&folder.clone().join(alien), PutPayload::from_static(b"x"))
            .await
            .unwrap();
    }
    assert_eq!(store.list("log").await.unwrap().len(), 1);
}

async fn has_one_winner_per_epoch(bed: &Bed, rounds: u64) {
    for round in 0..rounds {
        let place = bed.fresh(&format!("{round}"));
        assert_eq!(claims_won(&place, 0..WRITERS).await, 1, "round {round}");
        let first = Chain::new(place.store(1)).read(Position::first(Epoch::GENESIS)).await;
        assert!(first.unwrap().is_some(), "round {round}");
    }
}

/// How many of these writers became primary when all claimed the first epoch at once.
async fn claims_won(place: &Bed, writers: Range<u8>) -> usize {
    let race = writers.map(|writer| {
        let chain = Chain::new(place.store(writer.into()));
        let candidate = Candidate {
            writer: WriterId([writer; 16]),
            node: NodeId([writer; 16]),
            node_name: format!("node {writer}"),
            time: WallTime(1),
        };
        async move { chain.claim(Manifest::empty(), &candidate, &mut |_, _| {}).await.unwrap() }
    });
    let outcomes = join_all(race).await;
    outcomes.iter().filter(|claimed| matches!(claimed, Claimed::Won(_))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_the_contract() {
    keeps_the_contract(&Bed::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    keeps_the_contract(&Bed::at(format!("file://{}/store", directory.path().display()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_and_loses_answers_has_one_winner_per_epoch() {
    let url = "sim+memory://contract-lab/x?put=2ms,9ms&error=0.2&lose=0.2".to_owned();
    has_one_winner_per_epoch(&Bed::at(url), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_keeps_the_contract() {
    match Bed::server() {
        Some(bed) => keeps_the_contract(&bed).await,
        None => bed::skip("WALFS_CONTRACT_URL names no server"),
    }
}
