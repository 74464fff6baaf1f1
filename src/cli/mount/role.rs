//! The primary or the replica behind a mount: put together from a configuration.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;

use crate::cli::clock::SystemClock;
use crate::cli::cost::Till;
use crate::cli::failure::{Exit, Failure};
use crate::cli::reach::{block_on, connect, file_is_absent, no_volume};
use crate::config::{Config, Role};
use crate::fuse::estate::Kept;
use crate::fuse::filesystem::{FileSystem, Kernel};
use crate::fuse::mirror::{Mirror, TTL_ALONE};
use crate::fuse::status::Status;
use crate::layout::{self, Layout};
use crate::primary::{self, Applicant, Claim, Durability, LocalDisk, Note, Primary};
use crate::replica::{self, Replica};
use crate::server::Address;
use crate::store::{Store, volume};
use crate::volume::info::VolumeInfo;
use crate::volume::{Clock, VolumeId};

use super::takeover;

/// How often a replica looks at a store that is on this host: a look costs less than a wake-up.
const POLL_LOCAL: Duration = Duration::from_millis(3);
/// How often it looks at any other while data flows.
const POLL_REMOTE: Duration = Duration::from_millis(100);
/// Fetches, and readers that wait for them.
pub(super) const REPLICA_THREADS: usize = 2;

/// What serves a mount.
#[derive(Debug)]
pub(super) enum Service {
    /// The one that writes, and what its requests cost.
    Primary(Box<Primary>, Till),
    /// One that shows.
    Replica(Box<Follows>),
}

/// A replica, and what it does not know of itself.
#[derive(Debug)]
pub(super) struct Follows {
    /// Guards: the replica, which ends once.
    replica: Mutex<Replica>,
    filesystem: Arc<dyn FileSystem>,
    store: Store,
    known: Status,
    till: Till,
    /// Fetches run on it for as long as the mount is there.
    _runtime: tokio::runtime::Runtime,
}

/// What is known before the role is taken up.
struct Ground<'a> {
    url: &'a str,
    store: BTreeMap<String, String>,
    directory: &'a Arc<OwnedFd>,
    till: Till,
    node: String,
    layout: Option<String>,
    kept: Option<Kept>,
}

impl Service {
    /// Takes up the role. Returns once a primary reigns, or a replica can show the whole volume.
    pub(super) fn start(
        url: &str,
        config: Config,
        directory: &Arc<OwnedFd>,
        kept: Option<Kept>,
    ) -> Result<Self, Failure> {
        let node = config.node.unwrap_or_else(host_name);
        let (till, aims) = Till::open(url, &config.wishes)?;
        let store = config.reach.store;
        let ground = Ground { url, store, directory, till, node, layout: config.layout, kept };
        match config.role {
            Role::Primary { settings, claim, server } => {
                ground.primary(primary::Settings { aims, ..settings }, claim, server)
            }
            Role::Replica { mut settings, poll, cache, delivery } => {
                let local = url.starts_with("file:") || url.starts_with("memory:");
                settings.poll = poll.unwrap_or(if local { POLL_LOCAL } else { POLL_REMOTE });
                settings.aims = aims;
                ground.replica(settings, cache, delivery)
            }
        }
    }

    /// What to mount.
    pub(super) fn filesystem(&self) -> Arc<dyn FileSystem> {
        match self {
            Self::Primary(primary, _) => primary.filesystem(),
            Self::Replica(follows) => Arc::clone(&follows.filesystem),
        }
    }

    /// The mount is there: from now on the kernel is told what changed.
    pub(super) fn set_kernel(&self, kernel: Arc<dyn Kernel>) {
        match self {
            // All changes go through its mount: there is nothing to tell.
            Self::Primary(..) => {}
            Self::Replica(follows) => follows.lock().set_kernel(kernel),
        }
    }

    /// Whether the mount is right only where the kernel itself writes the local files.
    pub(super) fn needs_passthrough(&self) -> bool {
        match self {
            Self::Primary(primary, _) => primary.layout().is_mapped(),
            Self::Replica(_) => false,
        }
    }

    /// Whether the volume is of a QuestDB.
    pub(super) fn is_questdb(&self) -> bool {
        match self {
            Self::Primary(primary, _) => primary.layout().name() == "questdb",
            Self::Replica(follows) => follows.known.layout == "questdb",
        }
    }

    /// How it is.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Primary(primary, till) => {
                let mut status = primary.status();
                status.cost = till.cost(&status.requests);
                status
            }
            Self::Replica(follows) => {
                let mut status = follows.known.clone();
                follows.lock().tell(&mut status);
                status.requests = follows.store.meter().requests();
                status.bytes = follows.store.meter().bytes();
                status.cost = follows.till.cost(&status.requests);
                status
            }
        }
    }
}

impl Follows {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ground<'_> {
    fn primary(
        self,
        settings: primary::Settings,
        claim: Claim,
        server: Option<Address>,
    ) -> Result<Service, Failure> {
        let (info, layout) = block_on(self.open_or_create())?;
        if server.is_some() && !layout.is_delivered() {
            return Err(not_questdb("questdb", &info.layout));
        }
        if layout.is_mapped() && settings.durability == Durability::InStore {
            return Err(unsynced(layout.name()));
        }
        let store = connect(self.url, &self.store)?;
        let failed = |error| Failure::error(format!("cannot start threads: {error}"));
        let means = takeover::means(&*layout, store.clone(), info.volume, self.directory);
        let means = means.map_err(failed)?;
        let rng = &mut rand::make_rng::<StdRng>();
        let setup = primary::Setup {
            store,
            directory: Arc::clone(self.directory),
            layout,
            clock: Arc::new(SystemClock),
            settings,
            applicant: Applicant::new(rng, info.volume, self.node, claim),
            server,
            kept: self.kept,
        };
        Ok(Service::Primary(Box::new(Primary::start(setup, means)?), self.till))
    }

