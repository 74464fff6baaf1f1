//! The primary's mount: what a database does in it reaches the store.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::memory::InMemory;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use walfs::fuse::hidden::Hidden;
use walfs::fuse::mount::{MountPoint, Mounted, Passthrough};
use walfs::layout::postgres::Postgres;
use walfs::layout::postgres::synthetic::Synthetic;
use walfs::primary::{Applicant, Claim, Durability, Ended, Means, Primary, Settings, Setup};
use walfs::store::faulty::{FaultyStore, Weather};
use walfs::store::{Chain, Place, Store};
use walfs::volume::{Clock, Manifest, RelPath, VolumeId, WallTime};

use crate::world::{has_fuse, settings};

const SEGMENT: u64 = 1 << 20;

#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> WallTime {
        WallTime(1)
    }
}

/// A primary's mount, a database that writes through it, and the store behind it.
struct Site {
    mounted: Option<Mounted>,
    primary: Primary,
    faulty: FaultyStore,
    objects: Arc<InMemory>,
    log: Synthetic,
    directory: TempDir,
}

impl Site {
    fn new(passthrough: Passthrough, durability: Durability) -> Self {
        let objects = Arc::<InMemory>::default();
        let (store, faulty) = reach(&objects);
        let directory = tempfile::tempdir().unwrap();
        let point = MountPoint::open(directory.path()).unwrap();
        let setup = Setup {
            store,
            directory: Arc::clone(point.directory()),
            layout: Arc::new(Postgres),
            clock: Arc::new(NoClock),
            settings: Settings { interval: Duration::ZERO, durability, ..Settings::default() },
            applicant: applicant(1, Claim::Continue),
            server: None,
            kept: None,
        };
        let primary = Primary::start(setup, Means::quiet()).unwrap();
        let hidden = Hidden::new(primary.filesystem(), Arc::new(Vec::new));
        let mounted = Some(point.mount(Arc::new(hidden), &settings(passthrough)).unwrap());
        let log = Synthetic::new(1, SEGMENT, 1);
        Self { mounted, primary, faulty, objects, log, directory }
    }

    /// The database writes records into a segment that it opened so.
    fn write(&mut self, bytes: usize, flags: i32) -> std::io::Result<File> {
        self.log.append(&vec![b'x'; bytes]);
        let mut last = None;
        for (at, page) in self.log.take() {
            let (name, offset) = self.log.place(at);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).custom_flags(flags);
            let file = options.open(self.directory.path().join(name.path().as_str()))?;
            if file.metadata()?.len() < SEGMENT {
                file.set_len(SEGMENT)?;
            }
            file.write_all_at(&page, offset)?;
            last = Some(file);
        }
        Ok(last.unwrap())
    }

    fn commit(&mut self, bytes: usize) -> std::io::Result<()> {
        self.write(bytes, 0)?.sync_data()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.path().join(segment(number).as_str())
    }

    fn shipped(&self) -> Manifest {
        let chain = Chain::new(reach(&self.objects).0);
        block_on(chain.catch_up(Manifest::empty(), &mut |_, _| {})).unwrap()
    }

    /// Unmounts, ships the rest, and compares what was shipped with these files.
    fn end(mut self) -> Manifest {
        self.mounted.take();
        let ended = self.primary.shutdown(Duration::from_secs(30)).unwrap();
        assert!(matches!(ended, Ended::Stopped(left) if left.bytes == 0));
        self.shipped()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.mounted.take();
        self.primary.shutdown(Duration::ZERO);
    }
}

fn reach(objects: &Arc<InMemory>) -> (Store, FaultyStore) {
    let objects: Arc<InMemory> = Arc::clone(objects);
    let faulty = FaultyStore::new(objects, 1, Weather::CALM);
    let place = Place::behind(Arc::new(faulty.clone()), "volume".into(), String::new());
    (Store::new(place, 1), faulty)
}

fn applicant(seed: u64, claim: Claim) -> Applicant {
    Applicant::new(&mut StdRng::seed_from_u64(seed), VolumeId([7; 16]), seed.to_string(), claim)
}

