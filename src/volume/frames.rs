//! Bodies: the files of a sealed segment one after the other as a stream, cut into frames that
//! are compressed and checked one by one, so that a reader can fetch any part of it. A batch's
//! payload is cut in the same way.

use super::Checksum;
use super::codec::FormatError;

/// How many bytes of the stream one frame holds; the last one may hold fewer.
/// One mebibyte: small enough for a first read to wait for, large enough to compress and to fetch.
pub const FRAME: u64 = 1 << 20;

/// How hard zstd tries. The fastest ordinary level: a log is compressed while a database waits,
/// and higher levels gain little on pages that are mostly short records and zeros.
const LEVEL: i32 = 1;

/// One compressed piece of a body. Where it begins follows from the frames before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its length in the object. Equal to the length of its bytes: they are stored as they are.
    pub stored: u32,
    /// The checksum of its bytes once decompressed.
    pub checksum: Checksum,
}

/// How many frames a stream of this length has.
pub fn frames_in(stream: u64) -> u64 {
    stream.div_ceil(FRAME)
}

/// How many bytes the frame of this index holds of a stream of this length; 0 beyond its end.
pub fn raw_len(stream: u64, index: usize) -> u64 {
    let start = u64::try_from(index).ok().and_then(|index| index.checked_mul(FRAME));
    stream.saturating_sub(start.unwrap_or(u64::MAX)).min(FRAME)
}

/// Compresses one piece of a stream, at most [`FRAME`] bytes long. Returns what is stored, and the
/// frame that describes it. Incompressible bytes are stored as they are.
pub fn seal_frame(raw: &[u8]) -> (Vec<u8>, Frame) {
    let compressed = zstd::bulk::compress(raw, LEVEL).ok().filter(|it| it.len() < raw.len());
    let bytes = compressed.unwrap_or_else(|| raw.to_vec());
    let stored = u32::try_from(bytes.len()).expect("a frame is short");
    (bytes, Frame { stored, checksum: Checksum::of(raw) })
}

/// The bytes of a frame, decompressed and checked; `raw_len` is how long they must be.
pub fn open_frame(stored: &[u8], frame: &Frame, raw_len: usize) -> Result<Vec<u8>, FormatError> {
    let corrupt = |why: &str| FormatError::Corrupt(format!("a frame {why}"));
    if u64::try_from(raw_len).map_or(true, |len| len > FRAME) {
        return Err(corrupt("is too long"));
    }
    if u32::try_from(stored.len()).ok() != Some(frame.stored) {
        return Err(corrupt("is cut short"));
    }
    let raw = if stored.len() == raw_len {
        stored.to_vec()
    } else {
        zstd::bulk::decompress(stored, raw_len).map_err(|_| corrupt("cannot be decompressed"))?
    };
    if raw.len() == raw_len && Checksum::of(&raw) == frame.checksum {
        Ok(raw)
    } else {
        Err(corrupt("does not match its checksum"))
    }
}

/// Whether these can be the frames of a stream of this length.
pub(super) fn check(frames: &[Frame], stream: u64) -> Result<(), &'static str> {
    if u64::try_from(frames.len()).ok() != Some(frames_in(stream)) {
        return Err("the stream has another number of frames");
    }
    let fits = |(index, frame): (usize, &Frame)| {
        (1..=raw_len(stream, index)).contains(&u64::from(frame.stored))
    };
    let fit = frames.iter().enumerate().all(fits);
    if fit { Ok(()) } else { Err("a frame is stored longer than its bytes, or not at all") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn a_frame_opens_to_the_bytes_that_were_sealed() {
        for raw in [vec![], vec![7], vec![0; 1 << 20], noise(8192)] {
            let (stored, frame) = seal_frame(&raw);
            assert_eq!(open_frame(&stored, &frame, raw.len()), Ok(raw));
        }
    }

    #[test]
    fn compressible_bytes_shrink_and_others_are_stored_as_they_are() {
        assert!(seal_frame(&[0; 8192]).1.stored < 100);
        let raw = noise(8192);
        assert_eq!(seal_frame(&raw).0, raw);
    }

    #[test]
    fn a_damaged_frame_never_opens_to_other_bytes() {
        let raw: Vec<u8> = noise(64).repeat(16);
        let (stored, frame) = seal_frame(&raw);
        assert!(stored.len() < raw.len());
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let opened = open_frame(&damaged, &frame, raw.len());
            assert!(opened.is_err() || opened == Ok(raw.clone()), "bit {bit}");
        }
        for len in 0..stored.len() {
            assert!(open_frame(&stored[..len], &frame, raw.len()).is_err());
        }
        assert!(open_frame(&stored, &frame, raw.len() - 1).is_err());
        assert!(open_frame(&stored, &frame, raw.len() + 1).is_err());
        assert!(open_frame(&stored, &frame, usize::MAX).is_err());
    }

    #[test]
    fn the_last_frame_of_a_stream_may_be_short() {
        assert_eq!([0, 1, 2].map(|index| raw_len(FRAME + 5, index)), [FRAME, 5, 0]);
        assert_eq!([0, 1, FRAME, FRAME + 1].map(frames_in), [0, 1, 1, 2]);
    }
}
