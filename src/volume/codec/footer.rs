//! The index at the end of a body: the seal once more, so that a body explains itself even where
//! the batch that names it is lost.

use super::FormatError;
use super::edits::{decode_seal, encode_seal};
use super::envelope::ObjectKind;
use super::wire::{Decoder, Encoder};
use crate::volume::{Checksum, Seal};

/// How long the very end of a body is, from which [`footer_len`] tells where its footer begins.
pub const TRAILER: usize = 24;

/// What follows the last frame of this body.
pub fn encode_footer(seal: &Seal) -> Vec<u8> {
    let mut out = Encoder::default();
    encode_seal(&mut out, seal);
    let (len, checksum) = (out.0.len(), Checksum::of(&out.0));
    out.checksum(checksum);
    out.u64(u64::try_from(len).expect("a footer is short"));
    out.raw(&ObjectKind::Segment.mark());
    out.0
}

/// How long the footer of a body is, trailer included, whose last bytes are these.
pub fn footer_len(end: &[u8]) -> Result<u64, FormatError> {
    let trailer = end.last_chunk::<TRAILER>().ok_or_else(|| FormatError::corrupt("cut short"))?;
    let mut from = Decoder::new(trailer);
    let (_, len, mark) = (from.checksum()?, from.u64()?, from.array()?);
    match ObjectKind::of_mark(mark)? {
        ObjectKind::Segment => (),
        _ => return Err(FormatError::corrupt("this is not the body of a segment")),
    }
    let trailer = u64::try_from(TRAILER).expect("a trailer is short");
    len.checked_add(trailer).ok_or_else(|| FormatError::corrupt("the footer has no beginning"))
}

/// What a body says of itself. `end` is its last bytes, at least as many as [`footer_len`] says;
/// `object_len` how long it is in all.
pub fn decode_footer(end: &[u8], object_len: u64) -> Result<Seal, FormatError> {
    let len = footer_len(end)?;
    let start = usize::try_from(len).ok().and_then(|len| end.len().checked_sub(len));
    let footer = start.and_then(|start| end.get(start..));
    let (index, trailer) = footer
        .and_then(<[u8]>::split_last_chunk::<TRAILER>)
        .ok_or_else(|| FormatError::corrupt("the footer is cut short"))?;
    if Decoder::new(trailer).checksum()? != Checksum::of(index) {
        return Err(FormatError::corrupt("the footer does not match its checksum"));
    }
    let mut from = Decoder::new(index);
    let seal = decode_seal(&mut from)?;
    from.finish()?;
    let stored = seal.frames.iter().map(|frame| u64::from(frame.stored));
    if stored.fold(len, u64::saturating_add) != object_len {
        return Err(FormatError::corrupt("the frames do not add up to the body's length"));
    }
    seal.check().map_err(FormatError::corrupt)?;
    Ok(seal)
}
