//! The objects in `tests/fixtures/format-v1`, and the values that they must open to for ever.

use bytes::Bytes;
use walfs::volume::edit::Member;
use walfs::volume::frames::Frame;
use walfs::volume::{
    Batch, Checksum, Digest, Edit, Epoch, Fence, NodeId, Position, RelPath, Seal, SegmentId,
    WallTime, Write, WriterId,
};

pub(crate) const FENCE: &[u8] = include_bytes!("../fixtures/format-v1/fence.bin");
pub(crate) const BATCH: &[u8] = include_bytes!("../fixtures/format-v1/batch.bin");
pub(crate) const CHECKPOINT: &[u8] = include_bytes!("../fixtures/format-v1/checkpoint.bin");
pub(crate) const SEGMENT: &[u8] = include_bytes!("../fixtures/format-v1/segment.bin");

/// The first link of a volume.
pub(crate) fn fence() -> Fence {
    Fence {
        position: Position::first(Epoch(0)),
        writer: WriterId(*b"writer of fence."),
        previous: Digest::GENESIS,
        time: WallTime(1_790_000_000_000_000),
        next: Epoch(1),
        node: NodeId(*b"node of a fence."),
        node_name: "db1.example".into(),
    }
}

/// The link after it: a batch with at least one edit of each kind.
pub(crate) fn batch() -> Batch {
    Batch {
        position: Position::first(Epoch(1)),
        writer: WriterId(*b"writer of fence."),
        previous: Digest::of(FENCE),
        time: WallTime(1_790_000_001_000_000),
        database: Some("timeline 1, LSN 0/2006000".into()),
        edits: vec![
            Edit::Seal(seal()),
            Edit::Set { path: rel("00000002.history"), content: "1\t0/2000000\n".into() },
            Edit::Write(Write {
                path: rel("000000010000000000000002"),
                size: 1 << 20,
                offset: 8192,
                at: 0,
                len: 2 * 8192,
                blocks: vec![Checksum::of(&[7; 8192]), Checksum::of(&[8; 8192])],
            }),
            Edit::Write(Write {
                path: rel("wal1/events/_event"),
                size: 17,
                offset: 0,
                at: 2 * 8192,
                len: 17,
                blocks: vec![Checksum::of(b"not a whole block")],
            }),
            Edit::Rename { from: rel("00000002.history"), to: rel("00000003.history") },
            Edit::Set { path: rel("gone"), content: Bytes::new() },
            Edit::Remove { path: rel("gone") },
            Edit::SetPolicy { content: "{}".into() },
        ],
        payload: [&[7; 8192][..], &[8; 8192], b"not a whole block"].concat().into(),
    }
}

/// The bytes of a body's two members: numbers that compress well, and noise that does not.
pub(crate) fn stream() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..1_u32 << 18).flat_map(|it| (it / 9999).to_le_bytes()).collect();
    let mut noise = [0; 300];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    bytes.extend_from_slice(&noise);
    bytes
}

/// The seal of that body, whose first frame was compressed to so many bytes.
pub(crate) fn seal() -> Seal {
    let members = [("000000010000000000000001", 1 << 20), ("wal1/0/_meta", 300)];
    let stored = [FIRST_FRAME, 300];
    let frame = |(raw, stored): (&[u8], u32)| Frame { stored, checksum: Checksum::of(raw) };
    Seal {
        segment: SegmentId { epoch: Epoch(1), counter: 5 },
        members: members.map(|(path, size)| Member { path: rel(path), size }).into(),
        frames: stream().chunks(1 << 20).zip(stored).map(frame).collect(),
    }
}

const FIRST_FRAME: u32 = 204;

pub(crate) fn rel(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}
