//! A replica as a whole: its parts put together and set going. All requests to the store are made
//! on one runtime; the kernel is told from a thread, because it may have to finish something first.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Handle as Runtime;
use tokio::sync::oneshot;
use tracing::error;

use crate::fuse::filesystem::{FileSystem, Kernel};
use crate::fuse::mirror::Mirror;
use crate::fuse::status::Status;
use crate::layout::Layout;
use crate::store::{Chain, Patience, Side, Steering, Store, StoreError};
use crate::volume::{About, Clock, VolumeId};

use super::cache::Cache;
use super::delivery::{self, Delivery};
use super::fetch::Fetcher;
use super::follower::{Chance, Follower, News};
use super::health::Health;
use super::polling::Polling;
use super::removed::Removed;
use super::settings::{Access, Settings};
use super::shown::Shown;
use super::union::Union;
use super::view::Change;

/// One request of a replica: what fails is tried again by who waits, and said meanwhile.
const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(10), total: Duration::from_secs(1) };

/// Changes of so many views may wait for the kernel; then the follower waits, too.
const NEWS_MAX: usize = 1024;

/// What a replica is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where the volume is.
    pub store: Store,
    /// Which volume it is: the cache is its own.
    pub volume: VolumeId,
    /// What its files mean.
    pub layout: Arc<dyn Layout>,
    /// The directory beneath the mount, opened before mounting.
    pub directory: Arc<OwnedFd>,
    /// Where the cache is; `None`: in the directory beneath.
    pub cache: Option<PathBuf>,
    /// What the operator chose.
    pub settings: Settings,
    /// Where to deliver what is shown, if a database takes it in.
    pub delivery: Option<delivery::Settings>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub seed: u64,
    /// Where the follower and all fetches run, and slow reads wait.
    pub runtime: Runtime,
}

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The chain cannot be followed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache cannot be used.
    #[error("the cache in {0} cannot be used: {1}")]
    Cache(PathBuf, io::Error),
    /// The directory beneath cannot be used.
    #[error("the directory beneath the mount cannot be used: {0}")]
    Directory(io::Error),
    /// The database's directory cannot be used.
    #[error("database={0}: {1}")]
    Database(PathBuf, io::Error),
    /// There is no thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A running replica.
