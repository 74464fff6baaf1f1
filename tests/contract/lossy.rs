//! A long chain over a store that loses answers and gives misleading ones: nothing is missing,
//! nothing is there twice, and nobody is deposed by an echo of his own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use walfs::store::faulty::{FaultyStore, Latency, Weather};
use walfs::store::{Appended, Candidate, Chain, Claimed, Place, Store};
use walfs::volume::codec::{EncodedLink, encode_link};
use walfs::volume::{
    Batch, Digest, Edit, Link, Manifest, NodeId, Position, RelPath, WallTime, WriterId,
};

const BATCHES: u64 = 100_000;
const WRITER: WriterId = WriterId([1; 16]);

fn chain(objects: &Arc<InMemory>, seed: u64) -> Chain {
    let weather = Weather {
        errors: 0.05,
        lost: 0.05,
        writes: Latency::Between(Duration::from_millis(5)..Duration::from_millis(90)),
        ..Weather::CALM
    };
    let faulty = FaultyStore::new(Arc::<InMemory>::clone(objects), seed, weather);
    let place = Place::behind(Arc::new(faulty), "volume".into(), String::new());
    Chain::new(Store::new(place, seed))
}

fn batch(position: Position, previous: Digest, content: u64) -> EncodedLink {
    let path = RelPath::new("pointer").unwrap();
    let content = Bytes::copy_from_slice(&content.to_le_bytes());
    encode_link(Link::Batch(Batch {
        position,
        writer: WRITER,
        previous,
        time: WallTime(0),
        database: None,
        edits: vec![Edit::Set { path, content }],
        payload: Bytes::new(),
    }))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_batches_over_a_store_that_loses_answers_are_all_there_once() {
    let objects = Arc::new(InMemory::new());
    let chain_of_primary = chain(&objects, 7);
    let candidate = Candidate {
        writer: WRITER,
        node: NodeId([1; 16]),
        node_name: "primary".to_owned(),
        time: WallTime(0),
    };
    let claimed = chain_of_primary.claim(Manifest::empty(), &candidate, &mut |_, _| ()).await;
    let Ok(Claimed::Won(reign)) = claimed else { panic!("{claimed:?}") };
    let (mut next, mut previous) = (reign.successor(), reign.digest);
    for number in 0..BATCHES {
        let link = batch(next, previous, number);
        let outcome = chain_of_primary.append(&link).await;
        assert!(matches!(outcome, Ok(Appended::Mine)), "batch {number}: {outcome:?}");
        (next, previous) = (next.next(), link.digest);
    }
    let errors = chain_of_primary.store().meter().requests()["error"];
    assert!(errors > BATCHES / 12, "only {errors} requests failed");

    let mut seen = 0;
    let mut each = |link: &EncodedLink, _: &Manifest| {
        let Link::Batch(batch) = &link.link else { return };
        let Edit::Set { content, .. } = &batch.edits[0] else { panic!("{batch:?}") };
        assert_eq!(content[..], u64::to_le_bytes(seen), "in order, without a gap");
        seen += 1;
    };
    let end = chain(&objects, 8).catch_up(Manifest::empty(), &mut each).await.unwrap();
    assert_eq!((seen, end.digest), (BATCHES, previous));
}