    fn replica(
        self,
        settings: replica::Settings,
        cache: Option<PathBuf>,
        delivery: Option<replica::delivery::Settings>,
    ) -> Result<Service, Failure> {
        if file_is_absent(self.url) {
            return Err(no_volume(self.url));
        }
        let info = block_on(async {
            let found = volume::find_volume(&connect(self.url, &self.store)?).await?;
            found.ok_or_else(|| no_volume(self.url))
        })?;
        let layout = self.check_layout(&info)?;
        if delivery.is_some() && !layout.is_delivered() {
            return Err(not_questdb("database", &info.layout));
        }
        let failed = |error| Failure::error(format!("cannot start the replica's threads: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(REPLICA_THREADS)
            .thread_name("walfs-fetch")
            .enable_all()
            .build()
            .map_err(failed)?;
        let store = connect(self.url, &self.store)?;
        let known = Status {
            volume: info.volume.to_string(),
            url: store.url().to_owned(),
            layout: info.layout,
            node_name: self.node,
            pid: std::process::id(),
            ..Status::default()
        };
        let replica = Replica::start(replica::Parts {
            store: store.clone(),
            volume: info.volume,
            layout,
            directory: Arc::clone(self.directory),
            cache,
            settings,
            delivery,
            clock: Arc::new(SystemClock),
            seed: rand::random(),
            runtime: runtime.handle().clone(),
        })?;
        let filesystem = replica.filesystem();
        let replica = Mutex::new(replica);
        let till = self.till;
        let follows = Follows { replica, filesystem, store, known, till, _runtime: runtime };
        Ok(Service::Replica(Box::new(follows)))
    }

    /// The volume that is here, or a new one of the layout that was said or that is recognised.
    async fn open_or_create(&self) -> Result<(VolumeInfo, Arc<dyn Layout>), Failure> {
        let store = connect(self.url, &self.store)?;
        if let Some(info) = volume::find_volume(&store).await? {
            let layout = self.check_layout(&info)?;
            return Ok((info, layout));
        }
        if let Some(note) = Note::recall(&self.disk()?).map_err(|error| unreadable(&error))? {
            return Err(volume_gone(self.url, note.volume));
        }
        let layout = match &self.layout {
            Some(name) => layout::by_name(name).ok_or_else(|| unknown_layout(name))?,
            None => self.recognise()?,
        };
        let wish = VolumeInfo {
            volume: VolumeId::new(&mut rand::make_rng::<StdRng>()),
            layout: layout.name().to_owned(),
            created: SystemClock.now(),
        };
        let info = volume::create_volume(&store, &wish).await?;
        let layout = self.check_layout(&info)?;
        Ok((info, layout))
    }

    fn check_layout(&self, info: &VolumeInfo) -> Result<Arc<dyn Layout>, Failure> {
        if let Some(name) = &self.layout {
            layout::by_name(name).ok_or_else(|| unknown_layout(name))?;
            volume::check_layout(info, name)?;
        }
        layout::by_name(&info.layout).ok_or_else(|| {
            let layout = &info.layout;
            Failure::error(format!("the volume's layout `{layout}` is unknown: upgrade walfs"))
        })
    }

    /// The directory, as a primary sees it.
    fn disk(&self) -> Result<LocalDisk, Failure> {
        let mirror = Mirror::new(Arc::clone(self.directory), TTL_ALONE)
            .map_err(|error| unreadable(&error))?;
        LocalDisk::open(Arc::clone(self.directory), Arc::new(mirror))
            .map_err(|error| unreadable(&error))
    }

    fn recognise(&self) -> Result<Arc<dyn Layout>, Failure> {
        let found = layout::recognise(&self.disk()?).map_err(|error| unreadable(&error))?;
        found.ok_or_else(|| {
            Failure::error(
                "cannot tell from its files whose directory this is: say layout=postgres, \
                 layout=questdb or layout=generic",
            )
        })
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot read the directory: {error}"))
}

/// A new one would stand where the old one comes back to, as when a disk was not mounted.
fn volume_gone(url: &str, volume: VolumeId) -> Failure {
    Failure::new(
        Exit::Unavailable,
        format!(
            "{url}: there is no volume, but the directory belongs to one ({volume}): is the store's \
             disk mounted, and the URL right? To give the files to a new volume, remove the \
             directory's `.walfs`"
        ),
    )
}

fn not_questdb(option: &str, layout: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("option {option}: is for volumes of layout questdb; this one's is {layout}"),
    )
}

/// What a database does not sync, nobody can make wait for the store.
fn unsynced(layout: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!(
            "option sync: layout={layout} cannot have it: the database commits through memory, and \
             waits for no sync; leave it out, and keep the loss small with interval=0"
        ),
    )
}

fn unknown_layout(name: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("option layout: `{name}` is unknown; write postgres, questdb or generic"),
    )
}

fn host_name() -> String {
    let name = nix::sys::utsname::uname().ok();
    let name = name.and_then(|names| names.nodename().to_str().map(str::to_owned));
    name.unwrap_or_else(|| "unnamed".to_owned())
}
