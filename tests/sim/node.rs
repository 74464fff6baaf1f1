//! Processes of walfs in the simulation: the real primary and the real replica, without a kernel.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::timeout;
use walfs::layout::Layout;
use walfs::primary::{
    Applicant, Claim, Front, Means, Parts, Pipeline, Settings, StartError, Touch, begin, wanted,
};
use walfs::replica::cache::Cache;
use walfs::replica::fetch::Fetcher;
use walfs::replica::follower::{Chance, Follower};
use walfs::replica::polling::Polling;
use walfs::replica::reading::ReadError;
use walfs::replica::shown::Shown;
use walfs::store::{Chain, StoreError};
use walfs::volume::{Clock, RelPath, VolumeId};

use crate::books::Books;
use crate::database::Hooks;
use crate::disk::{Keep, SimDisk};
use crate::life::{Life, MortalDisk};
use crate::world::{Trouble, World};

/// How long a start may take before the operator tries again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a replica's reader waits for the store.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// A primary's process.
pub(crate) struct PrimaryNode {
    /// While it lives.
    pub(crate) life: Life,
    /// What the mount shares with it.
    pub(crate) front: Arc<Front>,
    /// In which of the volume's reigns it began.
    pub(crate) reign: usize,
    layout: Arc<dyn Layout>,
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// It runs.
    Up,
    /// Another node is primary.
    Refused,
    /// The store was away, or the process died.
    Later,
}

impl PrimaryNode {
    /// Starts walfs on a host.
    pub(crate) async fn start(
        world: &mut World,
        host: usize,
        claim: Claim,
        life: &Life,
    ) -> Result<Started, Trouble> {
        if let Some(before) = world.hosts[host].node.take() {
            before.life.end();
        }
        if world.rng.random_bool(0.2) {
            life.doom(world.rng.random_range(1..20));
        }
        let store = world.store(life);
        let chain = Chain::new(store.clone());
        let home = MortalDisk { disk: world.hosts[host].disk.clone(), life: life.clone() };
        let clock: Arc<dyn Clock> = Arc::<crate::world::SimClock>::clone(&world.clock);
        let name = world.hosts[host].name.to_owned();
        let mut rng = StdRng::seed_from_u64(world.rng.random());
        let applicant = Applicant::new(&mut rng, VolumeId([7; 16]), name, claim);
        let layout = Arc::clone(&world.layout);
        let mut means = Means::quiet();
        let beginning = begin(&chain, &home, &*layout, &applicant, &*clock, &mut means);
        let reign = tokio::select! {
            biased;
            reign = timeout(PATIENCE, beginning) => reign,
            () = life.over() => return Ok(Started::Later),
        };
        let reign = match reign {
            Ok(Ok(reign)) => reign,
            Ok(Err(StartError::NotPrimary { .. })) => return Ok(Started::Refused),
            Ok(Err(StartError::Store(StoreError::Unavailable(_) | StoreError::Corrupt { .. })))
            | Err(_) => return Ok(Started::Later),
            Ok(Err(_)) if !life.goes_on() => return Ok(Started::Later),
            Ok(Err(error)) => return Err(format!("the primary does not start: {error}")),
        };
        let settings = world.settings();
        let front = Arc::new(Front::default());
        let parts = Parts {
            disk: Arc::new(home),
            layout: Arc::clone(&world.layout),
            store,
            clock,
            settings,
            front: Arc::clone(&front),
        };
        let pipeline = Pipeline::new(parts, reign);
        let over = life.clone();
        tokio::task::spawn_local(async move {
            tokio::select! {
                biased;
                _ended = pipeline.run() => {}
                () = over.over() => {}
            }
        });
        let reign = world.reign + usize::from(claim == Claim::TakeOver);
        let layout = Arc::clone(&world.layout);
        world.hosts[host].node = Some(Self { life: life.clone(), front, reign, layout });
        Ok(Started::Up)
    }

    /// Whether the mount answers and accepts writes.
    pub(crate) fn is_writable(&self) -> bool {
        self.life.goes_on() && self.front.barrier.writable().is_ok()
    }

    /// What the mount's hook asks before a name goes.
    pub(crate) fn owes(&self, disk: &SimDisk, path: &RelPath) -> bool {
        disk.size(path).is_some() && wanted(&*self.layout, &self.front, disk, path)
    }
}

