//! What dead writers left where objects are files: nobody sees it, and the next primary clears it
//! away, but nothing that a living writer may be at.

use std::fs;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use walfs::store::leftovers::{AGE, sweep};
use walfs::store::{Candidate, Chain, Claimed};
use walfs::volume::keys::Key;
use walfs::volume::{Epoch, Manifest, NodeId, Position, SegmentId, WallTime, WriterId};

use crate::bed::Bed;
use crate::link;

/// Longer than the finest step of the clocks that stamp files.
const TICK: Duration = Duration::from_millis(50);

pub(crate) async fn hides_and_sweeps_what_dead_writers_left(bed: &Bed) {
    let Some(workshop) = &bed.place().workshop else { return };
    let store = bed.store(1);
    let segment = |epoch| Key::Segment(SegmentId { epoch: Epoch(epoch), counter: 7 });
    let checkpoint = Key::Checkpoint(Position::first(Epoch(0)));
    let (dead, alive) =
        ([link(0, 0), link(0, 9), segment(0), checkpoint], [link(1, 0), segment(1)]);
    for key in dead.iter().chain(&alive) {
        leave(bed, &key.to_string()).await;
    }
    leave(bed, "notes/mine").await;
    assert_eq!(store.get(&link(0, 9)).await, Ok(None));
    for folder in ["log", "segments", "checkpoints"] {
        assert_eq!(store.list(folder).await, Ok(Vec::new()), "{folder}");
    }

    tokio::time::sleep(TICK).await;
    let candidate = Candidate {
        writer: WriterId([1; 16]),
        node: NodeId([1; 16]),
        node_name: "primary".to_owned(),
        time: WallTime(1),
    };
    let chain = Chain::new(store.clone());
    let claimed = chain.claim(Manifest::empty(), &candidate, &mut |_, _| ()).await.unwrap();
    let Claimed::Won(Manifest { reign: Some(fence), .. }) = claimed else {
        panic!("nobody else stood: {claimed:?}");
    };
    assert_eq!(sweep(&store, &fence, AGE).await, Ok(0), "their writers may only be slow");
    assert_eq!(sweep(&store, &fence, Duration::ZERO).await, Ok(dead.len()));
    let stay = workshop.unfinished(&bed.place().prefix).await.unwrap();
    let mut stay: Vec<_> = stay.into_iter().map(|file| file.object).collect();
    stay.sort();
    let [first, second] = alive.map(|key| key.to_string());
    assert_eq!(stay, [first, "notes/mine".to_owned(), second]);
    assert_eq!(store.list("log").await.unwrap().len(), 1, "no object was touched");
    assert!(store.get(&Key::Link(fence.position)).await.unwrap().is_some());
}

/// A file that was to become this object.
async fn leave(bed: &Bed, object: &str) {
    if let Some(directory) = bed.directory() {
        let path = directory.join(format!("{object}#1"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
        return;
    }
    let (folder, name) = object.rsplit_once('/').unwrap();
    let name = format!(".{name}.tmp.1");
    let place = bed.place();
    let path = folder.split('/').chain([name.as_str()]).fold(place.prefix.clone(), Path::join);
    place.objects.put(&path, PutPayload::from_static(b"half")).await.unwrap();
}
