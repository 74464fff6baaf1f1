//! Eight bytes of a file that somebody else changes through `mmap`, looked at without a system
//! call; and the call that has such changes written out. The only unsafe code of the primary. Does
//! not say what the bytes mean.

#![expect(unsafe_code, reason = "the file's page is shared with the process that writes it")]

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use memmap2::{Mmap, MmapOptions};

use super::disk::Signal;

/// What is watched: one number.
const LEN: usize = 8;

/// Eight bytes of a file, mapped.
pub(super) struct Mapped {
    map: Mmap,
}

impl Mapped {
    /// The bytes at this offset; `None` if the file does not have them yet.
    pub(super) fn new(file: &File, offset: u64) -> io::Result<Option<Self>> {
        let wanted = u64::try_from(LEN).map_err(io::Error::other)?;
        if file.metadata()?.len() < offset.saturating_add(wanted) {
            return Ok(None);
        }
        // SAFETY: the bytes change behind our back, so nothing here ever makes a reference to them:
        // they are only read by volatile loads in `value`. The mapping lies within the file as it
        // is now. A database that cuts this file (none of those we know does) would end this
        // process with SIGBUS, which loses nothing: what is shipped is derived anew.
        let map = unsafe { MmapOptions::new().offset(offset).len(LEN).map(file)? };
        Ok(Some(Self { map }))
    }
}

impl Signal for Mapped {
    fn value(&self) -> u64 {
        let bytes: *const [u8; LEN] = self.map.as_ptr().cast();
        // SAFETY: the mapping has `LEN` bytes and lives as long as `self`; an array of bytes needs
        // no alignment and has no invalid value. The writer may be half-way: the value is a hint,
        // and what it counts is read from the file again.
        u64::from_le_bytes(unsafe { bytes.read_volatile() })
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("value", &self.value()).finish_non_exhaustive()
    }
}

/// Has the system begin to write out what changed of this file. Makes nothing durable by itself.
pub(super) fn begin_writeback(file: &File) {
    // SAFETY: takes a descriptor that is open and numbers, and touches no memory of ours.
    let _begun =
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_another_descriptor_writes_is_seen_at_once() {
        let file = tempfile::tempfile().unwrap();
        assert!(Mapped::new(&file, 4).unwrap().is_none(), "there is nothing yet");
        file.set_len(4096).unwrap();
        let mapped = Mapped::new(&file, 4).unwrap().unwrap();
        assert_eq!(mapped.value(), 0);
        file.write_all_at(&7_u64.to_le_bytes(), 4).unwrap();
        assert_eq!(mapped.value(), 7);
    }
}
