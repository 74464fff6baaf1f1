//! Batches and fences as objects.

use bytes::Bytes;

use super::FormatError;
use super::edits::{decode_edit, decode_frames, encode_edit, encode_frames};
use super::envelope::{self, ObjectKind};
use super::wire::{Decoder, Encoder};
use crate::volume::frames::{FRAME, open_frame, raw_len, seal_frame};
use crate::volume::link::PAYLOAD_MAX;
use crate::volume::{
    Batch, BatchNumber, Digest, Epoch, Fence, Link, NodeId, Position, WallTime, WriterId,
};

/// A link as bytes: encoded once, so that every retry is the same object.
#[derive(Clone, Debug)]
pub struct EncodedLink {
    /// The link.
    pub link: Link,
    /// The object.
    pub bytes: Bytes,
    /// Its digest: what the next link names.
    pub digest: Digest,
}

/// A link as an object. Panics if the link is not sound ([`Link::check`]): an object that nobody
/// can decode would stop every replica for ever.
pub fn encode_link(link: Link) -> EncodedLink {
    if let Err(flaw) = link.check() {
        panic!("link {} must not be written: {flaw}", link.position());
    }
    let mut out = Encoder::default();
    match &link {
        Link::Batch(batch) => {
            out.raw(&ObjectKind::Batch.mark());
            encode_head(&mut out, &link);
            encode_batch(&mut out, batch);
        }
        Link::Fence(fence) => {
            out.raw(&ObjectKind::Fence.mark());
            encode_fence(&mut out, fence);
        }
    }
    let bytes = Bytes::from(envelope::close(out.0));
    let digest = Digest::of(&bytes);
    EncodedLink { link, bytes, digest }
}

/// The link that this object is. Checks everything that can be checked without its neighbours,
/// every block of the payload included.
pub fn decode_link(bytes: &Bytes) -> Result<EncodedLink, FormatError> {
    let (kind, inside) = envelope::open(bytes)?;
    let mut from = Decoder::new(inside);
    let link = match kind {
        ObjectKind::Batch => Link::Batch(decode_batch(&mut from)?),
        ObjectKind::Fence => Link::Fence(decode_fence(&mut from)?),
        ObjectKind::Checkpoint | ObjectKind::Segment => {
            return Err(FormatError::corrupt("this is not a link of the chain"));
        }
    };
    from.finish()?;
    link.check().map_err(FormatError::corrupt)?;
    Ok(EncodedLink { link, bytes: bytes.clone(), digest: Digest::of(bytes) })
}

/// What batches and fences have in common.
struct Head {
    position: Position,
    writer: WriterId,
    previous: Digest,
    time: WallTime,
}

fn encode_head(out: &mut Encoder, link: &Link) {
    out.u64(link.position().epoch.0);
    out.u64(link.position().number.0);
    out.raw(&link.writer().0);
    out.raw(&link.previous().0);
    out.time(link.time());
}

fn decode_head(from: &mut Decoder<'_>) -> Result<Head, FormatError> {
    Ok(Head {
        position: Position { epoch: Epoch(from.u64()?), number: BatchNumber(from.u64()?) },
        writer: WriterId(from.array()?),
        previous: Digest(from.array()?),
        time: from.time()?,
    })
}

/// A fence: as a link, and as the reign in a checkpoint. The epoch that it names is the one after
/// its own.
pub(super) fn encode_fence(out: &mut Encoder, fence: &Fence) {
    encode_head(out, &Link::Fence(fence.clone()));
    out.raw(&fence.node.0);
    out.bytes(fence.node_name.as_bytes());
}

pub(super) fn decode_fence(from: &mut Decoder<'_>) -> Result<Fence, FormatError> {
    let Head { position, writer, previous, time } = decode_head(from)?;
    let next = position.epoch.0.checked_add(1).map(Epoch);
    let next = next.ok_or_else(|| FormatError::corrupt("no epoch follows this fence"))?;
    let node = NodeId(from.array()?);
    let node_name = from.text()?.to_owned();
    Ok(Fence { position, writer, previous, time, next, node, node_name })
}

fn encode_batch(out: &mut Encoder, batch: &Batch) {
    out.option(batch.database.as_ref(), |out, text| out.bytes(text.as_bytes()));
    out.count(batch.edits.len());
    batch.edits.iter().for_each(|edit| encode_edit(out, edit));
    out.count(batch.payload.len());
    let pieces = batch.payload.chunks(usize::try_from(FRAME).expect("a frame is short"));
    let (stored, frames): (Vec<_>, Vec<_>) = pieces.map(seal_frame).unzip();
    encode_frames(out, &frames);
    for bytes in stored {
        out.raw(&bytes);
    }
}

fn decode_batch(from: &mut Decoder<'_>) -> Result<Batch, FormatError> {
    let Head { position, writer, previous, time } = decode_head(from)?;
    let database = from.option(|from| from.text().map(str::to_owned))?;
    let count = from.varint()?;
    let mut len = 0;
    let edits = from.many(count, LEAST_EDIT, |from| decode_edit(from, &mut len))?;
    if from.varint()? != len {
        return Err(FormatError::corrupt("the payload is not as long as the writes say"));
    }
    let payload = decode_payload(from, len)?;
    Ok(Batch { position, writer, previous, time, database, edits, payload })
}

/// A tag and the shortest of what may follow it.
const LEAST_EDIT: usize = 2;

fn decode_payload(from: &mut Decoder<'_>, len: u64) -> Result<Bytes, FormatError> {
    if len > PAYLOAD_MAX {
        return Err(FormatError::corrupt(format!("a payload of {len} bytes is too long")));
    }
    let frames = decode_frames(from, len)?;
    let mut payload = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let stored = from.raw(u64::from(frame.stored))?;
        let raw = usize::try_from(raw_len(len, index)).expect("a frame is short");
        payload.extend_from_slice(&open_frame(stored, frame, raw)?);
    }
    Ok(payload.into())
}
