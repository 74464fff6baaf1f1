//! The files of a segment on the primary's disk, and how long they are for so many commits.

use std::io;

use crate::layout::{Files, OpenFile};
use crate::volume::RelPath;
use crate::volume::edit::BLOCK;

use super::event;
use super::names::{Segment, SequencerFile};
use super::segment::{Meta, Unknown};

/// A segment's files that tell of the others.
#[derive(Debug)]
pub(super) struct Parts {
    /// `_meta`; a view has no columns, and its segments no structure.
    pub(super) meta: Option<(RelPath, Box<dyn OpenFile>)>,
    /// What that says.
    pub(super) columns: Meta,
    /// `_event`.
    pub(super) events: (RelPath, Box<dyn OpenFile>),
    /// `_event.i`.
    pub(super) index: (RelPath, Box<dyn OpenFile>),
}

impl Parts {
    /// The files of this segment; `None` if they are not there, or being made. A structure that is
    /// torn is an error: commits without it would be shipped without their rows.
    pub(super) fn open(files: &dyn Files, segment: &Segment) -> io::Result<Option<Self>> {
        let open = |name: &str| -> io::Result<_> {
            let Some(path) = segment.file(name) else { return Ok(None) };
            Ok(files.open(&path)?.map(|file| (path, file)))
        };
        let (Some(events), Some(index)) = (open("_event")?, open("_event.i")?) else {
            return Ok(None);
        };
        let definition = segment.table.sequencer(SequencerFile::View);
        let is_view = files.open(&definition)?.is_some();
        let meta = open("_meta")?;
        let parsed = match &meta {
            None if is_view => Ok(Meta { len: 0, columns: Vec::new() }),
            None => return Ok(None),
            Some((path, file)) => {
                let bytes = crate::layout::shipped::read_whole(&**file, META_MAX)?;
                let too_large = || invalid(format!("{path} is too large for what it is"));
                Meta::parse(&bytes.ok_or_else(too_large)?)
            }
        };
        match parsed {
            Ok(columns) => Ok(Some(Self { meta, columns, events, index })),
            Err(Unknown::Torn) => Err(invalid(format!(
                "{segment}/_meta is torn, and replicas need it; if a power loss did that, give \
                     the database a new volume, and replicas a base from a CHECKPOINT"
            ))),
            Err(Unknown::Type { column, tag }) => Err(invalid(format!(
                "column `{column}` has a type that this walfs does not know ({tag}): upgrade walfs"
            ))),
        }
    }

    /// The lengths of the columns' files for so many rows.
    pub(super) fn column_sizes(
        &self,
        files: &dyn Files,
        segment: &Segment,
        rows: u64,
    ) -> io::Result<Vec<(RelPath, u64)>> {
        let mut sizes = Vec::new();
        for column in &self.columns.columns {
            let named = |end: &str| {
                let path = segment.file(&format!("{}.{end}", column.name));
                path.ok_or_else(|| invalid(format!("column `{}` can have no file", column.name)))
            };
            let index = match column.width.index_len(rows) {
                None => None,
                Some(len) => {
                    let path = named("i")?;
                    sizes.push((path.clone(), len));
                    files.open(&path)?
                }
            };
            let path = named("d")?;
            let len = column.width.data_len(rows, index.as_deref())?;
            let len = len.ok_or_else(|| invalid(format!("{path}: row {rows} has no end")))?;
            sizes.push((path, len));
        }
        Ok(sizes)
    }

    /// The files of a segment that is finished and worth an object, and their lengths.
    pub(super) fn worth_sealing(
        &self,
        files: &dyn Files,
        segment: &Segment,
    ) -> io::Result<Option<Vec<(RelPath, u64)>>> {
        let finished = self.finished(files, segment)?;
        let len = |all: &[(RelPath, u64)]| all.iter().map(|(_, size)| size).sum::<u64>();
        Ok(finished.filter(|all| len(all) >= SEAL_MIN))
    }

    /// The files and their lengths, if nobody writes to them any more and each is as long as the
    /// events tell: then the writer cut and closed them.
    fn finished(
        &self,
        files: &dyn Files,
        segment: &Segment,
    ) -> io::Result<Option<Vec<(RelPath, u64)>>> {
        let index = self.index.1.found()?;
        let records = event::records_in(index.size);
        if index.writers || records == 0 {
            return Ok(None);
        }
        let events = event::read(&*self.events.1, &*self.index.1, (0, records - 1))?;
        let Some(events) = events else { return Ok(None) };
        let mut all =
            vec![(self.index.0.clone(), events.index_len), (self.events.0.clone(), events.len)];
        if let Some((path, _)) = &self.meta {
            all.insert(0, (path.clone(), self.columns.len));
        }
        if events.rows > 0 {
            match self.column_sizes(files, segment, events.rows) {
                Ok(sizes) => all.extend(sizes),
                // Its writer has not finished.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        for (path, size) in &all {
            let Some(file) = files.open(path)? else { return Ok(None) };
            let found = file.found()?;
            if found.writers || found.size != *size {
                return Ok(None);
            }
        }
        Ok(Some(all))
    }
}

/// A segment with less than this stays in the batches that brought it.
const SEAL_MIN: u64 = 256 << 10;
/// The structure of a segment is small; what is larger is something else.
const META_MAX: u64 = 1 << 20;

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Up to where the blocks of a file that was shipped up to `end` can never change: all that was
/// committed, but what stands where the next event begins, which may be cut by a block's border.
pub(super) fn settled(path: &RelPath, end: u64) -> u64 {
    let last = match path.name() {
        "_event" => end.saturating_sub(event::SENTINEL),
        _ if may_change(path) => 0,
        _ => end,
    };
    last / BLOCK * BLOCK
}

/// Whether the file may have other bytes of the same length: the structure of a segment without
/// rows is written again when the table's changes.
pub(super) fn may_change(path: &RelPath) -> bool {
    path.name() == "_meta"
}
