//! One contract, every backend that needs no server.

use std::collections::BTreeMap;

use super::*;
use crate::store::connect;
use crate::volume::{BatchNumber, Epoch, Position, SegmentId};

fn link(number: u64) -> Key {
    Key::Link(Position { epoch: Epoch(3), number: BatchNumber(number) })
}

/// A store on disk and one in memory; the directory lives as long as the test.
fn stores() -> (Vec<Store>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.');
    let urls = [
        format!("memory://objects-{name}/deep/prefix"),
        format!("file://{}/volume", dir.path().display()),
    ];
    let open = |url: &String| Store::new(connect(url, &BTreeMap::new()).unwrap(), 7);
    (urls.iter().map(open).collect(), dir)
}

#[tokio::test]
async fn what_was_created_is_read_back_whole_and_in_ranges() {
    let (stores, _dir) = stores();
    for store in stores {
        let bytes = Bytes::from_static(b"0123456789");
        assert_eq!(store.get(&link(0)).await, Ok(None));
        assert_eq!(store.create(&link(0), bytes.clone()).await, Ok(Created::New));
        assert_eq!(store.get(&link(0)).await, Ok(Some(bytes.clone())));
        assert_eq!(store.get_range(&link(0), 3..7).await, Ok(bytes.slice(3..7)));
    }
}

#[tokio::test]
async fn a_taken_name_keeps_its_bytes() {
    let (stores, _dir) = stores();
    for store in stores {
        let first = Bytes::from_static(b"first");
        assert_eq!(store.create(&link(0), first.clone()).await, Ok(Created::New));
        let second = store.create(&link(0), Bytes::from_static(b"second")).await.unwrap();
        assert!(matches!(second, Created::Unclear(_)), "{second:?}");
        assert_eq!(store.get(&link(0)).await, Ok(Some(first)));
    }
}

#[tokio::test]
async fn a_range_past_the_end_is_an_error_and_not_fewer_bytes() {
    let (stores, _dir) = stores();
    for store in stores {
        store.create(&link(0), Bytes::from_static(b"0123")).await.unwrap();
        let error = store.get_range(&link(0), 2..9).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let error = store.get_range(&link(1), 0..2).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing(_)), "{error}");
    }
}

#[tokio::test]
async fn a_list_is_sorted_and_knows_only_our_names() {
    let (stores, dir) = stores();
    for store in stores {
        assert_eq!(store.list("log").await, Ok(Vec::new()));
        for number in [300, 2, 70] {
            store.create(&link(number), Bytes::from_static(b"abc")).await.unwrap();
        }
        let body = Key::Segment(SegmentId { epoch: Epoch(3), counter: 1 });
        store.put(&body, Bytes::from_static(b"body")).await.unwrap();
        let log = dir.path().join("volume/log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("stranger"), b"x").unwrap();
        let listed = store.list("log").await.unwrap();
        let expected = [2, 70, 300].map(|number| Listed { key: link(number), size: 3 });
        assert_eq!(listed, expected);
        assert_eq!(store.list("segments").await, Ok(vec![Listed { key: body, size: 4 }]));
    }
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_deleting_twice_is_no_error() {
    let (stores, _dir) = stores();
    for store in stores {
        store.create(&link(0), Bytes::from_static(b"abc")).await.unwrap();
        assert_eq!(store.delete(&link(0)).await, Ok(()));
        assert_eq!(store.delete(&link(0)).await, Ok(()));
        assert_eq!(store.get(&link(0)).await, Ok(None));
    }
}

#[tokio::test]
async fn every_request_is_counted() {
    let (stores, _dir) = stores();
    for store in stores {
        store.get(&link(0)).await.unwrap();
        store.create(&link(0), Bytes::from_static(b"abc")).await.unwrap();
        store.create(&link(0), Bytes::from_static(b"abc")).await.unwrap();
        store.get(&link(0)).await.unwrap();
        let requests = store.meter().requests();
        let count = |name: &str| requests[name];
        assert_eq!((count("get"), count("get_miss")), (1, 1));
        assert_eq!((count("create"), count("error"), count("list")), (2, 1, 0));
        assert_eq!(
            store.meter().bytes(),
            BTreeMap::from([("received".into(), 3), ("sent".into(), 3)])
        );
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}/volume", dir.path().display());
    let store = Store::new(connect(&url, &BTreeMap::new()).unwrap(), 7);
    std::fs::write(dir.path().join("volume/log"), b"a file where a folder must be").unwrap();
    let error = store.create(&link(0), Bytes::from_static(b"abc")).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_was_unmounted_is_away_and_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("volume");
    let place = connect(&format!("file://{}", root.display()), &BTreeMap::new()).unwrap();
    let store = Store::new(place, 7);
    store.create(&link(0), Bytes::from_static(b"abc")).await.unwrap();
    std::fs::rename(&root, dir.path().join("elsewhere")).unwrap();
    std::fs::create_dir(&root).unwrap();
    let away = |error| matches!(error, StoreError::Unavailable(_));
    assert!(away(store.get(&link(0)).await.unwrap_err()));
    assert!(away(store.list("log").await.unwrap_err()));
    let created = store.create(&link(1), Bytes::from_static(b"abc")).await;
    assert!(matches!(created, Ok(Created::Unclear(why)) if why.contains("still mounted")));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}
