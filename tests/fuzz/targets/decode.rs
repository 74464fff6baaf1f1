//! Bytes made up by somebody who knows the checksums: decoding them neither panics nor yields
//! what would not be written again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use walfs::volume::codec::{
    decode_checkpoint, decode_footer, decode_link, encode_checkpoint, encode_footer, encode_link,
};
use walfs::volume::keys::Key;
use walfs::volume::{Checksum, VolumeInfo};

fuzz_target!(|data: &[u8]| {
    for kind in [b'B', b'F'] {
        if let Ok(decoded) = decode_link(&closed(kind, data)) {
            let again = encode_link(decoded.link.clone());
            assert!(decode_link(&again.bytes).expect("it was just written").link == decoded.link);
        }
    }
    let len = u64::try_from(data.len()).expect("a length fits");
    let packed = zstd::bulk::compress(data, 1).expect("memory can be compressed");
    if let Ok(manifest) =
        decode_checkpoint(&closed(b'C', &[&len.to_le_bytes(), &packed[..]].concat()))
    {
        let again = decode_checkpoint(&encode_checkpoint(&manifest));
        assert!(again.expect("it was just written") == manifest);
    }
    let checksum = Checksum::of(data).0.to_le_bytes();
    let footer = [data, &checksum, &len.to_le_bytes(), b"WALFSS\x01\0"].concat();
    let object_len = u64::try_from(footer.len()).expect("a length fits");
    if let Ok(seal) = decode_footer(&footer, object_len) {
        assert!(encode_footer(&seal) == footer);
    }
    drop(VolumeInfo::from_json(data));
    if let Some((name, key)) =
        std::str::from_utf8(data).ok().and_then(|it| Some((it, Key::parse(it)?)))
    {
        assert_eq!(key.to_string(), name);
    }
});

/// An object of this kind, with the checksum that belongs to it.
fn closed(kind: u8, inside: &[u8]) -> Bytes {
    let bytes = [&b"WALFS"[..], &[kind, 1, 0], inside].concat();
    let checksum = Checksum::of(&bytes).0.to_le_bytes();
    [&bytes[..], &checksum].concat().into()
}
