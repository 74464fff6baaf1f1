//! The bytes of a file of the view. What is here is checked and shown at once; what is not, is
//! waited for; what cannot be had in time, or is not what it should be, is an error, never zeros.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use tokio::time::{Instant, sleep, timeout_at};

use crate::store::StoreError;
use crate::volume::edit::BLOCK;
use crate::volume::extents::{Block, Extents};
use crate::volume::frames::FRAME;
use crate::volume::keys::Key;
use crate::volume::{Checksum, Content, Position, RelPath};

use super::cache::folder::Leased;
use super::cache::ledger::Name;
use super::cache::memory::Piece;
use super::fetch::frame_range;
use super::shown::Shown;
use super::view::Seen;

/// Between two tries of a read while the store is away.
const RETRY: Duration = Duration::from_millis(200);

/// How many batches to fetch at once for a reader whose tail is not in the cache.
const BATCHES_AHEAD: usize = 16;

/// Why bytes cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer in time.
    #[error("{path}: waited {waited:?} for the store: {cause}")]
    Away {
        /// Which file.
        path: RelPath,
        /// How long.
        waited: Duration,
        /// What the store said last.
        cause: StoreError,
    },
    /// The bytes are not in the store, or are not what they should be.
    #[error("{path}: {cause}")]
    Lost {
        /// Which file.
        path: RelPath,
        /// What is wrong.
        cause: StoreError,
    },
}

/// Batches whose tail bytes were fetched for one read.
type Brought = HashMap<Position, Bytes>;

impl Shown {
    /// Bytes of the file of this name; fewer only at its end. `None` if there is no such file.
    pub async fn read(
        &self,
        path: &RelPath,
        offset: u64,
        len: usize,
    ) -> Result<Option<Bytes>, ReadError> {
        match self.see(path) {
            Some(seen) => self.read_file(&seen, offset, len).await.map(Some),
            None => Ok(None),
        }
    }

