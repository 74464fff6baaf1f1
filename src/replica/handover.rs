//! What a replica does for the node that becomes primary in its place, where the database takes
//! its log in by delivery: everything that was shipped is put in place, once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::store::{Chain, Store};
use crate::volume::{Manifest, VolumeId};

use super::cache::Cache;
use super::delivery;
use super::fetch::Fetcher;
use super::settings::Settings;
use super::shown::Shown;

/// Where bytes are kept until all is in place, beside walfs's other things.
const CACHE: &str = "takeover";
/// How much of them.
const CACHE_SIZE: u64 = 256 << 20;

/// What is put in place, and where.
#[derive(Debug)]
pub struct Handover {
    /// Where the volume is.
    pub store: Store,
    /// Which volume it is.
    pub volume: VolumeId,
    /// The database's directory.
    pub directory: Arc<OwnedFd>,
    /// Where fetches run.
    pub runtime: Runtime,
}

impl Handover {
    /// Puts the volume in place as this manifest has it. Blocks: not to be called on a runtime.
    pub fn run(&self, manifest: &Manifest) -> io::Result<()> {
        let own = Path::new(crate::fuse::hidden::NAME);
        let place = own.join(CACHE);
        let cache = Arc::new(Cache::open(Some(self.directory.as_fd()), &place, CACHE_SIZE)?);
        let chain = Chain::new(self.store.clone());
        let fetcher = Arc::new(Fetcher::new(chain, Arc::clone(&cache), self.runtime.handle()));
        let timeout = Settings::default().store_timeout;
        let shown = Arc::new(Shown::new(cache, fetcher, timeout));
        shown.begin(manifest.clone());
        delivery::settle(&self.directory, self.volume, &shown, self.runtime.handle())
    }
}
