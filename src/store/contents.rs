//! The bytes of a whole file of a manifest, from the store, in order and checked. Keeps nothing:
//! for those who read a file once.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use crate::volume::frames::FRAME;
use crate::volume::{
    Checksum, Content, Extent, Extents, File, Link, Manifest, Position, SegmentId,
};

use super::{Chain, StoreError, fetch_frames};

/// So many frames are fetched at a time.
const FRAMES_AT_ONCE: usize = 8;

/// So many batches are kept in memory: neighbouring extents often share one.
const BATCHES_KEPT: usize = 4;

/// Takes bytes of a file, from this offset on. What lies between reads as zeros.
pub type Put<'a> = dyn FnMut(u64, &[u8]) -> io::Result<()> + Send + 'a;

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store does not have it as the manifest says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever takes the bytes failed.
    #[error(transparent)]
    Put(#[from] io::Error),
}

/// Reads a file of this manifest, in order.
pub async fn read_file(
    chain: &Chain,
    manifest: &Manifest,
    file: &File,
    put: &mut Put<'_>,
) -> Result<(), ReadError> {
    match &file.content {
        Content::Pointer(content) => Ok(put(0, content)?),
        Content::Open(extents) => read_open(chain, extents, put).await,
        Content::Sealed { segment, start } => {
            read_sealed(chain, manifest, *segment, (*start, file.size), put).await
        }
    }
}

async fn read_open(chain: &Chain, extents: &Extents, put: &mut Put<'_>) -> Result<(), ReadError> {
    let mut kept: VecDeque<(Position, Bytes)> = VecDeque::with_capacity(BATCHES_KEPT);
    for extent in extents.iter() {
        let known = kept.iter().find(|(position, _)| *position == extent.position);
        let payload = if let Some((_, payload)) = known {
            payload.clone()
        } else {
            let payload = payload(chain, extent.position).await?;
            kept.truncate(BATCHES_KEPT - 1);
            kept.push_front((extent.position, payload.clone()));
            payload
        };
        put(extent.offset, checked(&payload, extent)?)?;
    }
    Ok(())
}

async fn payload(chain: &Chain, position: Position) -> Result<Bytes, StoreError> {
    let missing = || StoreError::Missing(format!("batch {position}"));
    match chain.read(position).await?.ok_or_else(missing)?.link {
        Link::Batch(batch) => Ok(batch.payload),
        Link::Fence(_) => Err(missing()),
    }
}

fn checked<'a>(payload: &'a Bytes, extent: &Extent) -> Result<&'a [u8], StoreError> {
    let corrupt = || StoreError::Corrupt {
        key: format!("batch {}", extent.position),
        reason: "its bytes are not those that the manifest names".to_owned(),
    };
    let bytes = slice(payload, extent.at, extent.len).ok_or_else(corrupt)?;
    let good = |block: crate::volume::extents::Block| {
        let bytes = slice(bytes, block.offset - extent.offset, block.len);
        bytes.is_some_and(|bytes| Checksum::of(bytes) == block.checksum)
    };
    if extent.blocks().all(good) { Ok(bytes) } else { Err(corrupt()) }
}

/// Reads so many bytes of the body's stream, from this start.
async fn read_sealed(
    chain: &Chain,
    manifest: &Manifest,
    id: SegmentId,
    (start, size): (u64, u64),
    put: &mut Put<'_>,
) -> Result<(), ReadError> {
    let missing = || StoreError::Missing(format!("a part of segment {id}"));
    let body = manifest.segments.get(&id).ok_or_else(missing)?;
    let end = start + size;
    let mut at = start;
    while at < end {
        let first = usize::try_from(at / FRAME).map_err(io::Error::other)?;
        let last = usize::try_from(end.div_ceil(FRAME)).map_err(io::Error::other)?;
        let before = at;
        let frames = first..last.min(first + FRAMES_AT_ONCE);
        for raw in fetch_frames(chain.store(), id, body, frames).await? {
            let from = at % FRAME;
            let available = u64::try_from(raw.len()).map_err(io::Error::other)?;
            let len = available.saturating_sub(from).min(end - at);
            put(at - start, slice(&raw, from, len).ok_or_else(missing)?)?;
            at += len;
        }
        if at == before {
            return Err(missing().into());
        }
    }
    Ok(())
}

fn slice(bytes: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..)?.get(..usize::try_from(len).ok()?)
}

#[cfg(test)]
mod tests;
