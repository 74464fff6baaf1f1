//! The real S3 client against a server that misbehaves: what the store says is never believed
//! further than it goes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod doctor;
mod proxy;
mod server;
mod way;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use walfs::store::{Appended, Chain, Created, Patience, Store, StoreError, connect};
use walfs::volume::codec::{EncodedLink, encode_link};
use walfs::volume::keys::Key;
use walfs::volume::{Digest, Epoch, Fence, Link, NodeId, Position, WallTime, WriterId};

use server::{Act, Server};

const FIRST: Position = Position::first(Epoch::GENESIS);

fn reach(server: &Server) -> Store {
    let options = BTreeMap::from([
        ("endpoint".to_owned(), server.endpoint()),
        ("skip_signature".to_owned(), "true".to_owned()),
    ]);
    let place = connect("s3://bucket/pg", &options).unwrap();
    let (attempt, total) = (Duration::from_millis(300), Duration::from_secs(3));
    Store::new(place, 1).with_patience(Patience { attempt, total })
}

fn fence_of(writer: u8) -> EncodedLink {
    encode_link(Link::Fence(Fence {
        position: FIRST,
        writer: WriterId([writer; 16]),
        previous: Digest::GENESIS,
        time: WallTime(1),
        next: Epoch::GENESIS.next(),
        node: NodeId([writer; 16]),
        node_name: format!("node {writer}"),
    }))
}

fn path_of_first() -> String {
    format!("/bucket/pg/{}", Key::Link(FIRST))
}

#[tokio::test]
async fn our_own_link_is_recognised_after_every_misleading_answer() {
    let silence = Act::Later(Duration::from_millis(500));
    let scripts: [&[Act]; 10] = [
        &[Act::Well],
        &[Act::DoneBut(500)],
        &[Act::DoneBut(412)],
        &[Act::DoneAndGone],
        &[Act::Not(503), Act::Not(503)],
        &[Act::Not(409)],
        &[Act::Gone],
        &[silence],
        &[silence, silence, Act::Not(503)],
        &[Act::Not(409), Act::DoneBut(500)],
    ];
    for script in scripts {
        let server = Server::start().await;
        server.script_puts(script);
        let ours = fence_of(1);
        let outcome = Chain::new(reach(&server)).append(&ours).await;
        assert!(matches!(outcome, Ok(Appended::Mine)), "{script:?}: {outcome:?}");
        let read = Chain::new(reach(&server)).read(FIRST).await.unwrap().unwrap();
        assert_eq!(read.bytes, ours.bytes, "{script:?}");
    }
}

