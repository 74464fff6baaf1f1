//! Segment bodies: upload frame by frame, fetch of ranges. Does not choose what a segment is.

use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::volume::SegmentId;
use crate::volume::codec::encode_footer;
use crate::volume::edit::{Member, Seal};
use crate::volume::frames::{Frame, open_frame, raw_len, seal_frame};
use crate::volume::keys::Key;
use crate::volume::manifest::Segment;

use super::objects::Parts;
use super::{Store, StoreError};

/// A body up to this size is one request: a segment of PostgreSQL that does not compress fits.
const SINGLE_MAX: usize = 17 << 20;
/// Larger ones go in parts of this size, all equal but the last: some stores insist on that.
const PART: usize = 8 << 20;

/// The proof that a segment's body is in the store: what a seal needs. Only an upload makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    seal: Seal,
}

impl Uploaded {
    /// The edit that names the body.
    pub fn into_seal(self) -> Seal {
        self.seal
    }
}

/// Where the bytes of an upload come from.
pub trait Source: Send {
    /// Fills the buffer from `offset` of the member with this index; less only at its end.
    fn read_at(&mut self, member: usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether everything that was read is still what it was: asked once, before the body counts.
    fn unchanged(&mut self) -> io::Result<bool>;
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The local disk failed.
    #[error("cannot read what is to be uploaded: {0}")]
    Disk(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Uploads the members, one after the other, as the body of this name. `None`: they changed or
/// shrank meanwhile, and there is no body.
///
/// A name is used for one call only, however it ends: a request that seemed to fail may still
/// land, and would replace the bytes of a second attempt.
pub async fn upload(
    store: &Store,
    segment: SegmentId,
    members: Vec<Member>,
    source: &mut dyn Source,
) -> Result<Option<Uploaded>, UploadError> {
    let mut sink = Sink::new(store, segment);
    let seal = Seal { segment, members, frames: Vec::new() };
    let outcome = send(&mut sink, seal, source).await;
    if !matches!(outcome, Ok(Some(_))) {
        sink.discard().await;
    }
    Ok(outcome?.map(|seal| Uploaded { seal }))
}

/// The raw bytes of these frames of a body, each checked: one ranged GET for adjacent frames.
pub async fn fetch_frames(
    store: &Store,
    id: SegmentId,
    segment: &Segment,
    frames: Range<usize>,
) -> Result<Vec<Bytes>, StoreError> {
    let key = Key::Segment(id);
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let range = stored_range(segment, &frames);
    let stored = store.get_range(&key, range.clone()).await?;
    if let Ok(raw) = open_frames(&stored, segment, &frames) {
        return Ok(raw);
    }
    // Damage on the way is not damage in the store: look once more before saying so.
    let stored = store.get_range(&key, range).await?;
    open_frames(&stored, segment, &frames)
        .map_err(|reason| StoreError::Corrupt { key: key.to_string(), reason })
}

async fn send(
    sink: &mut Sink,
    mut seal: Seal,
    source: &mut dyn Source,
) -> Result<Option<Seal>, UploadError> {
    let len: u64 = seal.members.iter().map(|member| member.size).sum();
    let mut cursor = Cursor::default();
    for index in 0.. {
        let raw_len = raw_len(len, index);
        if raw_len == 0 {
            break;
        }
        let mut raw = vec![0; usize::try_from(raw_len).expect("a frame fits in memory")];
        if !cursor.fill(&seal.members, source, &mut raw)? {
            return Ok(None);
        }
        let (stored, frame) = seal_frame(&raw);
        seal.frames.push(frame);
        sink.push(&stored).await?;
        // Compressing a frame takes milliseconds: others on this thread come first now and then.
        tokio::task::yield_now().await;
    }
    sink.push(&encode_footer(&seal)).await?;
    if !source.unchanged()? {
        return Ok(None);
    }
    sink.complete().await?;
    Ok(Some(seal))
}

/// Where the stream of members has been read up to.
#[derive(Default)]
struct Cursor {
    member: usize,
    offset: u64,
}

impl Cursor {
    /// The next bytes of the stream; `false` if a member is shorter than it was said to be.
    fn fill(
        &mut self,
        members: &[Member],
        source: &mut dyn Source,
        mut buffer: &mut [u8],
    ) -> io::Result<bool> {
        while !buffer.is_empty() {
            let Some(member) = members.get(self.member) else { return Ok(false) };
            let left = usize::try_from(member.size - self.offset).unwrap_or(usize::MAX);
            if left == 0 {
                *self = Self { member: self.member + 1, offset: 0 };
                continue;
            }
            let (now, later) = buffer.split_at_mut(left.min(buffer.len()));
            if source.read_at(self.member, self.offset, now)? < now.len() {
                return Ok(false);
            }
            self.offset += u64::try_from(now.len()).expect("a frame is short");
            buffer = later;
        }
        Ok(true)
    }
}

/// The object being written: one request if it stays small, else parts.
struct Sink {
    store: Store,
    key: Key,
    pending: BytesMut,
    parts: Option<Parts>,
}

impl Sink {
    fn new(store: &Store, id: SegmentId) -> Self {
        let (store, key) = (store.clone(), Key::Segment(id));
        Self { store, key, pending: BytesMut::new(), parts: None }
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.pending.extend_from_slice(bytes);
        if self.parts.is_none() && self.pending.len() > SINGLE_MAX {
            self.parts = Some(self.store.put_parts(&self.key).await?);
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        // The last part must have bytes, so a full one waits until more follows.
        while self.pending.len() > PART {
            parts.put(self.pending.split_to(PART).freeze()).await?;
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        let rest = self.pending.split().freeze();
        let Some(parts) = &mut self.parts else { return self.store.put(&self.key, rest).await };
        parts.put(rest).await?;
        parts.complete().await
    }

    async fn discard(&mut self) {
        if let Some(parts) = &mut self.parts {
            parts.abort().await;
        }
    }
}

fn stored_range(segment: &Segment, frames: &Range<usize>) -> Range<u64> {
    let stored =
        |range: &[Frame]| -> u64 { range.iter().map(|frame| u64::from(frame.stored)).sum() };
    let before = segment.frames.get(..frames.start).expect("the segment has these frames");
    let wanted = segment.frames.get(frames.clone()).expect("the segment has these frames");
    let start = stored(before);
    start..start + stored(wanted)
}

fn open_frames(
    stored: &Bytes,
    segment: &Segment,
    frames: &Range<usize>,
) -> Result<Vec<Bytes>, String> {
    let mut rest = stored.clone();
    let mut opened = Vec::with_capacity(frames.len());
    for index in frames.clone() {
        let frame = segment.frames.get(index).ok_or("no such frame")?;
        let stored_len = usize::try_from(frame.stored).map_err(|error| error.to_string())?;
        if stored_len > rest.len() {
            return Err(format!("frame {index}: cut short"));
        }
        let raw_len =
            usize::try_from(raw_len(segment.len, index)).map_err(|error| error.to_string())?;
        let raw = open_frame(&rest.split_to(stored_len), frame, raw_len)
            .map_err(|error| format!("frame {index}: {error}"))?;
        opened.push(raw.into());
    }
    Ok(opened)
}

#[cfg(test)]
mod tests;
