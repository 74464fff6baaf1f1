//! Whatever is encoded is decoded to the same, and refused once it was damaged.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use walfs::volume::codec::{decode_footer, decode_link, encode_link, footer_len};
use walfs::volume::edit::{BLOCK, Member};
use walfs::volume::frames::{Frame, frames_in, raw_len};
use walfs::volume::{
    Batch, BatchNumber, Checksum, Digest, Edit, Epoch, Link, Position, RelPath, Seal, SegmentId,
    WallTime, Write, WriterId,
};

use crate::damage::{footer_of, refused};

fn path() -> impl Strategy<Value = RelPath> {
    "[a-zé]{1,9}(/[A-F0-9]{1,24}){0,2}".prop_map(|text| RelPath::new(&text).expect("a path"))
}

fn content() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

/// A write and its bytes: compressible, or not.
fn write() -> impl Strategy<Value = (Write, Vec<u8>)> {
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..30_000),
        (any::<u8>(), 0..3_000_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    (path(), 0..1_u64 << 40, bytes, 0..1_u64 << 40).prop_map(|(path, first, bytes, more)| {
        let (offset, len) = (first * BLOCK, u64::try_from(bytes.len()).unwrap());
        let more = if len.is_multiple_of(BLOCK) { more } else { 0 };
        let blocks = bytes.chunks(8192).map(Checksum::of).collect();
        (Write { path, size: offset + len + more, offset, at: 0, len, blocks }, bytes)
    })
}

fn any_seal() -> impl Strategy<Value = Seal> {
    let members = btree_map(path(), 0..3_000_000_u64, 1..4);
    (any::<(u64, u64)>(), members, any::<u64>()).prop_map(|((epoch, counter), members, chance)| {
        let len = members.values().sum();
        let count = usize::try_from(frames_in(len)).unwrap();
        let frame = |index| {
            let stored = chance % raw_len(len, index) + 1;
            Frame { stored: stored.try_into().unwrap(), checksum: Checksum(chance) }
        };
        Seal {
            segment: SegmentId { epoch: Epoch(epoch), counter },
            members: members.into_iter().map(|(path, size)| Member { path, size }).collect(),
            frames: (0..count).map(frame).collect(),
        }
    })
}

fn edit() -> impl Strategy<Value = (Edit, Vec<u8>)> {
    let plain = |edit| (edit, Vec::new());
    prop_oneof![
        write().prop_map(|(write, bytes)| (Edit::Write(write), bytes)),
        any_seal().prop_map(Edit::Seal).prop_map(plain),
        (path(), content()).prop_map(|(path, content)| Edit::Set { path, content }).prop_map(plain),
        path().prop_map(|path| Edit::Remove { path }).prop_map(plain),
        (path(), path()).prop_map(|(from, to)| Edit::Rename { from, to }).prop_map(plain),
        content().prop_map(|content| Edit::SetPolicy { content }).prop_map(plain),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    let head = (0..u64::MAX, 0..u64::MAX, any::<[u8; 16]>(), any::<[u8; 32]>(), any::<i64>());
    let database = proptest::option::of("\\PC{0,20}");
    (head, database, vec(edit(), 0..6)).prop_map(|(head, database, parts)| {
        let mut payload = Vec::new();
        let edits = parts.into_iter().map(|(mut edit, bytes)| {
            if let Edit::Write(write) = &mut edit {
                write.at = payload.len().try_into().unwrap();
            }
            payload.extend_from_slice(&bytes);
            edit
        });
        let (edits, (epoch, number, writer, previous, time)) = (edits.collect(), head);
        Link::Batch(Batch {
            position: Position { epoch: Epoch(epoch), number: BatchNumber(number) },
            writer: WriterId(writer),
            previous: Digest(previous),
            time: WallTime(time),
            database,
            edits,
            payload: payload.into(),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_link_is_decoded_to_what_was_encoded(link in link(), bit: u32, cut: u32) {
        let encoded = encode_link(link.clone());
        let decoded = decode_link(&encoded.bytes).unwrap();
        prop_assert_eq!(decoded.digest, encoded.digest);
        prop_assert!(decoded.link == link);

        let mut damaged = encoded.bytes.to_vec();
        let bit = usize::try_from(bit).unwrap() % (damaged.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(refused(&damaged, 0));
        let cut = usize::try_from(cut).unwrap() % damaged.len();
        prop_assert!(refused(&encoded.bytes[..cut], 0));
        prop_assert!(refused(&[&encoded.bytes[..], &[0]].concat(), 0));
    }

    #[test]
    fn a_body_explains_itself(seal in any_seal()) {
        let (footer, len) = footer_of(&seal);
        let end = [&[1, 2, 3], &footer[..]].concat();
        prop_assert_eq!(footer_len(&end), Ok(u64::try_from(footer.len()).unwrap()));
        prop_assert_eq!(decode_footer(&end, len), Ok(seal));
        prop_assert!(decode_footer(&end, len + 1).is_err());
        prop_assert!(decode_footer(&footer[1..], len).is_err());
    }
}
