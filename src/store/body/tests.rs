//! Bodies over a store with faults.

use std::sync::Arc;

use object_store::memory::InMemory;

use super::*;
use crate::store::Place;
use crate::store::faulty::{Fault, FaultyStore, Weather};
use crate::volume::{Epoch, RelPath};

const ID: SegmentId = SegmentId { epoch: Epoch(1), counter: 0 };

fn store() -> (Store, FaultyStore) {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()), 1, Weather::CALM);
    let place = Place::behind(Arc::new(faulty.clone()), "volume".into(), String::new());
    (Store::new(place, 1), faulty)
}

/// Files in memory that do not compress.
struct Memory {
    files: Vec<Vec<u8>>,
    unchanged: bool,
}

impl Memory {
    fn new(sizes: &[usize]) -> Self {
        let mut hash = blake3::Hasher::new().finalize_xof();
        let file = |size: &usize| {
            let mut bytes = vec![0; *size];
            hash.fill(&mut bytes);
            bytes
        };
        Self { files: sizes.iter().map(file).collect(), unchanged: true }
    }

    fn members(&self) -> Vec<Member> {
        let member = |(index, file): (usize, &Vec<u8>)| Member {
            path: RelPath::new(&format!("file{index}")).unwrap(),
            size: u64::try_from(file.len()).unwrap(),
        };
        self.files.iter().enumerate().map(member).collect()
    }
}

impl Source for Memory {
    fn read_at(&mut self, member: usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.files[member][usize::try_from(offset).unwrap()..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn unchanged(&mut self) -> io::Result<bool> {
        Ok(self.unchanged)
    }
}

fn segment(uploaded: Uploaded) -> Segment {
    let seal = uploaded.into_seal();
    Segment { len: seal.members.iter().map(|member| member.size).sum(), frames: seal.frames }
}

#[tokio::test(start_paused = true)]
async fn members_come_back_as_they_went_whether_in_one_request_or_in_parts() {
    for sizes in [&[0, 5, 0][..], &[3 << 20, 100, 1 << 20], &[20 << 20, 7, 13 << 20]] {
        let (store, _) = store();
        let mut source = Memory::new(sizes);
        let uploaded = upload(&store, ID, source.members(), &mut source).await.unwrap().unwrap();
        let segment = segment(uploaded);
        let frames = 0..segment.frames.len();
        let raw = fetch_frames(&store, ID, &segment, frames).await.unwrap();
        assert!(raw.concat() == source.files.concat(), "{sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_frames_are_fetched_with_one_request() {
    let (store, _) = store();
    let mut source = Memory::new(&[5 << 20]);
    let uploaded = upload(&store, ID, source.members(), &mut source).await.unwrap().unwrap();
    let segment = segment(uploaded);
    let raw = fetch_frames(&store, ID, &segment, 2..4).await.unwrap();
    assert!(raw.concat() == source.files[0][2 << 20..4 << 20]);
    assert_eq!(store.meter().requests()["get"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changed_or_shrank_has_no_body() {
    let (store, _) = store();
    let mut changed = Memory { unchanged: false, ..Memory::new(&[1000]) };
    assert_eq!(upload(&store, ID, changed.members(), &mut changed).await.unwrap(), None);
    let mut shrunk = Memory::new(&[30 << 20]);
    let members = shrunk.members();
    shrunk.files[0].truncate(29 << 20);
    assert_eq!(upload(&store, ID, members, &mut shrunk).await.unwrap(), None);
    assert_eq!(store.get(&Key::Segment(ID)).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_frame_is_fetched_again_and_then_named() {
    let (store, faulty) = store();
    let mut source = Memory::new(&[2 << 20]);
    let uploaded = upload(&store, ID, source.members(), &mut source).await.unwrap().unwrap();
    let segment = segment(uploaded);
    faulty.script_reads([Some(Fault::Short), Some(Fault::Wrong)]);
    let raw = fetch_frames(&store, ID, &segment, 0..2).await.unwrap();
    assert!(raw.concat() == source.files[0]);
    faulty.script_reads([Some(Fault::Wrong), Some(Fault::Wrong)]);
    match fetch_frames(&store, ID, &segment, 0..2).await.unwrap_err() {
        StoreError::Corrupt { key, reason } => {
            assert_eq!(key, Key::Segment(ID).to_string());
            assert!(reason.starts_with("frame 1"), "{reason}");
        }
        error => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_survives_faults_of_a_single_request_and_gives_up_parts() {
    let (store, faulty) = store();
    faulty.script_writes([Fault::Busy, Fault::LostReply, Fault::Hang].map(Some));
    let mut small = Memory::new(&[1000]);
    assert!(upload(&store, ID, small.members(), &mut small).await.unwrap().is_some());
    faulty.script_writes([None, None, Some(Fault::Busy)]);
    let mut large = Memory::new(&[40 << 20]);
    let next = SegmentId { counter: 1, ..ID };
    let outcome = upload(&store, next, large.members(), &mut large).await;
    assert!(matches!(outcome, Err(UploadError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    assert_eq!(store.get(&Key::Segment(next)).await, Ok(None));
}
