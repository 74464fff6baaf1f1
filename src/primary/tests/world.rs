//! One volume in memory, and the nodes that use it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::memory::InMemory;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::fuse::filesystem::{Answer, Reply};
use crate::layout::postgres::Postgres;
use crate::layout::postgres::synthetic::Synthetic;
use crate::layout::{FileId, Layout};
use crate::primary::{
    Applicant, Claim, Ended, Front, LocalDisk, Means, Parts, Pipeline, Reign, Settings, StartError,
    Touch, Writers, begin,
};
use crate::store::faulty::{FaultyStore, Weather};
use crate::store::{Chain, Place, Store};
use crate::volume::{Clock, Manifest, RelPath, VolumeId, WallTime};

pub(in crate::primary) const SEGMENT: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(in crate::primary) struct World {
    objects: Arc<InMemory>,
    nodes: Mutex<u64>,
}

/// A host: a directory, a database that writes to it, a way to the store.
pub(in crate::primary) struct Node {
    pub(in crate::primary) directory: TempDir,
    pub(in crate::primary) faulty: FaultyStore,
    pub(in crate::primary) store: Store,
    pub(in crate::primary) front: Arc<Front>,
    pub(in crate::primary) settings: Settings,
    pub(in crate::primary) log: Synthetic,
    name: String,
    seed: u64,
    running: Option<JoinHandle<Ended>>,
}

#[derive(Debug)]
struct Ticking(Instant);

impl Clock for Ticking {
    fn now(&self) -> WallTime {
        let micros = self.0.elapsed().as_micros();
        WallTime(1_700_000_000_000_000 + i64::try_from(micros).unwrap())
    }
}

#[derive(Debug)]
struct Nobody;

impl Writers for Nobody {
    fn write(&self, _file: FileId) -> bool {
        false
    }

    fn write_unseen(&self, _file: FileId) -> bool {
        false
    }
}

pub(in crate::primary) fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

/// The path of this segment of timeline 1.
pub(in crate::primary) fn segment(number: u64) -> RelPath {
    path(&format!("0000000100000000{number:08X}"))
}

/// Settings that ship each sync at once.
pub(in crate::primary) fn at_once() -> Settings {
    Settings { interval: Duration::ZERO, ..Settings::default() }
}

pub(in crate::primary) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    pub(in crate::primary) fn node(&self, settings: Settings) -> Node {
        let mut nodes = self.nodes.lock().unwrap();
        *nodes += 1;
        let seed = *nodes;
        let objects: Arc<InMemory> = Arc::clone(&self.objects);
        let faulty = FaultyStore::new(objects, seed, Weather::CALM);
        let place = Place::behind(Arc::new(faulty.clone()), "volume".into(), String::new());
        Node {
            directory: TempDir::new().unwrap(),
            store: Store::new(place, seed),
            faulty,
            front: Arc::default(),
            settings,
            log: Synthetic::new(1, SEGMENT, 1),
            name: format!("node {seed}"),
            seed: seed * 1000,
            running: None,
        }
    }

    /// What the store says now, asked in calm weather.
    pub(in crate::primary) async fn manifest(&self) -> Manifest {
        let chain = self.node(Settings::default()).chain();
        chain.catch_up(Manifest::empty(), &mut |_, _| {}).await.unwrap()
    }

    /// The files as another node would get them at a takeover.
    pub(in crate::primary) async fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut other = self.node(Settings::default());
        other.begin(Claim::TakeOver).await.unwrap();
        other.files()
    }
}

impl Node {
    pub(in crate::primary) fn chain(&self) -> Chain {
        Chain::new(self.store.clone())
    }

    pub(in crate::primary) fn disk(&self) -> Arc<LocalDisk> {
        let directory = Arc::new(File::open(self.directory.path()).unwrap().into());
        Arc::new(LocalDisk::open(directory, Arc::new(Nobody)).unwrap())
    }

