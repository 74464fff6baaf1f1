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

/// Checks the columns for the rows of these events. Returns how many rows that makes, 0 if these
/// events bring none.
pub(super) fn check(segment: &Path, first: u64, last: u64) -> Result<u64, String> {
    let (events, index) = (open(segment, "_event")?, open(segment, "_event.i")?);
    let read = event::read(&events, &index, (first, last)).map_err(trouble)?;
    let rows = read.ok_or_else(|| lacks("_event"))?.rows;
    for (file, wanted) in columns(segment, rows)? {
        if wanted > open(segment, &file).map_or(0, |file| file.len()) {
            return Err(lacks(&file));
        }
    }
    Ok(rows)
}

/// The files of the columns, and how long each has to be for so many rows.
pub(super) fn columns(segment: &Path, rows: u64) -> Result<Vec<(String, u64)>, String> {
    let mut files = Vec::new();
    if rows == 0 {
        return Ok(files);
    }
    let meta = beginning(&segment.join("_meta"), META_MAX).map_err(trouble)?;
    let meta = Meta::parse(&meta.unwrap_or_default());
    let meta = meta.map_err(|unknown| format!("its _meta cannot be read: {unknown:?}"))?;
    for column in meta.columns {
        let (data, index) = (format!("{}.d", column.name), format!("{}.i", column.name));
        let offsets = match column.width.index_len(rows) {
            None => None,
            Some(wanted) => {
                let file = open(segment, &index).ok().filter(|file| file.len() >= wanted);
                let file = file.ok_or_else(|| lacks(&index))?;
                files.push((index.clone(), wanted));
                Some(file)
            }
        };
        let offsets = offsets.as_ref().map(|file| -> &dyn OpenFile { file });
        let wanted = column.width.data_len(rows, offsets).map_err(trouble)?;
        files.push((data, wanted.ok_or_else(|| lacks(&index))?));
    }
    Ok(files)
}

fn open(segment: &Path, name: &str) -> Result<Here, String> {
    File::open(segment.join(name)).map(Here).map_err(|_| lacks(name))
}

fn lacks(name: &str) -> String {
    format!("{name} is missing or shorter than its events say")
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn trouble(error: io::Error) -> String {
    error.to_string()
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
