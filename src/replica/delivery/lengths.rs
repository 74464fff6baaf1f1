//! Whether the files of a segment are as long as its events promise. The server does not look: it
//! maps what it was promised, and dies where the file ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::layout::questdb::event;
use crate::layout::questdb::segment::Meta;
use crate::layout::{FileId, Found, Kind, OpenFile};
use crate::volume::RelPath;

use super::files::{beginning, read_up_to};

/// A segment's `_meta` is not longer.
const META_MAX: u64 = 1 << 20;

/// Checks the columns for the rows of these events.
pub(super) fn check(segment: &Path, first: u64, last: u64) -> Result<(), String> {
    let lacks = |name: &str| format!("{name} is missing or shorter than its events say");
    let open = |name: &str| File::open(segment.join(name)).map(Here);
    let trouble = |error: io::Error| error.to_string();
    let (events, index) = (open("_event").map_err(trouble)?, open("_event.i").map_err(trouble)?);
    let read = event::read(&events, &index, (first, last)).map_err(trouble)?;
    let rows = read.ok_or_else(|| lacks("_event"))?.rows;
    if rows == 0 {
        return Ok(());
    }
    let meta = beginning(&segment.join("_meta"), META_MAX).map_err(trouble)?;
    let meta = Meta::parse(&meta.unwrap_or_default());
    let meta = meta.map_err(|unknown| format!("its _meta cannot be read: {unknown:?}"))?;
    for column in meta.columns {
        let (data, index) = (format!("{}.d", column.name), format!("{}.i", column.name));
        let offsets = column.width.index_len(rows).map(|wanted| (wanted, open(&index)));
        let offsets = match offsets {
            None => None,
            Some((wanted, Ok(file))) if file.len() >= wanted => Some(file),
            Some(_) => return Err(lacks(&index)),
        };
        let offsets = offsets.as_ref().map(|file| -> &dyn OpenFile { file });
        let wanted = column.width.data_len(rows, offsets).map_err(trouble)?;
        let wanted = wanted.ok_or_else(|| lacks(&index))?;
        if wanted > open(&data).map_or(0, |file| file.len()) {
            return Err(lacks(&data));
        }
    }
    Ok(())
}

/// A file on this host's disk, as a layout reads it.
#[derive(Debug)]
struct Here(File);

impl Here {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |found| found.len())
    }
}

impl OpenFile for Here {
    fn found(&self) -> io::Result<Found> {
        let found = self.0.metadata()?;
        Ok(Found {
            path: RelPath::new("_").expect("it is a path"),
            kind: Kind::File,
            size: found.len(),
            modified: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
            id: FileId { device: found.dev(), inode: found.ino() },
            writers: false,
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_up_to(&self.0, offset, buffer)
    }
}
