//! After a takeover: puts the volume's files in place beneath the mount, so that the database
//! finds what the last primary had shipped. What stands in the way is set aside, never lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::{Chain, StoreError, fetch_frames};
use crate::volume::frames::FRAME;
use crate::volume::manifest::Segment;
use crate::volume::{Content, Extent, Extents, File, Link, Manifest, Position, RelPath, SegmentId};

use super::disk::{Home, NewFile};
use super::likeness::{Likeness, compare};
use super::note::Unfinished;
use super::reign::StartError;

/// So many frames are fetched at a time.
const FRAMES_AT_ONCE: usize = 8;

/// How far a takeover is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are in place.
    pub files: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes that are in place.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

/// Puts every file of the manifest in place that the former replica here had not removed.
pub(super) async fn materialise(
    chain: &Chain,
    home: &dyn Home,
    manifest: &Manifest,
    rule: Unfinished,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), StartError> {
    // Held files come from a reign that another node has ended: the database never sees them, and
    // under names that live on they would hide what it does see.
    for place in home.set_held_aside()? {
        tracing::warn!(place, "a file that was never shipped was set aside");
    }
    let removed = home.removed()?;
    let wanted: Vec<(&RelPath, &Arc<File>)> =
        manifest.files.iter().filter(|(path, _)| !removed.contains(*path)).collect();
    let mut done = Progress {
        files_total: count(wanted.len()),
        bytes_total: wanted.iter().map(|(_, file)| file.size).sum(),
        ..Progress::default()
    };
    for (path, file) in wanted {
        progress(done);
        match (compare(home, path, file, manifest)?, rule) {
            (Likeness::Same, _) | (Likeness::Continued, Unfinished::KeepContinued) => {}
            (Likeness::Missing, _) => make(chain, home, manifest, path, file).await?,
            (Likeness::Continued | Likeness::Different, _) => {
                let place = home.set_aside(path)?;
                tracing::warn!(%path, place, "the local file differed and was set aside");
                make(chain, home, manifest, path, file).await?;
            }
        }
        done.files += 1;
        done.bytes += file.size;
    }
    progress(done);
    Ok(())
}

async fn make(
    chain: &Chain,
    home: &dyn Home,
    manifest: &Manifest,
    path: &RelPath,
    file: &File,
) -> Result<(), StartError> {
    let mut new = home.create(path, file.size)?;
    match &file.content {
        Content::Pointer(content) => new.write_at(0, content)?,
        Content::Open(extents) => write_extents(chain, &mut *new, extents).await?,
        Content::Sealed { segment, start } => {
            let body = manifest.segments.get(segment).expect("a manifest has the bodies it names");
            let range = *start..*start + file.size;
            write_frames(chain, &mut *new, (*segment, body), range).await?;
        }
    }
    Ok(new.keep()?)
}

async fn write_extents(
    chain: &Chain,
    new: &mut dyn NewFile,
    extents: &Extents,
) -> Result<(), StartError> {
    let mut by_batch: BTreeMap<Position, Vec<&Extent>> = BTreeMap::new();
    for extent in extents.iter() {
        by_batch.entry(extent.position).or_default().push(extent);
    }
    for (position, extents) in by_batch {
        let missing = || StoreError::Missing(format!("batch {position}"));
        let link = chain.read(position).await?.ok_or_else(missing)?;
        let Link::Batch(batch) = link.link else { return Err(missing().into()) };
        for extent in extents {
            let bytes = slice(&batch.payload, extent.at, extent.len).ok_or_else(missing)?;
            new.write_at(extent.offset, bytes)?;
        }
    }
    Ok(())
}

/// Writes this range of the body's stream.
async fn write_frames(
    chain: &Chain,
    new: &mut dyn NewFile,
    (id, body): (SegmentId, &Segment),
    range: std::ops::Range<u64>,
) -> Result<(), StartError> {
    let missing = || StoreError::Missing(format!("a part of segment {id}"));
    let mut at = range.start;
    while at < range.end {
        let before = at;
        let first = usize::try_from(at / FRAME).map_err(std::io::Error::other)?;
        let last = usize::try_from(range.end.div_ceil(FRAME)).map_err(std::io::Error::other)?;
        let frames = first..last.min(first + FRAMES_AT_ONCE);
        for raw in fetch_frames(chain.store(), id, body, frames).await? {
            let from = at % FRAME;
            let len = count(raw.len()).saturating_sub(from).min(range.end - at);
            new.write_at(at - range.start, slice(&raw, from, len).ok_or_else(missing)?)?;
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

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("memory is smaller than 2^64 bytes")
}
