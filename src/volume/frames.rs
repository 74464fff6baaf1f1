//! Bodies: the files of a sealed segment one after the other as a stream, cut into frames that
//! are compressed and checked one by one, so that a reader can fetch any part of it.

use super::Checksum;

/// How many bytes of the stream one frame holds; the last one may hold fewer.
/// One mebibyte: small enough for a first read to wait for, large enough to compress and to fetch.
pub const FRAME: u64 = 1 << 20;

/// One compressed piece of a body. Where it begins follows from the frames before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its length in the object.
    pub stored: u32,
    /// The checksum of its bytes once decompressed.
    pub checksum: Checksum,
}

/// Compresses one piece of a stream, at most [`FRAME`] bytes long. Returns what is stored, and the
/// frame that describes it. Incompressible bytes are stored as they are.
pub fn seal_frame(raw: &[u8]) -> (Vec<u8>, Frame) {
    let _ = raw;
    todo!()
}

/// The bytes of a frame, decompressed and checked; `raw_len` is how long they must be.
pub fn open_frame(
    stored: &[u8],
    frame: &Frame,
    raw_len: usize,
) -> Result<Vec<u8>, super::codec::FormatError> {
    let _ = (stored, frame, raw_len);
    todo!()
}
