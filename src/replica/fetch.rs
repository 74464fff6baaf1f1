//! Brings bytes from the store into the cache: frames of bodies, and batches whose tail bytes are
//! not here any more. Everything that lands was checked. Does not wait for a store that is away:
//! its readers do.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::store::{Chain, StoreError, fetch_frames};
use crate::volume::frames::FRAME;
use crate::volume::keys::Key;
use crate::volume::manifest::Segment;
use crate::volume::{Checksum, Edit, Link, Position, SegmentId};

use super::cache::Cache;
use super::cache::ledger::Name;
use super::cache::memory::Piece;
use super::flights::{Flights, Landing};
use super::tails;

/// Frames per request: 4 MiB of a body, where a request's latency and its transfer weigh the same.
const CHUNK: usize = 4;

/// Requests at a time for what nobody waits for yet.
const BACKGROUND: usize = 4;

/// Rounds of fetching and checking, before a body is left as it is.
const ROUNDS: usize = 3;

/// Brings bytes from the store.
#[derive(Debug)]
pub struct Fetcher {
    chain: Chain,
    cache: Arc<Cache>,
    chunks: Flights<(SegmentId, usize), Arc<Vec<Bytes>>>,
    batches: Flights<Position, Bytes>,
    completions: Flights<SegmentId, ()>,
    background: Semaphore,
}

impl Fetcher {
    /// From this chain's store into this cache.
    pub fn new(chain: Chain, cache: Arc<Cache>, runtime: &Handle) -> Self {
        Self {
            chain,
            cache,
            chunks: Flights::new(runtime.clone()),
            batches: Flights::new(runtime.clone()),
            completions: Flights::new(runtime.clone()),
            background: Semaphore::new(BACKGROUND),
        }
    }

    /// A frame of a body: from memory, from the cache, or from the store.
    pub async fn frame(
        &self,
        id: SegmentId,
        body: &Arc<Segment>,
        index: usize,
    ) -> Result<Bytes, StoreError> {
        let memory = self.cache.memory();
        if let Some(bytes) = memory.get(Piece::Frame(id, index)) {
            return Ok(bytes);
        }
        if let Some(bytes) = self.cached(id, body, index) {
            memory.put(Piece::Frame(id, index), bytes.clone());
            return Ok(bytes);
        }
        let first = index - index % CHUNK;
        let frames = self.chunk(id, body, first).await?;
        for (frame, bytes) in frames.iter().enumerate() {
            memory.put(Piece::Frame(id, first + frame), bytes.clone());
        }
        let wanted = frames.get(index % CHUNK).cloned();
        wanted.ok_or_else(|| StoreError::Corrupt {
            key: Key::Segment(id).to_string(),
            reason: format!("there is no frame {index}"),
        })
    }

    /// The bytes of the writes of a batch; they are in memory, too, once they are here.
    pub fn payload(&self, position: Position) -> Landing<Bytes> {
        let (chain, cache) = (self.chain.clone(), Arc::clone(&self.cache));
        let read = async move || match chain.read(position).await?.map(|found| found.link) {
            Some(Link::Batch(batch)) => {
                let writes = batch.edits.iter().filter_map(|edit| match edit {
                    Edit::Write(write) => Some(write),
                    _ => None,
                });
                writes.for_each(|write| tails::remember(&cache, position, write, &batch.payload));
                Ok(batch.payload)
            }
            Some(Link::Fence(_)) => Err(StoreError::Corrupt {
                key: Key::Link(position).to_string(),
                reason: "a fence stands where bytes should be".to_owned(),
            }),
            None => Err(StoreError::Missing(Key::Link(position).to_string())),
        };
        self.batches.join(position, read)
    }

    /// Brings what is missing of a body into the cache, and checks all of it. Ends without an
    /// error where there is no room for it.
    pub fn complete(self: &Arc<Self>, id: SegmentId, body: &Arc<Segment>) -> Landing<()> {
        let (fetcher, body) = (Arc::clone(self), Arc::clone(body));
        self.completions.join(id, move || async move {
            let completed = fetcher.complete_now(id, &body).await;
            if let Err(error) = &completed {
                debug!(segment = %id, %error, "not fetched ahead");
            }
            completed
        })
    }

    async fn complete_now(&self, id: SegmentId, body: &Arc<Segment>) -> Result<(), StoreError> {
        let name = Name::Body(id);
        if self.cache.verified(name).is_some() || body.len > self.cache.limit() {
            return Ok(());
        }
        // A tail that became the body may have been longer once; the kernel would show that.
        self.cache.trim(name, body.len);
        for _ in 0..ROUNDS {
            let lease = self.cache.lease(name);
            let stamp = lease.as_ref().and_then(|leased| leased.stamp().ok());
            let missing = self.missing(id, body).await;
            if missing.is_empty() {
                if let Some(stamp) = stamp {
                    self.cache.verified_at(name, stamp);
                }
                return Ok(());
            }
            let fetches = missing.into_iter().map(|first| async move {
                let _permit = self.background.acquire().await;
                self.chunk(id, body, first).await.map(|_| ())
            });
            stream::iter(fetches).buffered(BACKGROUND).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// The first frames of the chunks that are not wholly here.
    async fn missing(&self, id: SegmentId, body: &Segment) -> BTreeSet<usize> {
        let mut missing = BTreeSet::new();
        for index in 0..body.frames.len() {
            let first = index - index % CHUNK;
            if !missing.contains(&first) && self.cached(id, body, index).is_none() {
                missing.insert(first);
            }
            tokio::task::yield_now().await;
        }
        missing
    }

    /// The frame as the cache has it, if that is what it should be.
    fn cached(&self, id: SegmentId, body: &Segment, index: usize) -> Option<Bytes> {
        let (range, frame) = (frame_range(body, index), body.frames.get(index)?);
        let name = Name::Body(id);
        let len = usize::try_from(range.end - range.start).ok()?;
        match self.cache.lease(name)?.read(range.start, len) {
            Ok(Some(bytes)) if Checksum::of(&bytes) == frame.checksum => Some(bytes.into()),
            Ok(None) => None,
            // The last tail was older than what was sealed: nothing is wrong.
            Ok(Some(_)) if self.cache.is_adopted(name) => None,
            Ok(Some(_)) => {
                warn!(file = %name, frame = index, "the cache differs from the volume: fetching again");
                None
            }
            Err(error) => {
                warn!(file = %name, frame = index, "the cache cannot be read ({error}): fetching again");
                None
            }
        }
    }

    async fn chunk(
        &self,
        id: SegmentId,
        body: &Arc<Segment>,
        first: usize,
    ) -> Result<Arc<Vec<Bytes>>, StoreError> {
        let (chain, cache) = (self.chain.clone(), Arc::clone(&self.cache));
        let body = Arc::clone(body);
        let fetch = async move || {
            let frames = first..body.frames.len().min(first + CHUNK);
            let bytes = fetch_frames(chain.store(), id, &body, frames).await?;
            let mut offset = frame_range(&body, first).start;
            for frame in &bytes {
                cache.write(Name::Body(id), offset, frame);
                offset += FRAME;
            }
            Ok(Arc::new(bytes))
        };
        self.chunks.join((id, first), fetch).await
    }
}

/// Where a frame is in its body's stream.
pub fn frame_range(body: &Segment, index: usize) -> Range<u64> {
    let start = u64::try_from(index).expect("an index fits in 64 bits") * FRAME;
    start..body.len.min(start + FRAME)
}
