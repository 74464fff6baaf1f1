//! Bytes that are here already, so that they need not be fetched: on disk, bounded, the least
//! recently used going first; and the last verified ones in memory. Nothing tells which bytes of a
//! file are good: each piece is hashed when it comes into memory, so that the cache needs no index,
//! survives restarts, and cannot lie. Fetches nothing: see `fetch`.
//!
//! | file | idea |
//! |---|---|
//! | [`folder`] | the directory, through its descriptor |
//! | [`ledger`] | which files there are, how big, and which goes first |
//! | [`memory`] | what was verified last |

pub mod folder;
pub mod ledger;
pub mod memory;

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::{info, warn};

use folder::{Folder, Leased};
use ledger::{Ledger, Name};
use memory::Memory;

/// How many verified bytes stay in memory.
const MEMORY: usize = 16 << 20;

/// What is here already.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
    /// Guards: the ledger, and that it agrees with the folder.
    ledger: Mutex<Ledger>,
    memory: Memory,
    limit: u64,
    failing: AtomicBool,
}

impl Cache {
    /// Opens the cache in this directory, with what is left there from before. A relative path
    /// begins at `at`.
    pub fn open(at: Option<BorrowedFd<'_>>, path: &Path, limit: u64) -> io::Result<Self> {
        let folder = Folder::open(at, path)?;
        let mut files = folder.list()?;
        files.sort_by_key(|(_, _, modified)| *modified);
        let mut ledger = Ledger::new(limit);
        for (name, allocated, _) in files {
            ledger.grew(name, allocated);
        }
        let cache = Self {
            folder,
            ledger: Mutex::new(ledger),
            memory: Memory::new(MEMORY),
            limit,
            failing: AtomicBool::new(false),
        };
        cache.make_room(&mut cache.lock(), 0, None)?;
        Ok(cache)
    }

    /// The last verified bytes.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.lock().total()
    }

    /// Bound of the bytes on disk.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The file of this name, if there is one. It stays as long as the lease is held.
    pub fn lease(&self, name: Name) -> Option<Arc<Leased>> {
        let found = self.lease_in(&mut self.lock(), name);
        self.tell(name, found).flatten()
    }

    /// Whether every byte of this file was verified and nobody wrote to it since.
    pub fn verified(&self, name: Name) -> Option<Arc<Leased>> {
        let mut ledger = self.lock();
        let stamp = ledger.slot(name)?.verified?;
        let leased = self.lease_in(&mut ledger, name).ok().flatten()?;
        (leased.stamp().ok()? == stamp).then_some(leased)
    }

    /// Every byte of this file was verified while it looked so.
    pub fn verified_at(&self, name: Name, stamp: folder::Stamp) {
        if let Some(slot) = self.lock().slot(name) {
            slot.verified = Some(stamp);
        }
    }

    /// The bytes of this file came as tails, and may be older than what was sealed.
    pub fn adopt(&self, name: Name) {
        if let Some(slot) = self.lock().slot(name) {
            slot.adopted = true;
        }
    }

    /// Whether the bytes of this file may be older than what was sealed.
    pub fn is_adopted(&self, name: Name) -> bool {
        self.lock().slot(name).is_some_and(|slot| slot.adopted)
    }

    /// Keeps verified bytes in a file, as far as there is room. What cannot be kept will be
    /// fetched again: never an error for a reader.
    pub fn write(&self, name: Name, offset: u64, bytes: &[u8]) {
        let written = self.write_file(name, offset, bytes);
        self.tell(name, written);
    }

    /// Cuts off what a file has beyond this length.
    pub fn trim(&self, name: Name, len: u64) {
        let trim = |leased: Arc<Leased>| -> io::Result<()> {
            if leased.file.metadata()?.len() > len {
                leased.file.set_len(len)?;
                self.lock().grew(name, leased.allocated()?);
            }
            Ok(())
        };
        if let Some(leased) = self.lease(name) {
            self.tell(name, trim(leased));
        }
    }

    /// Lets a file go.
    pub fn forget(&self, name: Name) {
        let mut ledger = self.lock();
        ledger.gone(name);
        self.tell(name, self.folder.remove(name));
    }

    /// The bytes under one name are those of another one, too.
    pub fn link(&self, name: Name, to: Name) {
        let mut ledger = self.lock();
        let allocated = ledger.slot(name).map_or(0, |slot| slot.allocated);
        ledger.gone(to);
        if let Some(()) = self.tell(to, self.folder.link(name, to)) {
            // The bytes are on disk once: from now on they count under the new name.
            ledger.grew(to, allocated);
            ledger.grew(name, 0);
        }
    }

    fn lease_in(&self, ledger: &mut Ledger, name: Name) -> io::Result<Option<Arc<Leased>>> {
        let Some(slot) = ledger.slot(name) else { return Ok(None) };
        if let Some(leased) = slot.open.upgrade() {
            ledger.used(name);
            return Ok(Some(leased));
        }
        let Some(leased) = self.folder.find(name)?.map(Arc::new) else {
            ledger.gone(name);
            return Ok(None);
        };
        ledger.used(name).open = Arc::downgrade(&leased);
        Ok(Some(leased))
    }

    fn write_file(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let need = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        let Some(leased) = self.lease_for(name, need)? else { return Ok(()) };
        let mut written = leased.file.write_all_at(bytes, offset);
        while let Err(error) = &written
            && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            && self.evict_oldest(name)?
        {
            written = leased.file.write_all_at(bytes, offset);
        }
        self.lock().grew(name, leased.allocated()?);
        written?;
        self.works();
        Ok(())
    }

    /// The file of this name, made if need be, once there is room for so many more bytes.
    fn lease_for(&self, name: Name, need: u64) -> io::Result<Option<Arc<Leased>>> {
        let mut ledger = self.lock();
        if !self.make_room(&mut ledger, need, Some(name))? {
            return Ok(None);
        }
        if let Some(leased) = self.lease_in(&mut ledger, name)? {
            return Ok(Some(leased));
        }
        let leased = Arc::new(self.folder.make(name)?);
        ledger.used(name).open = Arc::downgrade(&leased);
        Ok(Some(leased))
    }

    fn evict_oldest(&self, keep: Name) -> io::Result<bool> {
        let mut ledger = self.lock();
        let Some(oldest) = ledger.oldest(keep) else { return Ok(false) };
        self.evict(&mut ledger, oldest)?;
        Ok(true)
    }

    /// Whether so many more bytes fit, once the least recently used files are gone.
    fn make_room(&self, ledger: &mut Ledger, need: u64, keep: Option<Name>) -> io::Result<bool> {
        let Some(victims) = ledger.victims(need, keep) else { return Ok(false) };
        for victim in victims {
            self.evict(ledger, victim)?;
        }
        Ok(true)
    }

    fn evict(&self, ledger: &mut Ledger, name: Name) -> io::Result<()> {
        ledger.gone(name);
        self.folder.remove(name)
    }

    /// Says once that the cache's disk fails.
    fn tell<T>(&self, name: Name, outcome: io::Result<T>) -> Option<T> {
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        if !self.failing.swap(true, Ordering::Relaxed) {
            warn!(file = %name, "the cache's disk fails ({error}): serving without caching");
        }
        None
    }

    /// Says once that the cache's disk works again.
    fn works(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            info!("the cache's disk works again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics while holding the ledger")
    }
}
