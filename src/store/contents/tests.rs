//! Whole files, read from the store as a manifest names them.

use std::sync::Arc;

use object_store::memory::InMemory;

use super::*;
use crate::store::{Appended, Candidate, Claimed, Place, Source, Store, upload};
use crate::volume::codec::encode_link;
use crate::volume::edit::{BLOCK, Member};
use crate::volume::{Batch, Digest, Edit, NodeId, RelPath, WallTime, Write, WriterId};

const BLOCK_LEN: usize = 8192;
const BIG: usize = (9 << 20) + 5; // more frames than are fetched at a time, the last one short

struct Bytes251(Vec<usize>);

impl Source for Bytes251 {
    fn read_at(&mut self, member: usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let offset = usize::try_from(offset).unwrap();
        let len = buffer.len().min(self.0[member] - offset);
        buffer[..len].copy_from_slice(&pattern(member)[offset..offset + len]);
        Ok(len)
    }

    fn unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

fn pattern(seed: usize) -> Vec<u8> {
    (0..BIG).map(|at| u8::try_from((at + seed) % 251).unwrap()).collect()
}

/// A volume whose first primary reigns.
async fn reign() -> (Chain, Manifest) {
    let place = Place::behind(Arc::new(InMemory::new()), "pg".into(), String::new());
    let chain = Chain::new(Store::new(place, 1));
    let (writer, node) = (WriterId([1; 16]), NodeId([1; 16]));
    let candidate = Candidate { writer, node, node_name: "node".into(), time: WallTime(0) };
    match chain.claim(Manifest::empty(), &candidate, &mut |_, _| {}).await {
        Ok(Claimed::Won(manifest)) => (chain, manifest),
        outcome => panic!("{outcome:?}"),
    }
}

async fn publish(
    chain: &Chain,
    manifest: &Manifest,
    edits: Vec<Edit>,
    payload: Vec<u8>,
) -> Manifest {
    let link = encode_link(Link::Batch(Batch {
        position: manifest.successor(),
        writer: WriterId([1; 16]),
        previous: manifest.digest,
        time: WallTime(1),
        database: None,
        edits,
        payload: payload.into(),
    }));
    assert!(matches!(chain.append(&link).await, Ok(Appended::Mine)));
    manifest.fold(&link.link, link.digest).unwrap()
}

fn write(size: u64, offset: u64, bytes: &[u8]) -> Edit {
    let len = u64::try_from(bytes.len()).unwrap();
    let blocks = bytes.chunks(BLOCK_LEN).map(Checksum::of).collect();
    Edit::Write(Write { path: path("open"), size, offset, at: 0, len, blocks })
}

fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

async fn read(chain: &Chain, manifest: &Manifest, name: &str) -> Result<Vec<u8>, ReadError> {
    let file = manifest.file(&path(name)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size).unwrap()];
    let mut last = 0;
    let mut put = |offset: u64, piece: &[u8]| {
        assert!(offset >= last, "in order");
        last = offset;
        let offset = usize::try_from(offset).unwrap();
        bytes[offset..offset + piece.len()].copy_from_slice(piece);
        Ok(())
    };
    read_file(chain, manifest, file, &mut put).await?;
    Ok(bytes)
}

#[tokio::test(start_paused = true)]
async fn an_open_file_is_its_newest_bytes_and_holes() {
    let (chain, empty) = reign().await;
    let old = vec![1; BLOCK_LEN * 3];
    let size = BLOCK * 8;
    let first = publish(&chain, &empty, vec![write(size, BLOCK, &old)], old).await;
    let new = vec![2; BLOCK_LEN];
    let second = publish(&chain, &first, vec![write(size, BLOCK * 2, &new)], new).await;
    let blocks = [0, 1, 2, 1, 0, 0, 0, 0].map(|byte| vec![byte; BLOCK_LEN]);
    assert!(read(&chain, &second, "open").await.unwrap() == blocks.concat());
}

#[tokio::test(start_paused = true)]
async fn each_member_of_a_sealed_segment_is_found_in_its_body() {
    let (chain, empty) = reign().await;
    let sizes = vec![100, BIG, 0, 7];
    let id = SegmentId { epoch: empty.epoch(), counter: 0 };
    let member = |(index, size): (usize, &usize)| Member {
        path: path(&index.to_string()),
        size: u64::try_from(*size).unwrap(),
    };
    let members = sizes.iter().enumerate().map(member).collect();
    let uploaded = upload(chain.store(), id, members, &mut Bytes251(sizes.clone())).await;
    let seal = Edit::Seal(uploaded.unwrap().unwrap().into_seal());
    let manifest = publish(&chain, &empty, vec![seal], Vec::new()).await;
    for (index, size) in sizes.into_iter().enumerate() {
        let bytes = read(&chain, &manifest, &index.to_string()).await.unwrap();
        assert!(bytes == pattern(index)[..size], "member {index}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_those_of_the_manifest_are_refused() {
    let (chain, empty) = reign().await;
    let payload = vec![1; BLOCK_LEN];
    let edits = vec![write(BLOCK, 0, &payload)];
    let manifest = publish(&chain, &empty, edits, payload).await;
    let other = Batch {
        position: manifest.position.unwrap(),
        writer: WriterId([1; 16]),
        previous: Digest::GENESIS,
        time: WallTime(1),
        database: None,
        edits: vec![write(BLOCK, 0, &[2; BLOCK_LEN])],
        payload: vec![2; BLOCK_LEN].into(),
    };
    let (elsewhere, _) = reign().await;
    let link = encode_link(Link::Batch(other));
    assert!(matches!(elsewhere.append(&link).await, Ok(Appended::Mine)));
    let error = read(&elsewhere, &manifest, "open").await.unwrap_err();
    assert!(matches!(error, ReadError::Store(StoreError::Corrupt { .. })), "{error}");
}
