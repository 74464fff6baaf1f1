//! Manifests as objects.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;

use super::FormatError;
use super::edits::{decode_frames, encode_frames};
use super::envelope::{self, ObjectKind};
use super::links::{decode_fence, encode_fence};
use super::wire::{Decoder, Encoder};
use crate::volume::edit::{BLOCK, MAX_SIZE, blocks_in};
use crate::volume::manifest::Segment;
use crate::volume::{Content, Digest, Extent, Extents, File, Manifest, RelPath, SegmentId};

/// How hard zstd tries. Checkpoints are rare, and every node that starts reads one.
const LEVEL: i32 = 3;

/// A manifest as a checkpoint object.
pub fn encode_checkpoint(manifest: &Manifest) -> Bytes {
    let mut raw = Encoder::default();
    encode_manifest(&mut raw, manifest);
    let packed = zstd::bulk::compress(&raw.0, LEVEL).expect("memory can be compressed");
    let mut out = Encoder::default();
    out.raw(&ObjectKind::Checkpoint.mark());
    out.u64(u64::try_from(raw.0.len()).expect("a length fits"));
    out.raw(&packed);
    Bytes::from(envelope::close(out.0))
}

/// The manifest that this checkpoint object is.
pub fn decode_checkpoint(bytes: &Bytes) -> Result<Manifest, FormatError> {
    let (kind, inside) = envelope::open(bytes)?;
    if kind != ObjectKind::Checkpoint {
        return Err(FormatError::corrupt("this is not a checkpoint"));
    }
    let (len, packed) =
        inside.split_first_chunk().ok_or_else(|| FormatError::corrupt("cut short"))?;
    let raw = unpack(packed, u64::from_le_bytes(*len))?;
    let mut from = Decoder::new(&raw);
    let manifest = decode_manifest(&mut from)?;
    from.finish()?;
    check(&manifest).map_err(FormatError::corrupt)?;
    Ok(manifest)
}

/// Grows with what is really there, whatever length is claimed.
fn unpack(packed: &[u8], len: u64) -> Result<Vec<u8>, FormatError> {
    let bad = || FormatError::corrupt("the manifest cannot be decompressed");
    let mut raw = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(|_| bad())?;
    let got = decoder.take(len.saturating_add(1)).read_to_end(&mut raw);
    match got.ok().and_then(|got| u64::try_from(got).ok()) {
        Some(got) if got == len => Ok(raw),
        _ => Err(bad()),
    }
}

fn encode_manifest(out: &mut Encoder, manifest: &Manifest) {
    out.option(manifest.position, Encoder::position);
    out.raw(&manifest.digest.0);
    out.time(manifest.time);
    out.option(manifest.database.as_ref(), |out, text| out.bytes(text.as_bytes()));
    out.option(manifest.reign.as_ref(), encode_fence);
    out.option(manifest.policy.as_ref(), |out, policy| out.bytes(policy));
    out.count(manifest.segments.len());
    for (id, segment) in &manifest.segments {
        out.segment(*id);
        out.varint(segment.len);
        encode_frames(out, &segment.frames);
    }
    out.count(manifest.files.len());
    for (path, file) in &manifest.files {
        out.path(path);
        out.time(file.changed);
        encode_content(out, file);
    }
}

fn decode_manifest(from: &mut Decoder<'_>) -> Result<Manifest, FormatError> {
    let mut manifest = Manifest::empty();
    manifest.position = from.option(Decoder::position)?;
    manifest.digest = Digest(from.array()?);
    manifest.time = from.time()?;
    manifest.database = from.option(|from| from.text().map(str::to_owned))?;
    manifest.reign = from.option(decode_fence)?;
    manifest.policy = from.option(Decoder::content)?;
    let count = from.varint()?;
    let segments = from.many(count, LEAST_SEGMENT, decode_segment)?;
    ascending(segments.iter().map(|(id, _)| id))?;
    manifest.segments = segments.into_iter().collect();
    let count = from.varint()?;
    let files = from.many(count, LEAST_FILE, decode_file)?;
    ascending(files.iter().map(|(path, _)| path))?;
    for (_, file) in &files {
        if let Content::Sealed { segment, .. } = file.content {
            manifest.name(segment, 1);
        }
    }
    manifest.files = files.into_iter().collect();
    Ok(manifest)
}

/// An id of two numbers and a length.
const LEAST_SEGMENT: usize = 3;

/// A path of one byte behind its length, a time, a tag and a length.
const LEAST_FILE: usize = 12;

