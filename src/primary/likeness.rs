//! How a local file compares with what the manifest says of it, by checksums alone: no bytes are
//! fetched. Does not decide what follows from it: see `reign` and `materialise`.

use std::io;

use crate::layout::{Files, OpenFile, frames_agree};
use crate::volume::frames::FRAME;
use crate::volume::{Checksum, Content, Extent, Extents, File, Manifest, RelPath};

/// How a local file compares with the manifest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// There is none.
    Missing,
    /// Byte for byte the same, as far as checksums tell.
    Same,
    /// All that was shipped, but for the last block, and perhaps more: its continuation.
    Continued,
    /// Something else.
    Different,
}

/// Compares the local file of this path.
pub(super) fn compare(
    files: &dyn Files,
    path: &RelPath,
    file: &File,
    manifest: &Manifest,
) -> io::Result<Likeness> {
    let Some(local) = files.open(path)? else { return Ok(Likeness::Missing) };
    let size = local.found()?.size;
    match &file.content {
        Content::Pointer(content) => {
            Ok(if size == file.size && read(&*local, 0, size)? == **content {
                Likeness::Same
            } else {
                Likeness::Different
            })
        }
        Content::Sealed { segment, start } => {
            let body = manifest.segments.get(segment).expect("a manifest has the bodies it names");
            let same = size == file.size && frames_agree(&*local, size, *start, body)?;
            Ok(if same { Likeness::Same } else { Likeness::Different })
        }
        Content::Open(extents) => compare_open(&*local, size, file.size, extents),
    }
}

fn compare_open(
    local: &dyn OpenFile,
    size: u64,
    shipped_size: u64,
    extents: &Extents,
) -> io::Result<Likeness> {
    let shipped_end = extents.iter().next_back().map_or(0, Extent::end);
    if size < shipped_end {
        return Ok(Likeness::Different);
    }
    let mut same = size == shipped_size;
    let mut at = 0;
    for block in extents.iter().flat_map(Extent::blocks) {
        same = same && is_zero(local, at, block.offset)?;
        at = block.offset + block.len;
        if Checksum::of(&read(local, block.offset, block.len)?) == block.checksum {
            continue;
        }
        if at < shipped_end {
            return Ok(Likeness::Different);
        }
        same = false;
    }
    same = same && is_zero(local, at, size)?;
    Ok(if same { Likeness::Same } else { Likeness::Continued })
}

fn is_zero(local: &dyn OpenFile, from: u64, to: u64) -> io::Result<bool> {
    let mut at = from;
    while at < to {
        let end = (at + FRAME).min(to);
        if read(local, at, end - at)?.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}

/// This range, shorter if the file ends before.
fn read(local: &dyn OpenFile, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let got = local.read_at(offset, &mut bytes)?;
    bytes.truncate(got);
    Ok(bytes)
}
