//! For tests: a volume in memory, written through the real codec and chain, and replicas of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::fuse::mirror::Mirror;
use crate::store::body::Source;
use crate::store::faulty::{FaultyStore, Weather};
use crate::store::{Appended, Candidate, Chain, Claimed, Patience, Place, Store, upload};
use crate::volume::codec::encode_link;
use crate::volume::edit::{BLOCK, Member};
use crate::volume::{
    Batch, Checksum, Clock, Edit, Link, Manifest, NodeId, RelPath, SegmentId, WallTime, Write,
    WriterId,
};

use super::cache::Cache;
use super::fetch::Fetcher;
use super::follower::{Chance, Follower, News};
use super::health::Health;
use super::polling::Polling;
use super::removed::Removed;
use super::settings::{Access, Settings};
use super::shown::Shown;
use super::union::Union;

/// A volume and the one who writes it.
pub(super) struct Lab {
    pub(super) objects: Arc<InMemory>,
    pub(super) faulty: FaultyStore,
    pub(super) manifest: Manifest,
    pub(super) directory: TempDir,
    chain: Chain,
    edits: Vec<Edit>,
    payload: Vec<u8>,
    bodies: u64,
}

/// A replica without a mount.
pub(super) struct Reader {
    pub(super) store: Store,
    pub(super) shown: Arc<Shown>,
    pub(super) health: Arc<Health>,
    pub(super) follower: Follower,
}

#[derive(Debug)]
pub(super) struct Noon;

impl Noon {
    pub(super) const NOW: WallTime = WallTime(1_700_000_000_000_000);
}

impl Clock for Noon {
    fn now(&self) -> WallTime {
        Self::NOW
    }
}

struct Files(Vec<Vec<u8>>);

