//! The fold against a reference that keeps whole files as bytes, and its own books on what is
//! allowed: it shares no code with what it checks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::volume::codec::{decode_checkpoint, encode_checkpoint, encode_link};
use crate::volume::edit::Member;
use crate::volume::frames::seal_frame;
use crate::volume::{Checksum, Extent, Node, NodeId, WriterId};

const BLOCK: usize = 8192;
const PATHS: [&str; 7] = ["a", "a-b", "a/b", "a/b/c", "d", "d/e", "f"];
const SIZES: [usize; 7] = [0, 1, 100, BLOCK, BLOCK + 5, 3 * BLOCK, 4 * BLOCK + 77];

/// What a test wants to do, whether it is allowed or not.
#[derive(Clone, Debug)]
enum Wish {
    Write { path: &'static str, size: usize, first: usize, blocks: usize },
    Seal { members: Vec<(&'static str, usize)> },
    Set { path: &'static str, len: usize },
    Remove { path: &'static str },
    Rename { from: &'static str, to: &'static str },
}

fn wish() -> impl Strategy<Value = Wish> {
    let (path, size) = (|| select(&PATHS[..]), || select(&SIZES[..]));
    prop_oneof![
        6 => (path(), size(), 0..4_usize, 0..4_usize)
            .prop_map(|(path, size, first, blocks)| Wish::Write { path, size, first, blocks }),
        2 => vec((path(), size()), 1..3).prop_map(|members| Wish::Seal { members }),
        1 => (path(), size()).prop_map(|(path, len)| Wish::Set { path, len }),
        2 => path().prop_map(|path| Wish::Remove { path }),
        2 => (path(), path()).prop_map(|(from, to)| Wish::Rename { from, to }),
    ]
}

/// A file as the reference keeps it. `known`: how many bytes of each block were written.
#[derive(Clone, Debug)]
enum Kept {
    Open { bytes: Vec<u8>, known: BTreeMap<usize, usize> },
    Sealed { bytes: Vec<u8>, body: u64 },
    Pointer(Vec<u8>),
}

type Files = BTreeMap<String, Kept>;

fn fits(files: &Files, path: &str) -> bool {
    let clash = |one: &str, other: &str| other.starts_with(&format!("{one}/"));
    files.keys().all(|file| !clash(file, path) && !clash(path, file))
}

fn write(files: &mut Files, path: &str, size: usize, at: usize, new: &[u8]) -> bool {
    let fresh = Kept::Open { bytes: Vec::new(), known: BTreeMap::new() };
    if !fits(files, path) {
        return false;
    }
    let Kept::Open { bytes, known } = files.entry(path.to_owned()).or_insert(fresh) else {
        return false;
    };
    let end = at + new.len();
    if end > size || (!end.is_multiple_of(BLOCK) && end != size) {
        return false;
    }
    for (block, piece) in new.chunks(BLOCK).enumerate() {
        known.insert(at / BLOCK + block, piece.len());
    }
    known.retain(|block, _| block * BLOCK < size);
    bytes.resize(size, 0);
    bytes[at..end].copy_from_slice(new);
    known.iter().all(|(block, len)| block * BLOCK + len <= size)
}

/// The reference and what it wrote: payloads by position, bodies by counter.
#[derive(Debug, Default)]
struct World {
    files: Files,
    payloads: BTreeMap<Position, Vec<u8>>,
    bodies: BTreeMap<u64, Vec<u8>>,
    noise: u64,
}

impl World {
    fn noise(&mut self, len: usize) -> Vec<u8> {
        self.noise += 1;
        let seed = self.noise.to_le_bytes();
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// The edit that a wish asks for, and whether it is allowed after those before it.
    fn grant(&mut self, wish: &Wish, epoch: Epoch, payload: &mut Vec<u8>) -> (Edit, bool) {
        match wish {
            Wish::Write { path, size, first, blocks } => {
                let at = first * BLOCK;
                let len = (blocks * BLOCK).min(size.saturating_sub(at));
                let new = self.noise(len);
                let edit = Edit::Write(Write {
                    path: rel(path),
                    size: u64_of(*size),
                    offset: u64_of(at),
                    at: u64_of(payload.len()),
                    len: u64_of(len),
                    blocks: new.chunks(BLOCK).map(Checksum::of).collect(),
                });
                payload.extend_from_slice(&new);
                (edit, write(&mut self.files, path, *size, at, &new))
            }
            Wish::Seal { members } => self.grant_seal(members, epoch),
            Wish::Set { path, len } => {
                let content = self.noise(*len);
                let edit = Edit::Set { path: rel(path), content: content.clone().into() };
                let pointer = matches!(self.files.get(*path), None | Some(Kept::Pointer(_)));
                let allowed = pointer && fits(&self.files, path);
                self.files.insert((*path).to_owned(), Kept::Pointer(content));
                (edit, allowed)
            }
            Wish::Remove { path } => {
                let edit = Edit::Remove { path: rel(path) };
                (edit, self.files.remove(*path).is_some())
            }
            Wish::Rename { from, to } => {
                let file = self.files.remove(*from);
                let allowed = file.is_some() && fits(&self.files, to);
                self.files.extend(file.map(|file| ((*to).to_owned(), file)));
                (Edit::Rename { from: rel(from), to: rel(to) }, allowed)
            }
        }
    }

    fn grant_seal(&mut self, wanted: &[(&'static str, usize)], epoch: Epoch) -> (Edit, bool) {
        let (mut stream, mut members, mut allowed) = (Vec::new(), Vec::new(), true);
        let body = u64_of(self.bodies.len());
        for (path, size) in wanted {
            let bytes = self.noise(*size);
            stream.extend_from_slice(&bytes);
            members.push(Member { path: rel(path), size: u64_of(*size) });
            allowed &= fits(&self.files, path);
            allowed &= matches!(self.files.get(*path), None | Some(Kept::Open { .. }));
            self.files.insert((*path).to_owned(), Kept::Sealed { bytes, body });
        }
        let frames = stream.chunks(1 << 20).map(|raw| seal_frame(raw).1).collect();
        self.bodies.insert(body, stream);
        let segment = SegmentId { epoch, counter: body };
        (Edit::Seal(Seal { segment, members, frames }), allowed)
    }

    fn read(&self, file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize_of(file.size)];
        match &file.content {
            Content::Open(extents) => {
                for block in extents.iter().flat_map(Extent::blocks) {
                    let payload = &self.payloads[&block.position][usize_of(block.at)..];
                    let piece = &payload[..usize_of(block.len)];
                    assert_eq!(Checksum::of(piece), block.checksum);
                    bytes[usize_of(block.offset)..][..piece.len()].copy_from_slice(piece);
                }
            }
            Content::Sealed { segment, start } => {
                let body = &self.bodies[&segment.counter][usize_of(*start)..];
                bytes.copy_from_slice(&body[..usize_of(file.size)]);
            }
            Content::Pointer(content) => bytes.copy_from_slice(content),
        }
        bytes
    }

    fn compare(&self, manifest: &Manifest) {
        assert_eq!(manifest.file_count(), self.files.len());
        let mut bodies = BTreeSet::new();
        for (path, kept) in &self.files {
            let file = manifest.file(&rel(path)).expect("the reference has this file");
            let (kind, bytes) = match kept {
                Kept::Open { bytes, known } => {
                    let end = known.iter().map(|(block, len)| block * BLOCK + len).max();
                    assert_eq!(usize_of(manifest.shipped_len(&rel(path))), end.unwrap_or(0));
                    self.compare_blocks(file, known);
                    (matches!(file.content, Content::Open(_)), bytes)
                }
                Kept::Sealed { bytes, body } => {
                    bodies.insert(*body);
                    (matches!(file.content, Content::Sealed { .. }), bytes)
                }
                Kept::Pointer(bytes) => (matches!(file.content, Content::Pointer(_)), bytes),
            };
            assert!(kind, "{path}: {kept:?} is {file:?}");
            assert!(self.read(file) == *bytes, "{path} has other bytes: {file:?}");
        }
        assert!(manifest.segments.keys().map(|id| id.counter).eq(bodies));
        self.compare_directories(manifest);
    }

    fn compare_blocks(&self, file: &File, known: &BTreeMap<usize, usize>) {
        let Content::Open(extents) = &file.content else { panic!("{file:?} is not open") };
        for (from, to) in [(0, 6), (1, 2), (2, 4), (3, 3)] {
            let range = u64_of(from * BLOCK)..u64_of(to * BLOCK);
            let found = extents.blocks(range).map(|it| (usize_of(it.offset), usize_of(it.len)));
            let wanted = known.range(from..to).map(|(block, len)| (block * BLOCK, *len));
            assert!(found.eq(wanted), "{from}..{to}: {known:?} is {extents:?}");
        }
        for block in 0..6 {
            let found = extents.block(u64_of(block * BLOCK)).map(|block| usize_of(block.len));
            assert_eq!(found, known.get(&block).copied());
        }
        assert!(self.noise > 0 && extents.block(1).is_none());
    }

    fn compare_directories(&self, manifest: &Manifest) {
        for dir in ["", "a", "a/b", "d", "f", "x"] {
            let below = |path: &str| match dir {
                "" => Some(path.to_owned()),
                dir => path.strip_prefix(&format!("{dir}/")).map(str::to_owned),
            };
            let rest: Vec<String> = self.files.keys().filter_map(|path| below(path)).collect();
            let first = |path: &String| path.split('/').next().unwrap_or(path).to_owned();
            let wanted: BTreeSet<_> = rest.iter().map(first).collect();
            let listed = manifest.list(RelPath::new(dir).as_ref());
            assert!(listed.iter().map(|(name, _)| *name).eq(wanted), "{dir}: {listed:?}");
            for (name, node) in listed {
                assert_eq!(matches!(node, Node::File(_)), rest.iter().any(|path| path == name));
                let path = rel(format!("{dir}/{name}").trim_start_matches('/'));
                assert_eq!(manifest.node(&path), Some(node));
            }
        }
    }
}

fn fence(manifest: &Manifest, writer: u8) -> Link {
    Link::Fence(Fence {
        position: manifest.successor(),
        writer: WriterId([writer; 16]),
        previous: manifest.digest,
        time: WallTime(manifest.time.0 + 1),
        next: manifest.epoch().next(),
        node: NodeId([7; 16]),
        node_name: "north".into(),
    })
}

fn batch(manifest: &Manifest, edits: Vec<Edit>, payload: Vec<u8>) -> Batch {
    let writer = manifest.reign.as_ref().map_or(WriterId([0; 16]), |reign| reign.writer);
    Batch {
        position: manifest.successor(),
        writer,
        previous: manifest.digest,
        time: WallTime(manifest.time.0 + 1),
        database: None,
        edits,
        payload: payload.into(),
    }
}

fn fold(manifest: &Manifest, link: Link) -> Result<Manifest, Misfit> {
    let encoded = encode_link(link);
    manifest.fold(&encoded.link, encoded.digest)
}

fn rel(path: &str) -> RelPath {
    RelPath::new(path).expect("a path")
}

fn u64_of(number: usize) -> u64 {
    number.try_into().expect("fits")
}

fn usize_of(number: u64) -> usize {
    number.try_into().expect("fits")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_manifest_has_the_bytes_that_the_batches_wrote(
        history in vec((vec(wish(), 1..4), 0..8_u8), 1..24),
    ) {
        let mut world = World::default();
        let mut manifest = fold(&Manifest::empty(), fence(&Manifest::empty(), 1)).unwrap();
        for (wishes, chance) in history {
            let (before, mut payload) = (world.files.clone(), Vec::new());
            let grants: Vec<_> = wishes
                .iter()
                .map(|wish| world.grant(wish, manifest.epoch(), &mut payload))
                .collect();
            let allowed = grants.iter().all(|(_, allowed)| *allowed);
            let edits: Vec<_> = grants.into_iter().map(|(edit, _)| edit).collect();
            if edits.iter().any(|edit| edit.check().is_err()) {
                prop_assert!(!allowed);
                world.files = before;
                continue;
            }
            let link = Link::Batch(batch(&manifest, edits, payload.clone()));
            let next = fold(&manifest, link);
            prop_assert_eq!(next.is_ok(), allowed, "{:?}: {:?}", wishes, next.err());
            if let Ok(next) = next {
                world.payloads.insert(next.position.unwrap(), payload);
                manifest = next;
            } else {
                world.files = before;
            }
            if chance == 0 {
                manifest = fold(&manifest, fence(&manifest, 2)).unwrap();
            }
            world.compare(&manifest);
        }
        prop_assert_eq!(decode_checkpoint(&encode_checkpoint(&manifest)), Ok(manifest));
    }
}

#[test]
fn a_fence_ends_an_epoch_and_names_the_next() {
    let empty = Manifest::empty();
    assert_eq!((empty.epoch(), empty.successor()), (Epoch(0), Position::first(Epoch(0))));
    let one = fold(&empty, fence(&empty, 1)).unwrap();
    assert_eq!((one.epoch(), one.successor()), (Epoch(1), Position::first(Epoch(1))));
    let two = fold(&one, Link::Batch(batch(&one, vec![], vec![]))).unwrap();
    assert_eq!(two.successor(), Position::first(Epoch(1)).next());
    let three = fold(&two, fence(&two, 2)).unwrap();
    assert_eq!((three.epoch(), three.successor()), (Epoch(2), Position::first(Epoch(2))));
    assert_eq!(three.reign.map(|reign| reign.writer), Some(WriterId([2; 16])));
}

#[test]
fn what_does_not_follow_is_refused() {
    let empty = Manifest::empty();
    let mut early = batch(&empty, vec![], vec![]);
    assert!(fold(&empty, Link::Batch(early.clone())).is_err(), "nobody reigns yet");
    let reign = fold(&empty, fence(&empty, 1)).unwrap();
    early = batch(&reign, vec![], vec![]);
    assert!(fold(&reign, Link::Batch(early.clone())).is_ok());
    let stranger = Batch { writer: WriterId([9; 16]), ..early.clone() };
    let forked = Batch { previous: Digest([9; 32]), ..early.clone() };
    let gap = Batch { position: early.position.next(), ..early.clone() };
    for link in [stranger, forked, gap] {
        assert!(fold(&reign, Link::Batch(link)).is_err());
    }
    assert!(fold(&reign, fence(&empty, 1)).is_err(), "this fence was folded already");
}

#[test]
fn a_body_is_named_once_and_in_the_epoch_of_its_upload() {
    let reign = fold(&Manifest::empty(), fence(&Manifest::empty(), 1)).unwrap();
    let seal = |epoch, path| {
        let members = vec![Member { path: rel(path), size: 0 }];
        let segment = SegmentId { epoch: Epoch(epoch), counter: 0 };
        Edit::Seal(Seal { segment, members, frames: vec![] })
    };
    let folds = |edits| fold(&reign, Link::Batch(batch(&reign, edits, vec![]))).is_ok();
    assert!(folds(vec![seal(1, "a")]));
    assert!(!folds(vec![seal(0, "a")]));
    assert!(!folds(vec![seal(1, "a"), seal(1, "b")]));
}

#[test]
fn what_the_database_calls_a_point_stays_until_told_otherwise() {
    let reign = fold(&Manifest::empty(), fence(&Manifest::empty(), 1)).unwrap();
    let told = Batch { database: Some("0/16B3748".into()), ..batch(&reign, vec![], vec![]) };
    let told = fold(&reign, Link::Batch(told)).unwrap();
    let policy = vec![Edit::SetPolicy { content: "keep".into() }];
    let untold = fold(&told, Link::Batch(batch(&told, policy, vec![]))).unwrap();
    assert_eq!(untold.database.as_deref(), Some("0/16B3748"));
    assert_eq!(untold.policy.as_deref(), Some(&b"keep"[..]));
}