#[derive(Debug)]
pub struct Replica {
    union: Arc<Union>,
    shown: Arc<Shown>,
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
    delivery: Option<Delivery>,
    going: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Replica {
    /// Starts to follow. Returns once the whole volume, as it is now, can be shown. Blocks: not to
    /// be called on the runtime.
    pub fn start(parts: Parts) -> Result<Self, StartError> {
        let (settings, runtime) = (parts.settings, parts.runtime.clone());
        let cache = Arc::new(open_cache(&parts)?);
        let chain = Chain::new(parts.store.with_patience(PATIENCE));
        let fetcher = Fetcher::new(chain.clone(), Arc::clone(&cache), &parts.runtime);
        let shown = Arc::new(Shown::new(cache, Arc::new(fetcher), settings.store_timeout));
        // Names beneath may be taken by the store at any time: the kernel asks each time.
        let mirror = Mirror::new(Arc::clone(&parts.directory), Duration::ZERO);
        let removed = match settings.access {
            Access::Union => Some(Removed::open(parts.directory.as_fd())),
            Access::ReadOnly => None,
        };
        let removed = removed.transpose().map_err(StartError::Directory)?;
        let beneath = (mirror.map_err(StartError::Directory)?, removed);
        let union =
            Union::new(Arc::clone(&shown), beneath, parts.layout, settings, runtime.clone());
        let union = Arc::new(union);
        let health = Arc::new(Health::default());
        let chance =
            Chance { clock: Arc::clone(&parts.clock), rng: StdRng::seed_from_u64(parts.seed) };
        let delivery = parts.delivery.map(|settings| deliver(settings, parts.volume, &shown));
        let mut delivery = delivery.transpose()?;
        let listener = delivery.as_ref().map(Delivery::listener);
        let (news, newsman) = newsman(Arc::clone(&union), listener).map_err(StartError::Thread)?;
        let parts_shown = (Arc::clone(&shown), Arc::clone(&health));
        let follower = Follower::new(chain, parts_shown, Polling::from(settings), chance);
        let steering = Steering::new(settings.aims, Side::Replica, parts.store.clone());
        let stop = follow(&runtime, follower.telling(news).steered(steering))?;
        if let Some(delivery) = &mut delivery {
            delivery.begin(&runtime);
        }
        Ok(Self {
            union,
            shown,
            health,
            clock: parts.clock,
            delivery,
            going: Some((stop, newsman)),
        })
    }

    /// What to mount.
    pub fn filesystem(&self) -> Arc<dyn FileSystem> {
        Arc::<Union>::clone(&self.union)
    }

    /// The mount is there: from now on the kernel is told what changed.
    pub fn set_kernel(&self, kernel: Arc<dyn Kernel>) {
        self.union.set_kernel(kernel);
    }

    /// What it shows.
    pub fn shown(&self) -> &Arc<Shown> {
        &self.shown
    }

    /// Fills in what the replica knows about itself.
    pub fn tell(&self, status: &mut Status) {
        "replica".clone_into(&mut status.role);
        self.health.tell(status, &self.shown, self.clock.now());
        status.left_out = About::of(&self.shown.view().manifest).unwrap_or_default().left_out;
        if let Some(delivery) = &self.delivery {
            delivery.tell(status);
        }
    }

    /// Stops to follow; what is shown stays readable until this is dropped.
    pub fn shutdown(&mut self) {
        let Some((stop, newsman)) = self.going.take() else { return };
        drop(stop);
        self.delivery = None;
        if newsman.join().is_err() {
            error!("the thread that tells the kernel what changed had panicked");
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl From<Settings> for Polling {
    fn from(settings: Settings) -> Self {
        Self { least: settings.poll, most: settings.poll_max.max(settings.poll) }
    }
}

fn open_cache(parts: &Parts) -> Result<Cache, StartError> {
    let (at, folder) = if let Some(path) = &parts.cache {
        (None, path.clone())
    } else {
        (Some(parts.directory.as_fd()), Path::new(crate::fuse::hidden::NAME).join("cache"))
    };
    let path = folder.join(parts.volume.to_string());
    let opened = Cache::open(at, &path, parts.settings.cache_size);
    opened.map_err(|error| StartError::Cache(path, error))
}

/// Prepares the delivery of what is shown.
fn deliver(
    settings: delivery::Settings,
    volume: VolumeId,
    shown: &Arc<Shown>,
) -> Result<Delivery, StartError> {
    let database = settings.database.clone();
    Delivery::new(settings, volume, shown).map_err(|error| StartError::Database(database, error))
}

/// Tells the kernel what changed, one view after the other, until the news end; and the delivery,
/// at once.
fn newsman(
    union: Arc<Union>,
    delivery: Option<impl Fn(&[Change]) + Send + Sync + 'static>,
) -> io::Result<(News, JoinHandle<()>)> {
    let (tell, told) = mpsc::sync_channel::<Vec<Change>>(NEWS_MAX);
    let run = move || told.iter().for_each(|changes| union.tell(&changes));
    let thread = std::thread::Builder::new().name("kernel-news".to_owned()).spawn(run)?;
    let news = News::new(move |changes| {
        if let Some(delivery) = &delivery {
            delivery(&changes);
        }
        if tell.send(changes).is_err() {
            error!("nobody tells the kernel what changed: files from the store may look stale");
        }
    });
    Ok((news, thread))
}

/// Sets a follower going, once it shows the volume as it is now, until the sender that is
/// returned goes away.
fn follow(runtime: &Runtime, mut follower: Follower) -> Result<oneshot::Sender<()>, StartError> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = mpsc::channel();
    runtime.spawn(async move {
        let started = follower.start().await;
        let goes_on = started.is_ok();
        if tell.send(started).is_ok() && goes_on {
            tokio::select! {
                _ = stopped => {}
                () = follower.run() => {}
            }
        }
    });
    let started = told.recv().unwrap_or_else(|_| {
        Err(StoreError::Unavailable("the follower ended before it had begun".to_owned()))
    });
    started?;
    Ok(stop)
}