impl Source for Files {
    fn read_at(&mut self, member: usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0[member][usize::try_from(offset).unwrap()..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

pub(super) fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

/// Bytes that are the same each time, different for each seed, and do not compress.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rand::Rng::fill_bytes(&mut StdRng::seed_from_u64(seed), &mut bytes);
    bytes
}

impl Lab {
    /// A volume whose first primary reigns.
    pub(super) async fn new() -> Self {
        let objects = Arc::new(InMemory::new());
        let calm = FaultyStore::new(Arc::<InMemory>::clone(&objects), 1, Weather::CALM);
        let chain = Chain::new(store(Arc::<InMemory>::clone(&objects)));
        let mut lab = Self {
            objects,
            faulty: calm,
            manifest: Manifest::empty(),
            directory: tempfile::tempdir().unwrap(),
            chain,
            edits: Vec::new(),
            payload: Vec::new(),
            bodies: 0,
        };
        lab.elect(1).await;
        lab
    }

    /// This writer fences the one before.
    pub(super) async fn elect(&mut self, writer: u8) {
        let candidate = Candidate {
            writer: WriterId([writer; 16]),
            node: NodeId([writer; 16]),
            node_name: format!("node {writer}"),
            time: WallTime(1),
        };
        let claimed = self.chain.claim(self.manifest.clone(), &candidate, &mut |_, _| {}).await;
        let Ok(Claimed::Won(manifest)) = claimed else { panic!("{claimed:?}") };
        self.manifest = manifest;
    }

    pub(super) fn write(&mut self, name: &str, size: u64, offset: u64, bytes: &[u8]) {
        let at = u64::try_from(self.payload.len()).unwrap();
        self.payload.extend_from_slice(bytes);
        self.edits.push(Edit::Write(Write {
            path: path(name),
            size,
            offset,
            at,
            len: u64::try_from(bytes.len()).unwrap(),
            blocks: bytes.chunks(usize::try_from(BLOCK).unwrap()).map(Checksum::of).collect(),
        }));
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        self.edits.push(edit);
    }

    /// Uploads these files as one body, and names it.
    pub(super) async fn seal(&mut self, files: &[(&str, &[u8])]) -> SegmentId {
        let id = SegmentId { epoch: self.manifest.epoch(), counter: self.bodies };
        self.bodies += 1;
        let member = |(name, bytes): &(&str, &[u8])| Member {
            path: path(name),
            size: u64::try_from(bytes.len()).unwrap(),
        };
        let members = files.iter().map(member).collect();
        let mut source = Files(files.iter().map(|(_, bytes)| bytes.to_vec()).collect());
        let uploaded = upload(self.chain.store(), id, members, &mut source).await.unwrap();
        self.edits.push(Edit::Seal(uploaded.unwrap().into_seal()));
        id
    }

    /// Publishes the edits since the last time as one batch.
    pub(super) async fn publish(&mut self) {
        let batch = Batch {
            position: self.manifest.successor(),
            writer: self.manifest.reign.as_ref().unwrap().writer,
            previous: self.manifest.digest,
            time: WallTime(2),
            database: None,
            edits: std::mem::take(&mut self.edits),
            payload: Bytes::from(std::mem::take(&mut self.payload)),
        };
        let link = encode_link(Link::Batch(batch));
        assert!(matches!(self.chain.append(&link).await, Ok(Appended::Mine)));
        self.manifest = self.manifest.fold(&link.link, link.digest).unwrap();
    }

    /// A replica with a cache of this size; the same one again after it was dropped.
    pub(super) fn reader(&self, cache_size: u64) -> Reader {
        let store = store(Arc::new(self.faulty.clone()));
        let cache = Cache::open(None, &self.directory.path().join("cache"), cache_size).unwrap();
        let cache = Arc::new(cache);
        let chain = Chain::new(store.clone());
        let fetcher = Fetcher::new(chain.clone(), Arc::clone(&cache), &Handle::current());
        let shown = Arc::new(Shown::new(cache, Arc::new(fetcher), Duration::from_secs(30)));
        let polling = Polling { least: Duration::from_millis(10), most: Duration::from_secs(5) };
        let chance = Chance { clock: Arc::new(Noon), rng: StdRng::seed_from_u64(1) };
        let health = Arc::<Health>::default();
        let parts = (Arc::clone(&shown), Arc::clone(&health));
        let follower = Follower::new(chain, parts, polling, chance);
        Reader { store, shown, health, follower }
    }

    /// A replica that shows the volume as it is now.
    pub(super) async fn started(&self) -> Reader {
        let mut reader = self.reader(1 << 30);
        reader.follower.start().await.unwrap();
        reader
    }

    /// The mount of a replica over a directory of its own, and what tells it the news.
    pub(super) async fn union(&self, access: Access) -> (Arc<Union>, Reader) {
        let beneath = self.directory.path().join("beneath");
        std::fs::create_dir_all(&beneath).unwrap();
        self.union_over(OwnedFd::from(File::open(beneath).unwrap()), access).await
    }

    /// The mount of a replica over this directory.
    pub(super) async fn union_over(
        &self,
        beneath: OwnedFd,
        access: Access,
    ) -> (Arc<Union>, Reader) {
        let (union, mut reader) = self.union_that_starts(beneath, access);
        reader.follower.start().await.unwrap();
        (union, reader)
    }

    /// The same before it shows anything.
    pub(super) fn union_that_starts(
        &self,
        beneath: OwnedFd,
        access: Access,
    ) -> (Arc<Union>, Reader) {
        let reader = self.reader(1 << 30);
        let removed = (access == Access::Union).then(|| Removed::open(beneath.as_fd()).unwrap());
        let mirror = Mirror::new(Arc::new(beneath), Duration::ZERO).unwrap();
        let layout = crate::layout::by_name("postgres").unwrap();
        let settings = Settings { access, ..Settings::default() };
        let shown = Arc::clone(&reader.shown);
        let union = Union::new(shown, (mirror, removed), layout, settings, Handle::current());
        let (union, Reader { store, shown, health, follower }) = (Arc::new(union), reader);
        let told = Arc::clone(&union);
        let follower = follower.telling(News::new(move |changes| told.tell(&changes)));
        (union, Reader { store, shown, health, follower })
    }

    /// Flips a bit of the only body.
    pub(super) async fn damage(&self, id: SegmentId, at: usize) {
        let key = crate::volume::keys::Key::Segment(id).to_string();
        let path = Path::from(format!("volume/{key}"));
        let whole = self.objects.get(&path).await.unwrap().bytes().await.unwrap();
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        self.objects.put(&path, bytes.into()).await.unwrap();
    }
}

impl Reader {
    pub(super) async fn read(&self, name: &str, offset: u64, len: usize) -> Option<Bytes> {
        self.shown.read(&path(name), offset, len).await.unwrap()
    }

    /// Objects and ranges asked for so far.
    pub(super) fn gets(&self) -> u64 {
        let requests = self.store.meter().requests();
        ["get", "get_miss"].iter().filter_map(|kind| requests.get(*kind)).sum()
    }
}

fn store(objects: Arc<dyn ObjectStore>) -> Store {
    let place = Place::behind(objects, Path::from("volume"), "memory://lab".to_owned());
    let second = Duration::from_secs(1);
    Store::new(place, 1).with_patience(Patience { attempt: second, total: second })
}
