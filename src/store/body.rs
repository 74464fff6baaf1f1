//! Segment bodies: upload frame by frame, fetch of ranges.

use std::ops::Range;

use bytes::Bytes;

use crate::volume::SegmentId;
use crate::volume::edit::Seal;
use crate::volume::manifest::Segment;

use super::{Store, StoreError};

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

/// The raw bytes of these frames of a body, each checked: one ranged GET for adjacent frames.
pub async fn fetch_frames(
    store: &Store,
    id: SegmentId,
    segment: &Segment,
    frames: Range<usize>,
) -> Result<Vec<Bytes>, StoreError> {
    let _ = (store, id, segment, frames);
    todo!()
}
