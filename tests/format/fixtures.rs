//! What format 1 wrote opens to what it was. `write_the_fixtures` made the files, once.

use bytes::Bytes;
use walfs::volume::codec::{
    decode_checkpoint, decode_footer, decode_link, encode_checkpoint, encode_footer, encode_link,
};
use walfs::volume::frames::{open_frame, seal_frame};
use walfs::volume::{Content, Digest, Epoch, Link, Manifest, Position, RelPath, WallTime};

use crate::values::{BATCH, CHECKPOINT, FENCE, SEGMENT, batch, fence, rel, seal, stream};

fn opened(link: &'static [u8]) -> Link {
    decode_link(&Bytes::from_static(link)).unwrap().link
}

#[test]
fn a_fence_opens_and_is_still_written_so() {
    assert_eq!(opened(FENCE), Link::Fence(fence()));
    assert_eq!(encode_link(Link::Fence(fence())).bytes, FENCE);
}

#[test]
fn a_batch_opens() {
    assert_eq!(opened(BATCH), Link::Batch(batch()));
}

#[test]
fn a_body_opens() {
    let seal = seal();
    assert_eq!(decode_footer(SEGMENT, u64::try_from(SEGMENT.len()).unwrap()), Ok(seal.clone()));
    let mut stored = SEGMENT;
    let mut raw = Vec::new();
    for frame in &seal.frames {
        let (head, rest) = stored.split_at(usize::try_from(frame.stored).unwrap());
        raw.extend(open_frame(head, frame, (stream().len() - raw.len()).min(1 << 20)).unwrap());
        stored = rest;
    }
    assert!(raw == stream());
}

#[test]
fn a_checkpoint_opens_to_what_the_links_lead_to() {
    let checkpoint = decode_checkpoint(&Bytes::from_static(CHECKPOINT)).unwrap();
    assert_eq!(checkpoint, folded(FENCE, BATCH));
    assert_eq!(checkpoint.position, Some(Position::first(Epoch(1))));
    assert_eq!(checkpoint.digest, Digest::of(BATCH));
    assert_eq!(checkpoint.time, WallTime(1_790_000_001_000_000));
    assert_eq!(checkpoint.database.as_deref(), Some("timeline 1, LSN 0/2006000"));
    assert_eq!(checkpoint.reign, Some(fence()));
    assert_eq!(checkpoint.policy.as_deref(), Some(&b"{}"[..]));
    let names = [
        "000000010000000000000001",
        "000000010000000000000002",
        "00000003.history",
        "wal1/0/_meta",
        "wal1/events/_event",
    ];
    assert!(checkpoint.files.keys().map(RelPath::as_str).eq(names));
    let meta = &checkpoint.file(&rel("wal1/0/_meta")).unwrap().content;
    assert_eq!(*meta, Content::Sealed { segment: seal().segment, start: 1 << 20 });
}

fn folded(fence: &'static [u8], batch: &'static [u8]) -> Manifest {
    [fence, batch].into_iter().fold(Manifest::empty(), |manifest, bytes| {
        let encoded = decode_link(&Bytes::from_static(bytes)).unwrap();
        manifest.fold(&encoded.link, encoded.digest).unwrap()
    })
}

/// Each file holds what those before it have: run it until nothing changes, with the length of the
/// first frame spelt out in `values`.
#[test]
#[ignore = "the fixtures of a released format never change"]
fn write_the_fixtures() {
    let write = |name: &str, bytes: &[u8]| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-v1");
        std::fs::write(format!("{folder}/{name}.bin"), bytes).unwrap();
    };
    write("fence", &encode_link(Link::Fence(fence())).bytes);
    let mut sealed = seal();
    let mut body = Vec::new();
    for (raw, frame) in stream().chunks(1 << 20).zip(&mut sealed.frames) {
        let (stored, made) = seal_frame(raw);
        body.extend(stored);
        *frame = made;
    }
    println!("{:?}", sealed.frames);
    body.extend(encode_footer(&sealed));
    write("segment", &body);
    write("batch", &encode_link(Link::Batch(batch())).bytes);
    if decode_link(&Bytes::from_static(BATCH)).is_ok() {
        write("checkpoint", &encode_checkpoint(&folded(FENCE, BATCH)));
    }
}
