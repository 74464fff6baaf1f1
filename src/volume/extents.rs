//! Which ranges of an open file were written, and by which batches. Knows whole blocks only, so
//! that every checksum stays usable however often a range is overwritten.

use std::ops::Range;
use std::sync::Arc;

use imbl::OrdMap;

use super::edit::{BLOCK, Write, blocks_in};
use super::{Checksum, Position};

/// The extents of an open file: sorted, disjoint, no block shared by two. What lies between them,
/// or behind them, reads as zeros. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents(OrdMap<u64, Extent>);

/// A range of an open file and where its bytes are. Always begins at a block's border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// The batch whose payload has the bytes.
    pub position: Position,
    /// Where in that payload.
    pub at: u64,
    /// The checksum of each block, the last one perhaps shorter than [`BLOCK`].
    pub blocks: Arc<[Checksum]>,
}

/// One block of an extent: the smallest piece that can be fetched and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is: [`BLOCK`], or less at the end of an extent.
    pub len: u64,
    /// The batch whose payload has its bytes.
    pub position: Position,
    /// Where in that payload.
    pub at: u64,
    /// The checksum of its bytes.
    pub checksum: Checksum,
}

impl Extent {
    /// Where it ends in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// Its blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        (0..self.blocks.len()).map_while(|index| self.block(index))
    }

    fn block(&self, index: usize) -> Option<Block> {
        let checksum = *self.blocks.get(index)?;
        let from = u64::try_from(index).ok()? * BLOCK;
        Some(Block {
            offset: self.offset + from,
            len: (self.len - from).min(BLOCK),
            position: self.position,
            at: self.at + from,
            checksum,
        })
    }

    /// The part of it in this range of the file, whose ends are block borders or its own ends.
    fn part(&self, range: Range<u64>) -> Option<Self> {
        let (from, to) = (range.start.max(self.offset), range.end.min(self.end()));
        let len = to.checked_sub(from).filter(|len| *len > 0)?;
        let blocks = self.blocks().filter(|block| (from..to).contains(&block.offset));
        let blocks = blocks.map(|block| block.checksum).collect();
        let at = self.at + (from - self.offset);
        Some(Self { offset: from, len, position: self.position, at, blocks })
    }
}

impl Extents {
    /// In order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Extent> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the last one ends.
    pub fn end(&self) -> u64 {
        self.0.get_max().map_or(0, |(_, extent)| extent.end())
    }

    /// Those that have bytes of this range of the file.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Extent> {
        let first = self.0.get_prev(&range.start).map_or(range.start, |(offset, _)| *offset);
        let start = range.start;
        let candidates = self.0.range(first..range.end.max(first));
        candidates.map(|(_, extent)| extent).filter(move |extent| extent.end() > start)
    }

    /// The blocks that have bytes of this range of the file.
    pub fn blocks(&self, range: Range<u64>) -> impl Iterator<Item = Block> {
        let Range { start, end } = range;
        self.overlapping(range).flat_map(move |extent| {
            let first = start.saturating_sub(extent.offset) / BLOCK;
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            let touched = (first..extent.blocks.len()).map_while(|index| extent.block(index));
            touched.take_while(move |block| block.offset < end)
        })
    }

    /// The block that begins here; `None` if it was never written.
    pub fn block(&self, offset: u64) -> Option<Block> {
        let (_, extent) = self.0.get_prev(&offset)?;
        let index = usize::try_from((offset - extent.offset) / BLOCK).ok()?;
        extent.block(index).filter(|block| block.offset == offset)
    }

    /// The extents once this write of the batch at `position` counts. The write has been checked.
    /// `Err` if it would leave a block of which only a part is still there: its checksum would
    /// be of no use.
    pub(super) fn with(&self, write: &Write, position: Position) -> Result<Self, String> {
        let mut next = self.clone();
        let covered = write.offset..write.offset + blocks_in(write.len) * BLOCK;
        for old in self.overlapping(covered.clone()) {
            next.0.remove(&old.offset);
            next.insert(old.part(0..covered.start));
            next.insert(old.part(covered.end..u64::MAX));
        }
        next.truncate(write.size)?;
        next.insert((write.len > 0).then(|| Extent {
            offset: write.offset,
            len: write.len,
            position,
            at: write.at,
            blocks: write.blocks.as_slice().into(),
        }));
        Ok(next)
    }

    fn insert(&mut self, extent: Option<Extent>) {
        if let Some(extent) = extent {
            self.0.insert(extent.offset, extent);
        }
    }

    fn truncate(&mut self, size: u64) -> Result<(), String> {
        while let Some((_, last)) = self.0.get_max().filter(|(_, last)| last.end() > size) {
            let last = last.clone();
            let kept = last.part(0..size);
            if kept.is_some() && !size.is_multiple_of(BLOCK) {
                return Err(format!("the new size {size} cuts a block that is not rewritten"));
            }
            self.0.remove(&last.offset);
            self.insert(kept);
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Extents {
    type Item = &'a Extent;
    type IntoIter = imbl::ordmap::Values<'a, u64, Extent, imbl::shared_ptr::DefaultSharedPtr>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.values()
    }
}

impl FromIterator<Extent> for Extents {
    fn from_iter<I: IntoIterator<Item = Extent>>(extents: I) -> Self {
        Self(extents.into_iter().map(|extent| (extent.offset, extent)).collect())
    }
}
