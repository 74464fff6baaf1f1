//! Edits as bytes. What follows from other fields is not written: a write's place in the payload,
//! the number of its checksums, the number of a body's frames.

use super::FormatError;
use super::wire::{Decoder, Encoder};
use crate::volume::edit::{BLOCK, Member, blocks_in};
use crate::volume::frames::{Frame, frames_in};
use crate::volume::{Edit, Seal, Write};

const WRITE: u8 = 1;
const SEAL: u8 = 2;
const SET: u8 = 3;
const REMOVE: u8 = 4;
const RENAME: u8 = 5;
const SET_POLICY: u8 = 6;

pub(super) fn encode_edit(out: &mut Encoder, edit: &Edit) {
    match edit {
        Edit::Write(write) => {
            out.raw(&[WRITE]);
            encode_write(out, write);
        }
        Edit::Seal(seal) => {
            out.raw(&[SEAL]);
            encode_seal(out, seal);
        }
        Edit::Set { path, content } => {
            out.raw(&[SET]);
            out.path(path);
            out.bytes(content);
        }
        Edit::Remove { path } => {
            out.raw(&[REMOVE]);
            out.path(path);
        }
        Edit::Rename { from, to } => {
            out.raw(&[RENAME]);
            out.path(from);
            out.path(to);
        }
        Edit::SetPolicy { content } => {
            out.raw(&[SET_POLICY]);
            out.bytes(content);
        }
    }
}

/// One edit; `at` is where in the payload the next write's bytes begin, and moves on.
pub(super) fn decode_edit(from: &mut Decoder<'_>, at: &mut u64) -> Result<Edit, FormatError> {
    let edit = match from.u8()? {
        WRITE => Edit::Write(decode_write(from, at)?),
        SEAL => Edit::Seal(decode_seal(from)?),
        SET => Edit::Set { path: from.path()?, content: from.content()? },
        REMOVE => Edit::Remove { path: from.path()? },
        RENAME => Edit::Rename { from: from.path()?, to: from.path()? },
        SET_POLICY => Edit::SetPolicy { content: from.content()? },
        other => return Err(FormatError::corrupt(format!("no edit has the tag {other}"))),
    };
    Ok(edit)
}

fn encode_write(out: &mut Encoder, write: &Write) {
    out.path(&write.path);
    out.varint(write.size);
    out.varint(write.offset / BLOCK);
    out.varint(write.len);
    write.blocks.iter().for_each(|block| out.checksum(*block));
}

fn decode_write(from: &mut Decoder<'_>, at: &mut u64) -> Result<Write, FormatError> {
    let far = || FormatError::corrupt("a write lies beyond what a file can be");
    let path = from.path()?;
    let size = from.varint()?;
    let offset = from.varint()?.checked_mul(BLOCK).ok_or_else(far)?;
    let len = from.varint()?;
    let blocks = from.many(blocks_in(len), 8, Decoder::checksum)?;
    let begin = *at;
    *at = begin.checked_add(len).ok_or_else(far)?;
    Ok(Write { path, size, offset, at: begin, len, blocks })
}

/// A seal: in a batch, and as it stands in the footer of the body itself.
pub(super) fn encode_seal(out: &mut Encoder, seal: &Seal) {
    out.segment(seal.segment);
    out.count(seal.members.len());
    for member in &seal.members {
        out.path(&member.path);
        out.varint(member.size);
    }
    encode_frames(out, &seal.frames);
}

pub(super) fn decode_seal(from: &mut Decoder<'_>) -> Result<Seal, FormatError> {
    let segment = from.segment()?;
    let count = from.varint()?;
    let member = |from: &mut Decoder<'_>| -> Result<Member, FormatError> {
        Ok(Member { path: from.path()?, size: from.varint()? })
    };
    let members = from.many(count, LEAST_MEMBER, member)?;
    let mut seal = Seal { segment, members, frames: Vec::new() };
    let len = seal.stream_len().ok_or_else(|| FormatError::corrupt("a body is too large"))?;
    seal.frames = decode_frames(from, len)?;
    Ok(seal)
}

/// A path of one byte behind its length, and a size.
const LEAST_MEMBER: usize = 3;

pub(super) fn encode_frames(out: &mut Encoder, frames: &[Frame]) {
    for frame in frames {
        out.u32(frame.stored);
        out.checksum(frame.checksum);
    }
}

/// The frames of a stream of this length.
pub(super) fn decode_frames(from: &mut Decoder<'_>, len: u64) -> Result<Vec<Frame>, FormatError> {
    let frame = |from: &mut Decoder<'_>| -> Result<Frame, FormatError> {
        Ok(Frame { stored: from.u32()?, checksum: from.checksum()? })
    };
    let frames = from.many(frames_in(len), LEAST_FRAME, frame)?;
    crate::volume::frames::check(&frames, len).map_err(FormatError::corrupt)?;
    Ok(frames)
}

const LEAST_FRAME: usize = 12;