#[tokio::test]
async fn a_rivals_link_is_never_taken_for_ours() {
    let silence = Act::Later(Duration::from_millis(500));
    let scripts: [&[Act]; 6] = [
        &[Act::Well],
        &[Act::DoneBut(500)],
        &[Act::DoneAndGone],
        &[Act::Not(503)],
        &[Act::Not(409), Act::Gone],
        &[silence],
    ];
    for script in scripts {
        let server = Server::start().await;
        let theirs = fence_of(2);
        server.place(&path_of_first(), &theirs.bytes);
        server.script_puts(script);
        match Chain::new(reach(&server)).append(&fence_of(1)).await {
            Ok(Appended::Theirs(link)) => assert_eq!(link.bytes, theirs.bytes, "{script:?}"),
            outcome => panic!("{script:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_store_that_stays_away_leaves_the_outcome_open() {
    let server = Server::start().await;
    server.script_puts(&[Act::Not(503); 100]);
    let patience =
        Patience { attempt: Duration::from_millis(100), total: Duration::from_millis(400) };
    let chain = Chain::new(reach(&server).with_patience(patience));
    let error = chain.append(&fence_of(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("SlowDown")), "{error}");
    assert!(server.served().0 > 1);
}

#[tokio::test]
async fn a_link_that_was_damaged_on_the_way_is_read_again() {
    let acts = [Act::HalfThenGone, Act::HalfAsWhole, Act::BitFlipped];
    for act in acts {
        let server = Server::start().await;
        let link = fence_of(1);
        server.place(&path_of_first(), &link.bytes);
        let chain = Chain::new(reach(&server));
        server.script_gets(&[act]);
        assert_eq!(chain.read(FIRST).await.unwrap().unwrap().bytes, link.bytes, "{act:?}");
    }
}

#[tokio::test]
async fn a_link_that_is_damaged_in_the_store_is_named() {
    let server = Server::start().await;
    server.place(&path_of_first(), b"not a link");
    let error = Chain::new(reach(&server)).read(FIRST).await.unwrap_err();
    let named = Key::Link(FIRST).to_string();
    assert!(matches!(&error, StoreError::Corrupt { key, .. } if *key == named), "{error}");
}

#[tokio::test]
async fn a_missing_link_a_missing_bucket_and_a_closed_door_are_three_things() {
    let server = Server::start().await;
    let store = reach(&server);
    assert_eq!(store.get(&Key::Link(FIRST)).await, Ok(None));
    server.script_gets(&[Act::Not(1404)]);
    let error = store.get(&Key::Link(FIRST)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(why) if why.contains("NoSuchBucket")), "{error}");
    server.script_gets(&[Act::Not(403)]);
    let error = store.get(&Key::Link(FIRST)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(why) if why.contains("grant")), "{error}");
    server.script_puts(&[Act::Not(403), Act::Not(1404)]);
    for _ in 0..2 {
        let created = store.create(&Key::Link(FIRST), Bytes::from_static(b"x")).await;
        assert!(matches!(created, Err(StoreError::Refused(_))), "{created:?}");
    }
}

#[tokio::test]
async fn a_create_is_sent_once_and_a_put_until_it_succeeds() {
    let server = Server::start().await;
    let (store, key) = (reach(&server), Key::Link(FIRST));
    server.script_puts(&[Act::Not(503)]);
    let created = store.create(&key, Bytes::from_static(b"x")).await.unwrap();
    assert!(matches!(created, Created::Unclear(_)));
    assert_eq!(server.served().0, 1);
    server.script_puts(&[Act::Not(500), Act::DoneBut(500), Act::DoneAndGone, Act::Gone]);
    assert_eq!(store.put(&key, Bytes::from_static(b"y")).await, Ok(()));
    assert_eq!(server.served().0, 6);
}

#[tokio::test]
async fn a_range_has_the_right_length_or_is_an_error() {
    let server = Server::start().await;
    let (store, key) = (reach(&server), Key::Link(FIRST));
    server.place(&path_of_first(), b"0123456789");
    let acts = [Act::HalfThenGone, Act::HalfAsWhole, Act::RangeIgnored, Act::Not(500), Act::Gone];
    for act in acts {
        server.script_gets(&[act]);
        let range = store.get_range(&key, 2..8).await;
        assert_eq!(range, Ok(Bytes::from_static(b"234567")), "{act:?}");
    }
    assert!(matches!(store.get_range(&key, 8..12).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn two_rivals_on_a_bad_day_agree_on_who_won() {
    let acts = [
        Act::Well,
        Act::Well,
        Act::DoneBut(500),
        Act::DoneBut(412),
        Act::DoneAndGone,
        Act::Gone,
        Act::Not(409),
        Act::Not(503),
        Act::Later(Duration::from_millis(150)),
    ];
    let mut rng = StdRng::seed_from_u64(1);
    let contest = (0..40).map(|_| {
        let script: Vec<Act> = (0..6).filter_map(|_| acts.choose(&mut rng).copied()).collect();
        async move {
            let server = Server::start().await;
            server.script_puts(&script);
            let attempt = Duration::from_millis(100);
            let patience = Patience { attempt, total: Duration::from_secs(20) };
            let rival = |writer| {
                let chain = Chain::new(reach(&server).with_patience(patience));
                async move { chain.append(&fence_of(writer)).await.unwrap() }
            };
            match tokio::join!(rival(1), rival(2)) {
                (Appended::Mine, Appended::Theirs(link)) => {
                    assert_eq!(link.bytes, fence_of(1).bytes);
                }
                (Appended::Theirs(link), Appended::Mine) => {
                    assert_eq!(link.bytes, fence_of(2).bytes);
                }
                outcome => panic!("{script:?}: {outcome:?}"),
            }
        }
    });
    futures::future::join_all(contest).await;
}