    /// A new process of this node stands for election.
    pub(in crate::primary) async fn begin(&mut self, claim: Claim) -> Result<Reign, StartError> {
        self.seed += 1;
        let mut rng = StdRng::seed_from_u64(self.seed);
        let volume = VolumeId([7; 16]);
        let applicant = Applicant::new(&mut rng, volume, self.name.clone(), claim);
        let clock = Ticking(Instant::now());
        let (chain, disk) = (self.chain(), self.disk());
        begin(&chain, &*disk, &Postgres, &applicant, &clock, &mut Means::quiet()).await
    }

    /// A new process of this node becomes primary and runs.
    pub(in crate::primary) async fn start(&mut self) {
        let reign = self.begin(Claim::Continue).await.unwrap();
        self.run(reign);
    }

    pub(in crate::primary) fn run(&mut self, reign: Reign) {
        self.front = Arc::default();
        let layout: Arc<dyn Layout> = Arc::new(Postgres);
        let parts = Parts {
            disk: self.disk(),
            layout,
            store: self.store.clone(),
            clock: Arc::new(Ticking(Instant::now())),
            settings: self.settings.clone(),
            front: Arc::clone(&self.front),
        };
        self.running = Some(tokio::spawn(Pipeline::new(parts, reign).run()));
    }

    /// The process is gone from one moment to the next.
    pub(in crate::primary) async fn crash(&mut self) {
        let running = self.running.take().unwrap();
        running.abort();
        assert!(running.await.is_err());
    }

    pub(in crate::primary) async fn stop(&mut self, within: Duration) -> Ended {
        self.front.stop(within);
        self.ended().await
    }

    pub(in crate::primary) async fn ended(&mut self) -> Ended {
        self.running.take().unwrap().await.unwrap()
    }

    /// The database writes so many bytes of records, without a sync.
    pub(in crate::primary) fn write(&mut self, bytes: usize) -> Vec<RelPath> {
        self.log.append(&vec![b'x'; bytes]);
        let mut paths = Vec::new();
        for (at, page) in self.log.take() {
            let (name, offset) = self.log.place(at);
            let path = name.path();
            let place = self.directory.path().join(path.as_str());
            let file =
                OpenOptions::new().write(true).create(true).truncate(false).open(place).unwrap();
            if file.metadata().unwrap().len() == 0 {
                file.set_len(SEGMENT).unwrap();
            }
            file.write_all_at(&page, offset).unwrap();
            if paths.last() != Some(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// The database commits so many bytes of records.
    pub(in crate::primary) fn commit(&mut self, bytes: usize) {
        for path in self.write(bytes) {
            self.front.ticks.touch(&path, Touch::Synced);
        }
    }

    /// Records until this segment has begun.
    pub(in crate::primary) fn fill_up_to(&mut self, number: u64) {
        while self.log.end().0 <= number * SEGMENT {
            self.commit(100_000);
        }
    }

    /// The database commits and waits for the store. What it was answered, if it was.
    pub(in crate::primary) fn commit_in_store(
        &mut self,
        bytes: usize,
    ) -> Arc<Mutex<Option<Answer<()>>>> {
        self.commit(bytes);
        let seen = Arc::<Mutex<Option<Answer<()>>>>::default();
        let answered = Arc::clone(&seen);
        let reply = Reply::new(move |answer| *answered.lock().unwrap() = Some(answer));
        self.front.barrier.wait_for_store(&self.front.ticks, reply);
        seen
    }

    /// The files of the directory.
    pub(in crate::primary) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let is_file = |path: &Path| path.is_file().then(|| std::fs::read(path).unwrap());
        std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter_map(|entry| {
                Some((entry.file_name().into_string().unwrap(), is_file(&entry.path())?))
            })
            .collect()
    }

    pub(in crate::primary) fn remove(&self, path: &RelPath) {
        std::fs::remove_file(self.directory.path().join(path.as_str())).unwrap();
    }

    /// How many requests so far.
    pub(in crate::primary) fn requests(&self) -> u64 {
        self.store.meter().requests().values().sum()
    }
}

/// Lets the clock run until this holds.
pub(in crate::primary) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to pass");
}
