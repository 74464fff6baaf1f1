//! Chains over a store with every fault, on tokio's paused clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use object_store::memory::InMemory;

use super::*;
use crate::store::faulty::{Fault, FaultyStore, Weather};
use crate::store::{Candidate, Claimed, Place};
use crate::volume::codec::encode_link;
use crate::volume::{Batch, Edit, Epoch, NodeId, RelPath, WallTime, WriterId};

/// One volume in memory, reached by many.
struct World {
    objects: Arc<InMemory>,
}

impl World {
    fn new() -> Self {
        Self { objects: Arc::default() }
    }

    fn chain(&self, seed: u64, weather: Weather) -> (Chain, FaultyStore) {
        let objects: Arc<InMemory> = Arc::clone(&self.objects);
        let faulty = FaultyStore::new(objects, seed, weather);
        let place = Place::behind(Arc::new(faulty.clone()), "volume".into(), String::new());
        (Chain::new(Store::new(place, seed)), faulty)
    }

    fn calm(&self) -> Chain {
        self.chain(0, Weather::CALM).0
    }
}

fn candidate(writer: u8) -> Candidate {
    Candidate {
        writer: WriterId([writer; 16]),
        node: NodeId([writer; 16]),
        node_name: format!("node {writer}"),
        time: WallTime(i64::from(writer)),
    }
}

/// A batch after this manifest, which sets a pointer to this value.
fn batch(manifest: &Manifest, writer: u8, value: &'static str) -> EncodedLink {
    let path = RelPath::new("pointer").unwrap();
    encode_link(Link::Batch(Batch {
        position: manifest.successor(),
        writer: WriterId([writer; 16]),
        previous: manifest.digest,
        time: WallTime(0),
        database: None,
        edits: vec![Edit::Set { path, content: Bytes::from_static(value.as_bytes()) }],
        payload: Bytes::new(),
    }))
}

async fn claim(chain: &Chain, writer: u8) -> Result<Claimed, StoreError> {
    let manifest = chain.catch_up(chain.start().await?, &mut |_, _| ()).await?;
    chain.claim(manifest, &candidate(writer), &mut |_, _| ()).await
}

async fn win(chain: &Chain, writer: u8) -> Manifest {
    match claim(chain, writer).await {
        Ok(Claimed::Won(manifest)) => manifest,
        outcome => panic!("writer {writer} did not win: {outcome:?}"),
    }
}

/// Appends batches until the chain says that somebody else reigns.
async fn publish(chain: &Chain, manifest: Manifest, writer: u8, count: usize) -> Manifest {
    let mut manifest = manifest;
    for _ in 0..count {
        let link = batch(&manifest, writer, "value");
        assert!(matches!(chain.append(&link).await, Ok(Appended::Mine)));
        manifest = fold(&manifest, &link).unwrap();
    }
    manifest
}

async fn positions(chain: &Chain) -> Vec<Position> {
    let mut seen = Vec::new();
    let mut note = |link: &EncodedLink, _: &Manifest| seen.push(link.link.position());
    chain.catch_up(Manifest::empty(), &mut note).await.unwrap();
    seen
}

