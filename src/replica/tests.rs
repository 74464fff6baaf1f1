//! A replica without a mount, over a volume in memory.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::store::StoreError;
use crate::volume::Edit;
use crate::volume::frames::FRAME;

use super::lab::{Lab, Reader, noise, path};
use super::reading::ReadError;

const PAGE: usize = 8192;
const SIZE: usize = 3 * 1024 * 1024 + 5000;

/// Reads a file in pieces that fit no border.
async fn read_all(reader: &Reader, name: &str) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let offset = u64::try_from(all.len()).unwrap();
        let piece = reader.read(name, offset, 100_001).await.unwrap();
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

/// The cache's files, the largest first.
fn cached_files(lab: &Lab) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(lab.directory.path().join("cache")).unwrap();
    let mut files: Vec<_> = files.map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.file_name().unwrap() != "lock");
    files.sort_by_key(|it| std::cmp::Reverse(fs::metadata(it).unwrap().len()));
    files
}

#[tokio::test(start_paused = true)]
async fn a_tail_is_shown_as_it_grows_and_is_overwritten() {
    let mut lab = Lab::new().await;
    let mut reader = lab.started().await;
    assert_eq!(reader.read("a", 0, 10).await, None);
    let (first, second) = (noise(1, PAGE), noise(2, 2 * PAGE));
    lab.write("a", 1 << 20, 0, &first);
    lab.publish().await;
    reader.follower.step().await;
    let seen = reader.shown.see(&path("a")).unwrap();
    lab.write("a", 1 << 20, 0, &second);
    lab.publish().await;
    assert_eq!(reader.read("a", 0, PAGE).await.unwrap(), first);
    reader.follower.step().await;
    let shown = reader.read("a", 100, 3 * PAGE).await.unwrap();
    assert_eq!(shown[..2 * PAGE - 100], second[100..]);
    assert!(shown[2 * PAGE - 100..].iter().all(|byte| *byte == 0));
    assert_eq!(reader.read("a", (1 << 20) - 10, PAGE).await.unwrap().len(), 10);
    // Who opened the file before sees its present bytes.
    assert_eq!(reader.shown.read_file(&seen, 0, 2 * PAGE).await.unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn what_came_as_tail_is_not_fetched_when_it_is_sealed() {
    let mut lab = Lab::new().await;
    let mut reader = lab.started().await;
    let (one, two, three) = (noise(1, SIZE), noise(2, SIZE), noise(3, 100));
    for (name, bytes) in [("one", &one), ("d/two", &two), ("d/three", &three)] {
        lab.write(name, u64::try_from(bytes.len()).unwrap(), 0, bytes);
    }
    lab.publish().await;
    lab.seal(&[("one", &one)]).await;
    lab.seal(&[("d/two", &two), ("d/three", &three)]).await;
    lab.publish().await;
    reader.follower.step().await;
    let gets = reader.gets();
    for (name, bytes) in [("one", &one), ("d/two", &two), ("d/three", &three)] {
        assert!(read_all(&reader, name).await == **bytes, "{name}");
    }
    assert_eq!(reader.gets(), gets);
    assert_eq!(cached_files(&lab).len(), 2, "the tails are gone");
}

#[tokio::test(start_paused = true)]
async fn a_sealed_file_is_fetched_once_and_its_neighbours_ahead() {
    let mut lab = Lab::new().await;
    let big = noise(1, 9 << 20);
    for name in ["1", "2", "3", "4"] {
        lab.seal(&[(name, &big)]).await;
    }
    lab.publish().await;
    let reader = lab.started().await;
    let gets = reader.gets();
    let (a, b) = tokio::join!(reader.read("1", 5, 10), reader.read("1", 100, 10));
    assert_eq!(
        (a.unwrap(), b.unwrap()),
        (big[5..15].to_vec().into(), big[100..110].to_vec().into())
    );
    assert_eq!(reader.gets(), gets + 1, "two readers, one flight");
    let seen = reader.shown.see(&path("1")).unwrap();
    assert!(reader.shown.whole(&seen).is_none());
    reader.shown.fetch_ahead(&seen, 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(reader.gets(), gets + 9);
    assert!(reader.shown.whole(&seen).is_some());
    for name in ["1", "2", "3"] {
        assert!(read_all(&reader, name).await == big);
    }
    assert_eq!(reader.gets(), gets + 9);
}

#[tokio::test(start_paused = true)]
async fn the_cache_survives_a_restart() {
    let mut lab = Lab::new().await;
    let bytes = noise(1, SIZE);
    lab.seal(&[("a", &bytes)]).await;
    lab.publish().await;
    let reader = lab.started().await;
    assert!(read_all(&reader, "a").await == bytes);
    drop(reader);
    let reader = lab.started().await;
    let gets = reader.gets();
    assert!(read_all(&reader, "a").await == bytes);
    assert_eq!(reader.gets(), gets);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_cache_heals() {
    let mut lab = Lab::new().await;
    let (sealed, tail) = (noise(1, SIZE), noise(2, 4 * PAGE));
    lab.seal(&[("sealed", &sealed)]).await;
    lab.write("tail", 1 << 20, 0, &tail);
    lab.publish().await;
    let reader = lab.started().await;
    assert!(read_all(&reader, "sealed").await == sealed);
    drop(reader);
    let files = cached_files(&lab);
    for (file, at) in [(&files[0], FRAME + 77), (&files[0], 2 * FRAME), (&files[1], 9000)] {
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.write_all_at(b"damaged", at).unwrap();
    }
    fs::OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(3 * FRAME).unwrap();
    let mut reader = lab.reader(1 << 30);
    // The batch is not read again, so that the tail is what the cache has of it.
    reader.shown.begin(lab.manifest.clone());
    for _ in 0..2 {
        assert!(read_all(&reader, "sealed").await == sealed);
        assert_eq!(reader.read("tail", 0, 4 * PAGE).await.unwrap(), tail);
    }
    reader.follower.step().await;
    assert_eq!(reader.gets(), 3, "one chunk, one batch, one look for news");
    assert!(fs::read(&files[0]).unwrap() == sealed);
}

#[tokio::test(start_paused = true)]
async fn damage_in_the_store_is_an_error_and_never_bytes() {
    let mut lab = Lab::new().await;
    let bytes = noise(1, SIZE);
    let id = lab.seal(&[("a", &bytes)]).await;
    lab.publish().await;
    lab.damage(id, 10).await;
    let reader = lab.started().await;
    let lost = reader.shown.read(&path("a"), 0, 10).await;
    let cause = match lost {
        Err(ReadError::Lost { cause: StoreError::Corrupt { key, .. }, .. }) => key,
        other => panic!("{other:?}"),
    };
    assert_eq!(cause, crate::volume::keys::Key::Segment(id).to_string());
}

#[tokio::test(start_paused = true)]
async fn the_cache_stays_within_its_bound() {
    let mut lab = Lab::new().await;
    let names: Vec<_> = (0..8).map(|number| format!("{number}")).collect();
    for (name, seed) in names.iter().zip(0..) {
        lab.seal(&[(name, &noise(seed, SIZE))]).await;
    }
    lab.publish().await;
    let mut reader = lab.reader(8 << 20);
    reader.follower.start().await.unwrap();
    for (name, seed) in names.iter().zip(0..) {
        assert!(read_all(&reader, name).await == noise(seed, SIZE));
        let bytes = reader.shown.cache().bytes();
        assert!(bytes <= 9 << 20, "{bytes}");
    }
    assert_eq!(cached_files(&lab).len(), 2);
    assert!(read_all(&reader, "0").await == noise(0, SIZE));
}

#[tokio::test(start_paused = true)]
async fn readers_wait_while_the_store_is_away() {
    let mut lab = Lab::new().await;
    let bytes = noise(1, SIZE);
    lab.seal(&[("a", &bytes)]).await;
    lab.publish().await;
    let mut reader = lab.started().await;
    lab.faulty.set_outage(true);
    let back = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        lab.faulty.set_outage(false);
    };
    let (read, ()) = tokio::join!(reader.read("a", 7, 100), back);
    assert_eq!(read.unwrap(), bytes[7..107].to_vec());
    lab.faulty.set_outage(true);
    assert!(reader.follower.step().await < Duration::from_secs(1));
    assert_eq!(reader.read("a", 7, 100).await.unwrap(), bytes[7..107].to_vec());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_is_an_error_in_time() {
    let mut lab = Lab::new().await;
    lab.seal(&[("a", &noise(1, SIZE))]).await;
    lab.publish().await;
    let reader = lab.started().await;
    lab.faulty.set_outage(true);
    let begun = tokio::time::Instant::now();
    let read = reader.shown.read(&path("a"), 0, 10).await;
    assert!(matches!(read, Err(ReadError::Away { .. })), "{read:?}");
    assert!(begun.elapsed() < Duration::from_secs(32), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_link_is_never_shown_and_tried_again() {
    let mut lab = Lab::new().await;
    let mut reader = lab.started().await;
    lab.write("a", 10, 0, b"0123456789");
    lab.publish().await;
    let wrong = Some(crate::store::faulty::Fault::Wrong);
    lab.faulty.script_reads([wrong, wrong]);
    let before = reader.shown.view().manifest.position;
    reader.follower.step().await;
    assert_eq!(reader.shown.view().manifest.position, before);
    let mut status = crate::fuse::status::Status::default();
    reader.health.tell(&mut status, &reader.shown, super::lab::Noon::NOW);
    assert_eq!(status.state, "damaged");
    reader.follower.step().await;
    assert_eq!(reader.read("a", 0, 100).await.unwrap(), "0123456789");
}

#[tokio::test(start_paused = true)]
async fn a_follower_goes_on_in_the_next_epoch() {
    let mut lab = Lab::new().await;
    let mut reader = lab.started().await;
    lab.write("a", 3, 0, b"old");
    lab.publish().await;
    lab.elect(2).await;
    lab.write("a", 3, 0, b"new");
    lab.publish().await;
    reader.follower.step().await;
    assert_eq!(reader.shown.view().manifest, lab.manifest);
    assert_eq!(reader.read("a", 0, 100).await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn an_idle_replica_asks_rarely() {
    let lab = Lab::new().await;
    let mut reader = lab.started().await;
    let mut follow = async |seconds| {
        let (gets, begun) = (reader.gets(), tokio::time::Instant::now());
        while begun.elapsed() < Duration::from_secs(seconds) {
            let wait = reader.follower.step().await;
            tokio::time::sleep(wait).await;
        }
        reader.gets() - gets
    };
    assert!(follow(60).await < 100);
    assert_eq!(follow(60).await, 12);
    assert_eq!(reader.store.meter().requests().get("list"), Some(&1), "at the start");
}

#[tokio::test(start_paused = true)]
async fn a_removed_file_that_comes_again_is_another_one() {
    let mut lab = Lab::new().await;
    lab.write("a", 3, 0, b"one");
    lab.publish().await;
    let mut reader = lab.started().await;
    let first = reader.shown.see(&path("a")).unwrap();
    lab.edit(Edit::Remove { path: path("a") });
    lab.publish().await;
    lab.write("a", 5, 0, b"other");
    lab.write("b", 1, 0, b"b");
    lab.publish().await;
    reader.follower.step().await;
    let second = reader.shown.see(&path("a")).unwrap();
    assert_ne!(first.life, second.life);
    assert_eq!(reader.shown.read_file(&first, 0, 9).await.unwrap(), "one");
    lab.edit(Edit::Rename { from: path("a"), to: path("b") });
    lab.publish().await;
    reader.follower.step().await;
    assert_eq!(reader.read("a", 0, 9).await, None);
    let gets = reader.gets();
    assert_eq!(reader.read("b", 0, 9).await.unwrap(), "other");
    assert_eq!(reader.gets(), gets);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_shrank_before_it_was_sealed_ends_where_it_ends() {
    let mut lab = Lab::new().await;
    let mut reader = lab.started().await;
    lab.write("a", 16384, 0, &noise(1, 2 * PAGE));
    lab.publish().await;
    lab.write("a", 8192, 0, &noise(2, PAGE));
    lab.publish().await;
    lab.seal(&[("a", &noise(2, PAGE))]).await;
    lab.publish().await;
    reader.follower.step().await;
    let seen = reader.shown.see(&path("a")).unwrap();
    reader.shown.fetch_ahead(&seen, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let whole = reader.shown.whole(&seen).unwrap();
    assert_eq!(whole.file.metadata().unwrap().len(), 8192);
    assert_eq!(reader.read("a", 0, 3 * PAGE).await.unwrap(), noise(2, PAGE));
}

#[tokio::test(start_paused = true)]
async fn a_tail_older_than_what_was_sealed_costs_its_chunk_only() {
    let mut lab = Lab::new().await;
    let mut reader = lab.started().await;
    let sealed = noise(1, 8 << 20);
    let mut tail = sealed[..(5 << 20) + 8192].to_vec();
    tail[(5 << 20) + 100..].fill(0);
    lab.write("a", 8 << 20, 0, &tail);
    lab.write("b", 8 << 20, 0, &tail);
    lab.publish().await;
    reader.follower.step().await;
    reader.read("a", 0, 10).await.unwrap();
    lab.seal(&[("a", &sealed)]).await;
    lab.seal(&[("b", &sealed)]).await;
    lab.publish().await;
    reader.follower.step().await;
    let gets = reader.gets();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(reader.gets(), gets + 1, "whose tail was read is fetched at once");
    assert!(reader.shown.whole(&reader.shown.see(&path("a")).unwrap()).is_some());
    assert!(read_all(&reader, "a").await == sealed);
    assert_eq!(reader.gets(), gets + 1);
    assert!(read_all(&reader, "b").await == sealed);
    assert_eq!(reader.gets(), gets + 2);
}
