//! What a batch means to the cache: the bytes that it carries are kept before anybody is shown
//! them, and files that a body or a removal replaced are let go afterwards.

use std::collections::HashMap;

use bytes::Bytes;

use crate::volume::edit::BLOCK;
use crate::volume::{Batch, Content, Edit, Manifest, Position, RelPath, Seal, Write};

use super::cache::Cache;
use super::cache::ledger::Name;
use super::cache::memory::Piece;

/// How much is copied at once from tails into a body.
const COPY: u64 = 1 << 20;

/// Keeps what the batch brings. Readers still see the manifest `before` it.
pub fn arrive(cache: &Cache, before: &Manifest, batch: &Batch) {
    let mut open = Opens { before, now: HashMap::new() };
    for edit in &batch.edits {
        match edit {
            Edit::Write(write) => {
                if !open.set(&write.path, true) {
                    cache.forget(Name::tail(&write.path));
                }
                keep(cache, batch.position, write, &batch.payload);
            }
            Edit::Seal(seal) => {
                adopt(cache, seal, &open);
                seal.members.iter().for_each(|member| _ = open.set(&member.path, false));
            }
            Edit::Rename { from, to } => {
                let moved = open.set(from, false);
                if moved {
                    cache.link(Name::tail(from), Name::tail(to));
                }
                open.set(to, moved);
            }
            Edit::Remove { path } | Edit::Set { path, .. } => _ = open.set(path, false),
            Edit::SetPolicy { .. } => {}
        }
    }
}

/// Lets go of what nobody is shown any more. Readers see the manifest `after` the batch.
pub fn depart(cache: &Cache, before: &Manifest, after: &Manifest, batch: &Batch) {
    let touched = batch.edits.iter().flat_map(|edit| match edit {
        Edit::Seal(seal) => seal.members.iter().map(|member| &member.path).collect(),
        Edit::Remove { path } | Edit::Set { path, .. } => vec![path],
        Edit::Rename { from, to } => vec![from, to],
        Edit::Write(_) | Edit::SetPolicy { .. } => vec![],
    });
    for path in touched {
        if !is_open(after, path) {
            cache.forget(Name::tail(path));
        }
        if let Some(Content::Sealed { segment, .. }) = content(before, path)
            && !after.segments.contains_key(segment)
        {
            cache.forget(Name::Body(*segment));
        }
    }
}

/// Keeps the bytes of a write, verified when its batch was decoded, in memory.
pub fn remember(cache: &Cache, position: Position, write: &Write, payload: &Bytes) {
    let size = usize::try_from(BLOCK).expect("a block fits in memory");
    let places = std::iter::successors(Some(write.at), |at| Some(at + BLOCK));
    for (at, block) in places.zip(bytes_of(write, payload).chunks(size)) {
        // A copy: a slice would keep the whole payload in memory.
        cache.memory().put(Piece::Block(position, at), Bytes::copy_from_slice(block));
    }
}

fn keep(cache: &Cache, position: Position, write: &Write, payload: &Bytes) {
    cache.write(Name::tail(&write.path), write.offset, bytes_of(write, payload));
    remember(cache, position, write, payload);
}

fn bytes_of<'a>(write: &Write, payload: &'a Bytes) -> &'a [u8] {
    usize::try_from(write.at)
        .ok()
        .zip(usize::try_from(write.at + write.len).ok())
        .and_then(|(start, end)| payload.get(start..end))
        .expect("a decoded batch has the bytes of its writes")
}

/// The body of a sealed segment begins with what came as tails.
fn adopt(cache: &Cache, seal: &Seal, open: &Opens<'_>) {
    let body = Name::Body(seal.segment);
    if let [member] = seal.members.as_slice() {
        if open.get(&member.path) {
            cache.link(Name::tail(&member.path), body);
        }
        cache.adopt(body);
        return;
    }
    let mut start = 0;
    for member in &seal.members {
        if let Some(tail) = cache.lease(Name::tail(&member.path)).filter(|_| open.get(&member.path))
        {
            let mut offset = 0;
            while offset < member.size {
                let len = (member.size - offset).min(COPY);
                let piece = usize::try_from(len).map(|len| tail.read(offset, len));
                if let Ok(Ok(Some(bytes))) = piece {
                    cache.write(body, start + offset, &bytes);
                }
                offset += len;
            }
        }
        start += member.size;
    }
    cache.adopt(body);
}

/// Which files are open, edit by edit.
struct Opens<'a> {
    before: &'a Manifest,
    now: HashMap<RelPath, bool>,
}

impl Opens<'_> {
    fn get(&self, path: &RelPath) -> bool {
        self.now.get(path).copied().unwrap_or_else(|| is_open(self.before, path))
    }

    /// Returns whether it was open before.
    fn set(&mut self, path: &RelPath, open: bool) -> bool {
        let before = self.get(path);
        self.now.insert(path.clone(), open);
        before
    }
}

fn is_open(manifest: &Manifest, path: &RelPath) -> bool {
    matches!(content(manifest, path), Some(Content::Open(_)))
}

fn content<'a>(manifest: &'a Manifest, path: &RelPath) -> Option<&'a Content> {
    manifest.files.get(path).map(|file| &file.content)
}