#[tokio::test(start_paused = true)]
async fn an_append_knows_its_own_link_after_every_fault() {
    let late = Fault::Late(Duration::from_secs(3));
    let scripts: [&[Fault]; 8] = [
        &[Fault::Busy],
        &[Fault::LostRequest],
        &[Fault::LostReply],
        &[Fault::OwnEcho],
        &[Fault::Conflict, Fault::Conflict],
        &[Fault::Hang],
        &[late],
        &[late, Fault::Busy, Fault::OwnEcho],
    ];
    for script in scripts {
        let world = World::new();
        let (chain, faulty) = world.chain(1, Weather::CALM);
        let manifest = win(&chain, 1).await;
        faulty.script_writes(script.iter().copied().map(Some));
        let link = batch(&manifest, 1, "value");
        let outcome = chain.append(&link).await;
        assert!(matches!(outcome, Ok(Appended::Mine)), "{script:?}: {outcome:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let found = chain.read(link.link.position()).await.unwrap().unwrap();
        assert_eq!(found.bytes, link.bytes, "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_lands_late_beats_the_rival_or_loses_to_it_but_never_both() {
    let world = World::new();
    let (ours, faulty) = world.chain(1, Weather::CALM);
    let manifest = win(&ours, 1).await;
    faulty.script_writes([Some(Fault::Late(Duration::from_secs(1)))]);
    faulty.script_reads([Some(Fault::Hang)]);
    let link = batch(&manifest, 1, "late");
    let append = tokio::spawn(async move { ours.append(&link).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let theirs = win(&world.calm(), 2).await;
    assert_eq!(theirs.reign.unwrap().position, manifest.successor());
    assert!(matches!(append.await.unwrap(), Ok(Appended::Theirs(_))));
}

#[tokio::test(start_paused = true)]
async fn of_sixteen_candidates_exactly_one_wins() {
    for seed in 0..20 {
        let world = World::new();
        let contest = (1..=16).map(|writer| {
            let (chain, _) = world.chain(seed * 100 + u64::from(writer), Weather::STORM);
            let patience =
                crate::store::Patience { total: Duration::from_secs(600), ..Default::default() };
            let chain = Chain::new(chain.store().with_patience(patience));
            async move { chain.claim(Manifest::empty(), &candidate(writer), &mut |_, _| ()).await }
        });
        let outcomes = join_all(contest).await;
        let mut winners = 0;
        let mut reigns = Vec::new();
        for outcome in outcomes {
            match outcome.unwrap() {
                Claimed::Won(manifest) => {
                    winners += 1;
                    reigns.push(manifest.reign);
                }
                Claimed::Lost(manifest) => reigns.push(manifest.reign),
                Claimed::Overtaken => panic!("nothing was swept"),
            }
        }
        assert_eq!(winners, 1, "seed {seed}");
        assert!(reigns.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_primary_cannot_add() {
    let world = World::new();
    let (old, new) = (world.calm(), world.calm());
    let manifest = win(&old, 1).await;
    let manifest = publish(&old, manifest, 1, 3).await;
    let reign = win(&new, 2).await;
    match old.append(&batch(&manifest, 1, "too late")).await {
        Ok(Appended::Theirs(link)) => assert_eq!(link.link.writer(), WriterId([2; 16])),
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(reign.epoch(), Epoch(2));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_counts_the_batches_that_came_before_its_fence() {
    let world = World::new();
    let chain = world.calm();
    let begun = win(&chain, 1).await;
    let published = publish(&chain, begun.clone(), 1, 4).await;
    let mut seen = 0;
    let claimed = chain.claim(begun, &candidate(2), &mut |_, _| seen += 1).await.unwrap();
    let Claimed::Won(manifest) = claimed else { panic!("{claimed:?}") };
    assert_eq!((seen, manifest.files), (5, published.files));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_seemed_to_fail_is_won_when_it_is_repeated() {
    let world = World::new();
    let (chain, faulty) = world.chain(1, Weather::CALM);
    faulty.script_writes([Some(Fault::LostReply)]);
    faulty.script_reads([Some(Fault::Forbidden)]);
    let first = chain.claim(Manifest::empty(), &candidate(1), &mut |_, _| ()).await;
    assert!(matches!(first, Err(StoreError::Refused(_))), "{first:?}");
    let second = chain.claim(Manifest::empty(), &candidate(1), &mut |_, _| ()).await;
    assert!(matches!(second, Ok(Claimed::Won(_))), "{second:?}");
    let again = win(&world.calm(), 1).await;
    assert_eq!(again.epoch(), Epoch(1));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_slept_past_a_sweep_is_told_so() {
    let world = World::new();
    let chain = world.calm();
    let asleep = win(&chain, 1).await;
    let manifest = publish(&chain, asleep.clone(), 1, 2).await;
    chain.save_checkpoint(&manifest).await.unwrap();
    chain.store().delete(&Key::Link(asleep.successor())).await.unwrap();
    let claimed = chain.claim(asleep, &candidate(2), &mut |_, _| ()).await;
    assert!(matches!(claimed, Ok(Claimed::Overtaken)), "{claimed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_follows_every_fence_and_stops_at_the_end() {
    let world = World::new();
    let chain = world.calm();
    for writer in 1..=3 {
        let manifest = win(&chain, writer).await;
        publish(&chain, manifest, writer, 50).await;
    }
    let seen = positions(&world.chain(9, Weather::STORM).0).await;
    assert_eq!(seen.len(), 3 * 51);
    assert!(seen.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_batch_beyond_its_epochs_fence_is_void() {
    let world = World::new();
    let chain = world.calm();
    let manifest = win(&chain, 1).await;
    let manifest = publish(&chain, manifest, 1, 5).await;
    let fenced = win(&chain, 2).await;
    let fence = fenced.reign.unwrap().position;
    let mut beyond = manifest.clone();
    beyond.position = Some(fence);
    let stray = batch(&beyond, 1, "void");
    assert!(matches!(chain.append(&stray).await, Ok(Appended::Mine)));
    let garbage = Key::Link(fence.next().next());
    chain.store().put(&garbage, Bytes::from_static(b"not a link")).await.unwrap();
    assert_eq!(positions(&chain).await.last(), Some(&fence));
}

#[tokio::test(start_paused = true)]
async fn a_reader_at_the_end_pays_for_one_request() {
    let world = World::new();
    let chain = world.calm();
    let manifest = win(&chain, 1).await;
    let count = |chain: &Chain| chain.store().meter().requests()["get_miss"];
    let before = count(&chain);
    chain.catch_up(manifest, &mut |_, _| ()).await.unwrap();
    assert_eq!(count(&chain) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let world = World::new();
    let chain = world.calm();
    let first = win(&chain, 1).await;
    chain.save_checkpoint(&first).await.unwrap();
    chain.save_checkpoint(&first).await.unwrap();
    let second = publish(&chain, first.clone(), 1, 3).await;
    assert_eq!(chain.start().await.unwrap(), first);
    chain.save_checkpoint(&second).await.unwrap();
    assert_eq!(chain.start().await.unwrap(), second);
    let newest = Key::Checkpoint(second.position.unwrap());
    chain.store().put(&newest, Bytes::from_static(b"damaged")).await.unwrap();
    assert_eq!(chain.start().await.unwrap(), first);
    chain.store().delete(&Key::Checkpoint(first.position.unwrap())).await.unwrap();
    assert_eq!(chain.start().await.unwrap(), Manifest::empty());
    chain.store().delete(&Key::Link(Manifest::empty().successor())).await.unwrap();
    assert!(matches!(chain.start().await, Err(StoreError::Corrupt { .. })));
}