/// The mount between the database and its disk: what a hook of the real one does.
pub(crate) struct Mount<'a> {
    pub(crate) disk: SimDisk,
    pub(crate) node: &'a PrimaryNode,
    pub(crate) books: &'a mut Books,
}

impl Hooks for Mount<'_> {
    fn before_remove(&mut self, path: &RelPath) {
        if self.node.owes(&self.disk, path) {
            self.disk.hold(path, Keep::Itself);
        }
    }

    fn before_rename(&mut self, from: &RelPath, _to: &RelPath) {
        if self.node.owes(&self.disk, from) {
            self.disk.hold(from, Keep::Copy);
        }
    }

    fn wrote(&mut self, address: u64, page: &[u8]) {
        self.books.note_page(address, page);
    }

    fn synced(&mut self, path: &RelPath) {
        self.node.front.ticks.touch(path, Touch::Synced);
    }

    fn renamed(&mut self, path: &RelPath) {
        self.node.front.ticks.touch(path, Touch::Changed);
    }
}

/// A replica's process.
pub(crate) struct ReplicaNode {
    life: Life,
    shown: Arc<Shown>,
    folder: TempDir,
    records: u64,
}

impl ReplicaNode {
    /// Starts following, with what a former process left in its cache.
    pub(crate) fn start(world: &mut World, before: Option<&Self>) -> Self {
        let life = Life::long();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        if let Some(before) = before {
            before.life.end();
            inherit(before.folder.path(), folder.path()).expect("files can be copied");
        }
        let chain = Chain::new(world.store(&life));
        let limit = [1 << 20, 3 << 20, 64 << 20][world.rng.random_range(0..3)];
        let cache = Cache::open(None, folder.path(), limit).expect("a temporary folder works");
        let cache = Arc::new(cache);
        let fetcher = Arc::new(Fetcher::new(chain.clone(), Arc::clone(&cache), &Handle::current()));
        let shown = Arc::new(Shown::new(cache, fetcher, STORE_TIMEOUT));
        let polling = Polling { least: Duration::from_millis(10), most: Duration::from_secs(5) };
        let chance = Chance {
            clock: Arc::<crate::world::SimClock>::clone(&world.clock),
            rng: StdRng::seed_from_u64(world.rng.random()),
        };
        let mut follower =
            Follower::new(chain, (Arc::clone(&shown), Arc::default()), polling, chance);
        let over = life.clone();
        tokio::spawn(async move {
            let following = async {
                while follower.start().await.is_err() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                follower.run().await;
            };
            tokio::select! {
                biased;
                () = following => {}
                () = over.over() => {}
            }
        });
        Self { life, shown, folder, records: 0 }
    }

    /// All files, as one view has them; `None` while bytes cannot be had, or if the view moved on.
    pub(crate) async fn read_all(&self) -> Result<Option<BTreeMap<RelPath, Vec<u8>>>, Trouble> {
        let view = self.shown.view();
        let mut files = BTreeMap::new();
        for (path, file) in &view.manifest.files {
            let len = usize::try_from(file.size).expect("segments are small");
            match self.shown.read(path, 0, len).await {
                Ok(Some(bytes)) => files.insert(path.clone(), bytes.to_vec()),
                // A store in bad weather may hand out wrong bytes twice in a row.
                Ok(None)
                | Err(
                    ReadError::Away { .. }
                    | ReadError::Lost { cause: StoreError::Corrupt { .. }, .. },
                ) => return Ok(None),
                Err(error) => return Err(error.to_string()),
            };
        }
        let moved = self.shown.view().manifest.position != view.manifest.position;
        Ok((!moved).then_some(files))
    }

    /// A replica never steps back.
    pub(crate) fn saw(&mut self, records: u64) -> Result<(), Trouble> {
        if records < self.records {
            return Err(format!("a replica showed {} records, now {records}", self.records));
        }
        self.records = records;
        Ok(())
    }
}

impl World {
    /// How the primaries of this world behave: decided by the seed.
    fn settings(&mut self) -> Settings {
        let interval = [0, 0, 200, 1000][self.rng.random_range(0..4)];
        Settings {
            interval: Duration::from_millis(interval),
            batch_max: [64 << 10, 256 << 10, 4 << 20][self.rng.random_range(0..3)],
            durability: self.durability,
            checkpoint_every: [4, 64, 1024][self.rng.random_range(0..3)],
            ..Settings::default()
        }
    }
}

/// Copies what a dead process left: it may not have let go of its own folder yet.
fn inherit(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