fn decode_segment(from: &mut Decoder<'_>) -> Result<(SegmentId, Arc<Segment>), FormatError> {
    let (id, len) = (from.segment()?, from.varint()?);
    let frames = decode_frames(from, len)?;
    Ok((id, Arc::new(Segment { len, frames })))
}

fn decode_file(from: &mut Decoder<'_>) -> Result<(RelPath, Arc<File>), FormatError> {
    let (path, changed) = (from.path()?, from.time()?);
    let (size, content) = decode_content(from)?;
    Ok((path, Arc::new(File { size, changed, content })))
}

const OPEN: u8 = 1;
const SEALED: u8 = 2;
const POINTER: u8 = 3;

fn encode_content(out: &mut Encoder, file: &File) {
    match &file.content {
        Content::Open(extents) => {
            out.raw(&[OPEN]);
            out.varint(file.size);
            out.count(extents.len());
            for extent in extents {
                out.varint(extent.offset / BLOCK);
                out.varint(extent.len);
                out.position(extent.position);
                out.varint(extent.at);
                extent.blocks.iter().for_each(|block| out.checksum(*block));
            }
        }
        Content::Sealed { segment, start } => {
            out.raw(&[SEALED]);
            out.varint(file.size);
            out.segment(*segment);
            out.varint(*start);
        }
        Content::Pointer(content) => {
            out.raw(&[POINTER]);
            out.bytes(content);
        }
    }
}

/// What a file's bytes are, and how many.
fn decode_content(from: &mut Decoder<'_>) -> Result<(u64, Content), FormatError> {
    match from.u8()? {
        OPEN => {
            let (size, count) = (from.varint()?, from.varint()?);
            let extents = from.many(count, LEAST_EXTENT, decode_extent)?;
            check_extents(&extents, size).map_err(FormatError::corrupt)?;
            Ok((size, Content::Open(Extents::from_iter(extents))))
        }
        SEALED => {
            let size = from.varint()?;
            Ok((size, Content::Sealed { segment: from.segment()?, start: from.varint()? }))
        }
        POINTER => {
            let content = from.content()?;
            let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
            Ok((size, Content::Pointer(content)))
        }
        other => Err(FormatError::corrupt(format!("no file has the tag {other}"))),
    }
}

/// Five numbers and a checksum.
const LEAST_EXTENT: usize = 13;

fn decode_extent(from: &mut Decoder<'_>) -> Result<Extent, FormatError> {
    let far = || FormatError::corrupt("an extent lies beyond what a file can be");
    let offset = from.varint()?.checked_mul(BLOCK).ok_or_else(far)?;
    let (len, position, at) = (from.varint()?, from.position()?, from.varint()?);
    let blocks = from.many(blocks_in(len), 8, Decoder::checksum)?.into();
    at.checked_add(len).ok_or_else(far)?;
    Ok(Extent { offset, len, position, at, blocks })
}

fn check_extents(extents: &[Extent], size: u64) -> Result<(), &'static str> {
    let mut free = 0;
    for extent in extents {
        let end = extent.offset.checked_add(extent.len).filter(|end| *end <= size);
        let end = end.ok_or("an extent ends beyond its file")?;
        if extent.offset < free || extent.len == 0 {
            return Err("an extent is empty, or shares a block with another");
        }
        free = blocks_in(end) * BLOCK;
    }
    if size > MAX_SIZE { Err("a file is larger than a file can be") } else { Ok(()) }
}

fn ascending<T: Ord>(keys: impl Iterator<Item = T>) -> Result<(), FormatError> {
    if keys.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(FormatError::corrupt("names are not in order, or one is there twice"))
    }
}

/// What no fold could have led to.
fn check(manifest: &Manifest) -> Result<(), String> {
    check_reign(manifest)?;
    let mut named = BTreeSet::new();
    for (path, file) in &manifest.files {
        manifest.check_below_no_file(path)?;
        if let Content::Sealed { segment, start } = file.content {
            let body = manifest.segments.get(&segment);
            let end = start.saturating_add(file.size);
            if body.is_none_or(|body| end > body.len) {
                return Err(format!("{path} is not in body {segment}"));
            }
            named.insert(segment);
        }
    }
    match manifest.segments.keys().find(|segment| !named.contains(segment)) {
        Some(segment) => Err(format!("no file names body {segment}")),
        None => Ok(()),
    }
}

fn check_reign(manifest: &Manifest) -> Result<(), String> {
    let fits = match (manifest.position, &manifest.reign) {
        (None, None) => *manifest == Manifest::empty(),
        (Some(position), Some(fence)) => {
            position.number.0 < u64::MAX
                && (position == fence.position || position.epoch == fence.next)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err("the position is not one of this reign".into()) }
}
