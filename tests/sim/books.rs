//! The oracle. Keeps its own books of what the database made durable, and holds every view of a
//! replica against them. Asks nothing of the code under test but the bytes that it shows.

use std::collections::{BTreeMap, HashSet};

use walfs::volume::{Checksum, RelPath};

use crate::database::{self, PAGE, Record, SEGMENT, pages, replay};
use crate::disk::SimDisk;

/// What was durable, and what was ever on a disk.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// The records that were durable before the last recovery point, by number.
    settled: Vec<Record>,
    /// Every version of every page that any disk ever had, by address.
    versions: HashSet<(u64, Checksum)>,
}

impl Books {
    /// A disk has this version of a page.
    pub(crate) fn note_page(&mut self, address: u64, page: &[u8]) {
        self.versions.insert((address, Checksum::of(page)));
    }

    /// A loss of power may have left half of one version and half of another here.
    pub(crate) fn note_torn(&mut self, disk: &SimDisk, path: &RelPath, offset: usize) {
        let Some(number) = database::parse_segment(path) else { return };
        let size = usize::try_from(PAGE).expect("8 KiB");
        let start = offset - offset % size;
        let bytes = disk.read(path).expect("it has the name");
        let within = u64::try_from(start).expect("segments are small");
        self.note_page(number * SEGMENT + within, &bytes[start..start + size]);
    }

    /// Another disk is the one that counts from here on.
    pub(crate) fn forget(&mut self) {
        self.settled.clear();
    }

    /// Notes what would survive a loss of power now, from the recovery point `redo` on.
    /// Fails if something that was settled is not there any more.
    pub(crate) fn settle(&mut self, disk: &SimDisk, redo: u64) -> Result<(), String> {
        let durable = durable_records(disk, redo);
        let Some((first, _)) = durable.first().copied() else { return Ok(()) };
        let first = usize::try_from(first).expect("few records");
        if first > self.settled.len() {
            return Err(format!("recovery would begin at record {first}, of which nobody knows"));
        }
        self.settled.truncate(first);
        self.settled.extend(durable);
        Ok(())
    }

    /// The records that are settled.
    pub(crate) fn settled(&self) -> &[Record] {
        &self.settled
    }

    /// What a replica shows: only pages that a disk once had, only records that were durable.
    /// Returns how many records.
    pub(crate) fn check(&self, files: &BTreeMap<RelPath, Vec<u8>>) -> Result<u64, String> {
        for (path, bytes) in files {
            let length = usize::try_from(SEGMENT).expect("1 MiB");
            if bytes.len() != length {
                return Err(format!("{path} is shown with {} bytes", bytes.len()));
            }
            for page in pages(path, bytes)? {
                if !self.versions.contains(&page) {
                    return Err(format!("{path}: page {:x} was never on a disk", page.0));
                }
            }
        }
        let shown = replay(SEGMENT, &|path| files.get(path).cloned());
        for (index, record) in shown.records.iter().enumerate() {
            match self.settled.get(index) {
                Some(settled) if settled == record => {}
                Some(_) => return Err(format!("record {index} is not the one that is durable")),
                None => return Err(format!("record {index} is shown and not durable")),
            }
        }
        Ok(shown.records.len().try_into().expect("few records"))
    }
}

/// The records that would survive a loss of power now.
pub(crate) fn durable_records(disk: &SimDisk, redo: u64) -> Vec<Record> {
    replay(redo, &|path| disk.durable(path)).records
}