fn segment(number: u64) -> RelPath {
    RelPath::new(&format!("0000000100000000{number:08X}")).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn soon(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never came to pass");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn both(durability: Durability, test: impl Fn(Site)) {
    if !has_fuse() {
        return;
    }
    for passthrough in [Passthrough::On, Passthrough::Off] {
        eprintln!("with passthrough {passthrough:?}");
        test(Site::new(passthrough, durability));
    }
}

#[test]
fn a_sync_in_the_mount_ships_what_was_written() {
    both(Durability::Async, |mut site| {
        site.commit(100_000).unwrap();
        soon(|| site.shipped().shipped_len(&segment(1)) > 100_000);
    });
}

#[test]
fn a_synchronous_write_is_shipped_though_nobody_tells() {
    both(Durability::Async, |mut site| {
        let file = site.write(100_000, libc::O_DSYNC).unwrap();
        soon(|| site.shipped().shipped_len(&segment(1)) > 100_000);
        drop(file);
    });
}

#[test]
fn a_commit_that_must_be_in_the_store_is_there_when_it_returns() {
    both(Durability::InStore, |mut site| {
        for round in 1..20 {
            let file = if round % 2 == 0 {
                site.write(10_000, libc::O_DSYNC).unwrap()
            } else {
                let file = site.write(10_000, 0).unwrap();
                file.sync_data().unwrap();
                file
            };
            assert!(site.shipped().shipped_len(&segment(1)) > round * 10_000);
            drop(file);
        }
    });
}

#[test]
fn what_goes_before_it_was_shipped_is_shipped_all_the_same() {
    both(Durability::Async, |mut site| {
        site.commit(100).unwrap();
        soon(|| site.shipped().shipped_len(&segment(1)) > 0);
        site.faulty.set_outage(true);
        while site.log.end().0 < 5 * SEGMENT {
            site.commit(100_000).unwrap();
        }
        let before: Vec<_> =
            (1..=4).map(|number| std::fs::read(site.path(number)).unwrap()).collect();
        std::fs::remove_file(site.path(1)).unwrap();
        std::fs::rename(site.path(2), site.path(8)).unwrap();
        std::fs::write(site.path(8), vec![0xAB; 1 << 20]).unwrap();
        File::options().write(true).open(site.path(3)).unwrap().set_len(0).unwrap();
        assert!(!site.path(1).exists() && !site.path(2).exists());
        site.faulty.set_outage(false);
        soon(|| site.primary.status().held_files == Some(0));
        let objects = Arc::clone(&site.objects);
        let manifest = site.end();
        assert!(manifest.file(&segment(8)).is_none());
        let other = tempfile::tempdir().unwrap();
        let setup = Setup {
            store: reach(&objects).0,
            directory: Arc::new(File::open(other.path()).unwrap().into()),
            layout: Arc::new(Postgres),
            clock: Arc::new(NoClock),
            settings: Settings::default(),
            applicant: applicant(2, Claim::TakeOver),
            server: None,
            kept: None,
        };
        let primary = Primary::start(setup, Means::quiet()).unwrap();
        for (number, bytes) in (1..).zip(before) {
            let path = other.path().join(segment(number).as_str());
            assert!(std::fs::read(path).unwrap() == bytes, "segment {number} differs");
        }
        primary.shutdown(Duration::from_secs(5));
    });
}

#[test]
fn a_replaced_primary_becomes_read_only() {
    both(Durability::Async, |mut site| {
        site.commit(100).unwrap();
        let chain = Chain::new(reach(&site.objects).0);
        soon(|| site.shipped().shipped_len(&segment(1)) > 0);
        let rival = walfs::store::Candidate {
            writer: walfs::volume::WriterId([9; 16]),
            node: walfs::volume::NodeId([9; 16]),
            node_name: "rival".to_owned(),
            time: WallTime(1),
        };
        block_on(chain.claim(site.shipped(), &rival, &mut |_, _| {})).unwrap();
        soon(|| {
            let refused = site.commit(100).err().and_then(|error| error.raw_os_error());
            refused == Some(libc::EROFS)
        });
        let made = File::create(site.directory.path().join("anything"));
        assert_eq!(made.unwrap_err().raw_os_error(), Some(libc::EROFS));
        let status = site.primary.status();
        assert_eq!(status.state, "fenced");
        assert!(status.problem.unwrap().contains("rival"));
    });
}
