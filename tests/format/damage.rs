//! Damaged objects are refused, and bytes made up by somebody who knows the checksums do no harm.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use walfs::volume::codec::{
    FormatError, decode_checkpoint, decode_footer, decode_link, encode_checkpoint, encode_footer,
    encode_link, footer_len,
};
use walfs::volume::{Batch, Checksum, Link, Seal};

use crate::values::{BATCH, CHECKPOINT, FENCE, SEGMENT, batch, seal};

pub(crate) fn footer_of(seal: &Seal) -> (Vec<u8>, u64) {
    let footer = encode_footer(seal);
    let frames: u64 = seal.frames.iter().map(|frame| u64::from(frame.stored)).sum();
    let len = frames + u64::try_from(footer.len()).unwrap();
    (footer, len)
}

/// Does not decode, whatever it is taken for.
pub(crate) fn refused(bytes: &[u8], object_len: u64) -> bool {
    let object = Bytes::copy_from_slice(bytes);
    decode_link(&object).is_err()
        && decode_checkpoint(&object).is_err()
        && decode_footer(bytes, object_len).is_err()
}

#[test]
fn any_flipped_bit_and_any_truncation_is_refused() {
    let (footer, object_len) = footer_of(&seal());
    let objects = [FENCE, BATCH, CHECKPOINT, &footer].map(<[u8]>::to_vec);
    for object in objects {
        for bit in 0..object.len() * 8 {
            let mut damaged = object.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(&damaged, object_len), "bit {bit}");
        }
        for len in 0..object.len() {
            assert!(refused(&object[..len], object_len), "cut to {len}");
        }
        assert!(refused(&[&object[..], &[0]].concat(), object_len + 1));
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut bytes = FENCE.to_vec();
    bytes[6] = 2;
    let newer = decode_link(&bytes.clone().into());
    assert_eq!(newer.unwrap_err(), FormatError::Newer { found: 2, known: 1 });
    bytes[0] = b'w';
    assert!(matches!(decode_link(&bytes.into()), Err(FormatError::Corrupt(_))));
}

#[test]
fn one_object_is_not_taken_for_another() {
    assert!(decode_link(&Bytes::from_static(CHECKPOINT)).is_err());
    assert!(decode_link(&Bytes::from_static(SEGMENT)).is_err());
    assert!(decode_checkpoint(&Bytes::from_static(BATCH)).is_err());
    assert!(decode_checkpoint(&Bytes::from_static(SEGMENT)).is_err());
    assert!(footer_len(CHECKPOINT).is_err());
}

#[test]
#[should_panic(expected = "must not be written")]
fn a_link_that_nobody_could_decode_is_never_written() {
    encode_link(Link::Batch(Batch { payload: Bytes::new(), ..batch() }));
}

/// What somebody could do to the inside of an object.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let huge = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    prop_oneof![
        4 => any::<(usize, u8)>().prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => any::<usize>().prop_map(Damage::Cut),
        1 => (any::<usize>(), vec(any::<u8>(), 0..9)).prop_map(|(at, it)| Damage::Insert(at, it)),
        1 => any::<usize>().prop_map(move |at| Damage::Insert(at, huge.clone())),
    ]
}

fn damaged(mut inside: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let place = |at: usize| at % (inside.len() + 1);
        match damage {
            Damage::Byte(at, byte) => {
                let at = place(*at);
                inside.iter_mut().skip(at).take(1).for_each(|it| *it = *byte);
            }
            Damage::Cut(at) => inside.truncate(place(*at)),
            Damage::Insert(at, bytes) => {
                let at = place(*at);
                inside.splice(at..at, bytes.iter().copied());
            }
        }
    }
    inside
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn damage_under_a_right_checksum_does_no_harm(damages in vec(damage(), 1..4)) {
        for object in [FENCE, BATCH] {
            let inside = damaged(object[8..object.len() - 8].to_vec(), &damages);
            if let Ok(decoded) = decode_link(&closed(&[&object[..8], &inside])) {
                let again = encode_link(decoded.link.clone());
                prop_assert!(decode_link(&again.bytes).unwrap().link == decoded.link);
            }
        }
        let raw = damaged(unpacked(CHECKPOINT), &damages);
        if let Ok(decoded) = decode_checkpoint(&packed(&raw)) {
            prop_assert_eq!(unpacked(&encode_checkpoint(&decoded)), raw);
        }
        let footer = damaged(footer_of(&seal()).0, &damages);
        drop(decode_footer(&footer, u64::try_from(SEGMENT.len()).unwrap()));
    }
}

/// These bytes, with the checksum that belongs to them.
fn closed(parts: &[&[u8]]) -> Bytes {
    let bytes = parts.concat();
    let checksum = Checksum::of(&bytes).0.to_le_bytes();
    [&bytes[..], &checksum].concat().into()
}

/// The manifest in a checkpoint, decompressed.
fn unpacked(checkpoint: &[u8]) -> Vec<u8> {
    zstd::decode_all(&checkpoint[16..checkpoint.len() - 8]).unwrap()
}

fn packed(raw: &[u8]) -> Bytes {
    let len = u64::try_from(raw.len()).unwrap().to_le_bytes();
    closed(&[&CHECKPOINT[..8], &len, &zstd::encode_all(raw, 1).unwrap()])
}
