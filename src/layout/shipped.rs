//! What the manifest has of a file, and which blocks of the file on disk it lacks. Knows no
//! database: what may be shipped is the layouts' decision.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use crate::volume::edit::BLOCK;
use crate::volume::frames::FRAME;
use crate::volume::manifest::Segment;
use crate::volume::{Checksum, Content, Extents, File, Manifest, RelPath};

use super::{OpenFile, Step};

/// Files are read in pieces of this size.
const PIECE: u64 = 1 << 20;

/// What the manifest has of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shipped<'m>(Option<&'m File>);

impl<'m> Shipped<'m> {
    pub(super) fn of(manifest: &'m Manifest, path: &RelPath) -> Self {
        Self(manifest.files.get(path).map(AsRef::as_ref))
    }

    /// Nothing, whatever the manifest has.
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// The file.
    pub(super) fn file(self) -> Option<&'m File> {
        self.0
    }

    pub(super) fn is_sealed(self) -> bool {
        self.0.is_some_and(|file| matches!(file.content, Content::Sealed { .. }))
    }

    /// The length of an open file.
    pub(super) fn open_size(self) -> Option<u64> {
        self.0.filter(|file| matches!(file.content, Content::Open(_))).map(|file| file.size)
    }

    /// The content of a pointer.
    pub(super) fn pointer(self) -> Option<&'m Bytes> {
        match &self.0?.content {
            Content::Pointer(content) => Some(content),
            _ => None,
        }
    }

    /// Where the bytes end that were shipped as tail.
    pub(super) fn end(self) -> u64 {
        self.extents().map_or(0, Extents::end)
    }

    /// Where the last block of the tail begins: the first one that may change as the file grows.
    pub(super) fn last_block(self) -> u64 {
        self.end().saturating_sub(1) / BLOCK * BLOCK
    }

    fn extents(self) -> Option<&'m Extents> {
        match &self.0?.content {
            Content::Open(extents) => Some(extents),
            _ => None,
        }
    }

    /// Whether the manifest has exactly these bytes in the block at `offset`. A block that was
    /// never shipped has zeros.
    fn has(self, offset: u64, bytes: &[u8]) -> bool {
        match self.extents().and_then(|extents| extents.block(offset)) {
            None => bytes.iter().all(|byte| *byte == 0),
            Some(block) => {
                u64::try_from(bytes.len()) == Ok(block.len) && block.checksum == Checksum::of(bytes)
            }
        }
    }
}

/// The ranges, made of whole blocks but for the end of the file, in which the file on disk is not
/// what the manifest has. `range` begins at a block's border.
pub(super) fn differing(
    file: &dyn OpenFile,
    shipped: Shipped<'_>,
    range: Range<u64>,
) -> io::Result<Vec<Range<u64>>> {
    let mut found: Vec<Range<u64>> = Vec::new();
    let block = usize::try_from(BLOCK).unwrap_or(usize::MAX);
    let mut at = range.start;
    let mut buffer = Vec::new();
    while at < range.end {
        let wanted = PIECE.min(range.end - at);
        buffer.resize(usize::try_from(wanted).unwrap_or_default(), 0);
        let read = file.read_at(at, &mut buffer)?;
        buffer.truncate(read);
        for bytes in buffer.chunks(block) {
            let end = at + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if !shipped.has(at, bytes) {
                match found.last_mut().filter(|last| last.end == at) {
                    Some(last) => last.end = end,
                    None => found.push(at..end),
                }
            }
            at = end;
        }
        if read == 0 {
            break;
        }
    }
    Ok(found)
}

/// The steps that ship these ranges of a file.
pub(super) fn tails(
    path: &RelPath,
    size: u64,
    ranges: Vec<Range<u64>>,
) -> impl Iterator<Item = Step> {
    ranges.into_iter().map(move |range| Step::Tail {
        path: path.clone(),
        size,
        offset: range.start,
        len: range.end - range.start,
    })
}

/// All bytes of a small file; `None` if there is none, or if it has more than `max` bytes.
pub(super) fn read_whole(file: &dyn OpenFile, max: u64) -> io::Result<Option<Bytes>> {
    let size = file.found()?.size;
    if size > max {
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(size).unwrap_or_default()];
    let read = file.read_at(0, &mut content)?;
    content.truncate(read);
    Ok(Some(content.into()))
}

/// Whether a file on disk has the bytes that were sealed, `size` of the body's stream from `start`
/// on: checks the frames that lie in the file as a whole.
pub(crate) fn frames_agree(
    file: &dyn OpenFile,
    size: u64,
    start: u64,
    body: &Segment,
) -> io::Result<bool> {
    let mut frame_start = 0;
    let mut raw = Vec::new();
    for frame in &body.frames {
        let frame_end = (frame_start + FRAME).min(body.len);
        if frame_start >= start && frame_end <= start + size {
            raw.resize(usize::try_from(frame_end - frame_start).unwrap_or_default(), 0);
            let read = file.read_at(frame_start - start, &mut raw)?;
            if read < raw.len() || Checksum::of(&raw) != frame.checksum {
                return Ok(false);
            }
        }
        frame_start = frame_end;
    }
    Ok(true)
}