    /// Bytes of this file as it is now; fewer only at its end. Waits while the store is away.
    pub async fn read_file(
        &self,
        seen: &Seen,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, ReadError> {
        self.reads(&seen.path);
        let deadline = Instant::now() + self.store_timeout;
        let path = || seen.path.clone();
        let mut answer = StoreError::Unavailable("no answer".to_owned());
        loop {
            match timeout_at(deadline, self.gather(seen, offset, len)).await {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(cause @ (StoreError::Unavailable(_) | StoreError::Refused(_)))) => {
                    answer = cause;
                }
                Ok(Err(cause)) => return Err(ReadError::Lost { path: path(), cause }),
                Err(_elapsed) => {
                    let waited = self.store_timeout;
                    return Err(ReadError::Away { path: path(), waited, cause: answer });
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn gather(&self, seen: &Seen, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let mut seen = self.latest(seen);
        let mut brought = Brought::new();
        loop {
            let len = u64::try_from(len).expect("a length fits in 64 bits");
            let end = offset.saturating_add(len).min(seen.file.size);
            let range = offset.min(end)..end;
            let extents = match &seen.file.content {
                Content::Pointer(content) => return Ok(content.slice(within_memory(&range))),
                Content::Sealed { start, .. } => return self.sealed(&seen, *start, range).await,
                Content::Open(extents) => extents,
            };
            let missing = match self.assemble(&seen, extents, &range, &brought) {
                Ok(bytes) => return Ok(bytes),
                Err(missing) => missing,
            };
            let latest = self.latest(&seen);
            if latest == seen {
                self.bring(&seen, extents, &missing, &mut brought).await?;
            } else {
                // A newer batch came, and its bytes took the place of those that were missed.
                seen = latest;
            }
        }
    }

    async fn sealed(
        &self,
        seen: &Seen,
        start: u64,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        let (id, body) = seen.body.as_ref().expect("a sealed file has a body");
        let (mut at, end) = (start + range.start, start + range.end);
        let mut out = BytesMut::with_capacity(within_memory(&range).len());
        while at < end {
            let index = usize::try_from(at / FRAME).expect("a body has few frames");
            let frame = self.fetcher.frame(*id, body, index).await?;
            let here = frame_range(body, index);
            let stop = here.end.min(end);
            let wanted = within_memory(&(at - here.start..stop - here.start));
            let bytes = frame.get(wanted).ok_or_else(|| StoreError::Corrupt {
                key: Key::Segment(*id).to_string(),
                reason: format!("it is shorter than {}", seen.path),
            })?;
            out.extend_from_slice(bytes);
            at = stop;
        }
        Ok(out.freeze())
    }

    /// The range of an open file, from what is here; or else the batches whose bytes are not.
    fn assemble(
        &self,
        seen: &Seen,
        extents: &Extents,
        range: &Range<u64>,
        brought: &Brought,
    ) -> Result<Bytes, BTreeSet<Position>> {
        let mut out = vec![0; within_memory(range).len()];
        let mut missing = BTreeSet::new();
        let mut tail = None;
        let first = range.start - range.start % BLOCK;
        let offsets = std::iter::successors(Some(first), |offset| Some(offset + BLOCK));
        let blocks = offsets.take_while(|offset| *offset < range.end);
        for block in blocks.filter_map(|offset| extents.block(offset)) {
            let mut file =
                || tail.get_or_insert_with(|| self.cache.lease(Name::tail(&seen.path))).clone();
            let Some(bytes) = self.block(&block, brought, &mut file) else {
                missing.insert(block.position);
                continue;
            };
            let start = block.offset.max(range.start);
            let end = (block.offset + block.len).min(range.end).max(start);
            let target = out.get_mut(within_memory(&(start - range.start..end - range.start)));
            let source = bytes.get(within_memory(&(start - block.offset..end - block.offset)));
            let (target, source) = target.zip(source).expect("a verified block is whole");
            target.copy_from_slice(source);
        }
        if missing.is_empty() { Ok(out.into()) } else { Err(missing) }
    }

    /// A block of an open file: from memory, from what was brought, or from the cache.
    fn block(
        &self,
        block: &Block,
        brought: &Brought,
        file: &mut dyn FnMut() -> Option<Arc<Leased>>,
    ) -> Option<Bytes> {
        let piece = Piece::Block(block.position, block.at);
        if let Some(bytes) = self.cache.memory().get(piece) {
            return Some(bytes);
        }
        let bytes = if let Some(payload) = brought.get(&block.position) {
            Bytes::copy_from_slice(payload.get(within_memory(&(block.at..block.at + block.len)))?)
        } else {
            let len = usize::try_from(block.len).ok()?;
            file()?.read(block.offset, len).ok().flatten()?.into()
        };
        if Checksum::of(&bytes) != block.checksum {
            return None;
        }
        self.cache.memory().put(piece, bytes.clone());
        Some(bytes)
    }

    /// Fetches the batches whose bytes are not here, and begins with those that come next.
    async fn bring(
        &self,
        seen: &Seen,
        extents: &Extents,
        missing: &BTreeSet<Position>,
        brought: &mut Brought,
    ) -> Result<(), StoreError> {
        if let Some(position) = missing.iter().find(|position| brought.contains_key(position)) {
            let reason = format!("its bytes are not those of {}", seen.path);
            return Err(StoreError::Corrupt { key: Key::Link(*position).to_string(), reason });
        }
        let wanted: Vec<_> = missing.iter().map(|at| self.fetcher.payload(*at)).collect();
        self.begin_ahead(extents, missing);
        for (position, payload) in missing.iter().zip(try_join_all(wanted).await?) {
            if self.latest(seen) == *seen {
                self.keep(seen, extents, *position, &payload);
            }
            brought.insert(*position, payload);
        }
        Ok(())
    }

    fn begin_ahead(&self, extents: &Extents, missing: &BTreeSet<Position>) {
        let behind = extents.iter().skip_while(|extent| !missing.contains(&extent.position));
        let absent = behind.filter(|extent| {
            let first = Piece::Block(extent.position, extent.at);
            !missing.contains(&extent.position) && self.cache.memory().get(first).is_none()
        });
        for extent in absent.take(BATCHES_AHEAD.saturating_sub(missing.len())) {
            drop(self.fetcher.payload(extent.position));
        }
    }

    fn keep(&self, seen: &Seen, extents: &Extents, position: Position, payload: &Bytes) {
        for extent in extents.iter().filter(|extent| extent.position == position) {
            if let Some(bytes) = payload.get(within_memory(&(extent.at..extent.at + extent.len))) {
                self.cache.write(Name::tail(&seen.path), extent.offset, bytes);
            }
        }
    }
}

fn within_memory(range: &Range<u64>) -> Range<usize> {
    let narrow = |at: u64| usize::try_from(at).expect("what is read at once fits in memory");
    narrow(range.start)..narrow(range.end)
}
