//! A primary as the daemon runs it: begins the reign, keeps the loop on a thread of its own, tells
//! how it is, and ends it.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::fuse::estate::Kept;
use crate::fuse::filesystem::FileSystem;
use crate::fuse::mirror::{Mirror, TTL_ALONE};
use crate::fuse::status::Status;
use crate::layout::Layout;
use crate::server::{Address, Agent};
use crate::store::{Chain, Store, leftovers};
use crate::volume::{Clock, Fence};

use super::about::Teller;
use super::barrier::State;
use super::front::{Front, Leftover};
use super::hooks::Hooks;
use super::local_disk::{LocalDisk, Writers};
use super::materialise::Means;
use super::note::Note;
use super::pipeline::{Ended, Parts, Pipeline};
use super::reign::{Applicant, StartError, begin};
use super::settings::{Durability, Settings};
use super::status::{Identity, status};
use super::view::View;

/// What a primary is made of.
#[derive(Debug)]
pub struct Setup {
    /// Where the volume is, and how to reach it.
    pub store: Store,
    /// The directory beneath the mount, opened before mounting.
    pub directory: Arc<OwnedFd>,
    /// What they mean.
    pub layout: Arc<dyn Layout>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How to behave.
    pub settings: Settings,
    /// Who wants to be primary of what.
    pub applicant: Applicant,
    /// The database's server, if it may be asked.
    pub server: Option<Address>,
    /// What is kept of the mount for another worker, if there may be one.
    pub kept: Option<Kept>,
}

/// A running primary.
pub struct Primary {
    front: Arc<Front>,
    view: Arc<View>,
    layout: Arc<dyn Layout>,
    identity: Identity,
    store: Store,
    clock: Arc<dyn Clock>,
    /// Guards: the loop's thread, until somebody waits for its end.
    thread: Mutex<Option<JoinHandle<Ended>>>,
}

impl Primary {
    /// Begins the reign and starts the loop. Returns once the node is primary.
    pub fn start(setup: Setup, means: Means) -> Result<Self, StartError> {
        let front = Arc::<Front>::default();
        let directory = Arc::clone(&setup.directory);
        let lean = setup.layout.is_mapped();
        let mirror = match &setup.kept {
            Some(kept) => Mirror::with_estate(directory, TTL_ALONE, kept, lean)?,
            None if lean => Mirror::lean(directory, TTL_ALONE)?,
            None => Mirror::new(directory, TTL_ALONE)?,
        };
        let mirror = Arc::new(mirror);
        let writers: Arc<dyn Writers> = Arc::<Mirror>::clone(&mirror);
        let disk = Arc::new(LocalDisk::open(Arc::clone(&setup.directory), writers)?);
        let hooks = Hooks::new(
            mirror,
            Arc::clone(&disk),
            Arc::clone(&setup.layout),
            Arc::clone(&front),
            setup.settings.durability,
        );
        if let Some(kept) = &setup.kept {
            hooks.inherit(&kept.left);
        }
        let view = Arc::new(View::new(hooks));
        let (store, clock) = (setup.store.clone(), Arc::clone(&setup.clock));
        let (layout, applicant) = (Arc::clone(&setup.layout), setup.applicant.clone());
        let (began, beginning) = mpsc::channel();
        let shared = Arc::clone(&front);
        let thread = std::thread::Builder::new()
            .name("walfs-primary".to_owned())
            .spawn(move || reign_on_this_thread(setup, disk, shared, means, &began))?;
        let gone = || io::Error::other("the primary's thread ended before its reign began");
        let note = beginning.recv().map_err(|_| gone())??;
        let identity = Identity {
            volume: applicant.volume.to_string(),
            url: store.url().to_owned(),
            layout: layout.name().to_owned(),
            node: note.node.to_string(),
            node_name: applicant.node_name,
        };
        Ok(Self { front, view, layout, identity, store, clock, thread: Mutex::new(Some(thread)) })
    }

    /// What to mount.
    pub fn filesystem(&self) -> Arc<dyn FileSystem> {
        Arc::<View>::clone(&self.view)
    }

    /// What the files mean.
    pub fn layout(&self) -> &dyn Layout {
        &*self.layout
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let outage = self.front.outage.trouble();
        let mut status = status(&self.identity, &self.front.account(), outage, self.clock.now());
        status.requests = self.store.meter().requests();
        status.bytes = self.store.meter().bytes();
        status
    }

    /// Ships what is durable, within this time, and ends. Says what could not be shipped; `None`
    /// if there is nobody to ask any more.
    pub fn shutdown(&self, within: Duration) -> Option<Ended> {
        self.front.stop(within);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread?.join().ok()
    }
}

impl fmt::Debug for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Primary").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn reign_on_this_thread(
    setup: Setup,
    disk: Arc<LocalDisk>,
    front: Arc<Front>,
    mut means: Means,
    began: &mpsc::Sender<Result<Note, StartError>>,
) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return give_up(began, error.into()),
    };
    runtime.block_on(async {
        let Setup { store, layout, clock, settings, applicant, server, .. } = setup;
        let chain = Chain::new(store.clone());
        let reign = begin(&chain, &*disk, &*layout, &applicant, &*clock, &mut means).await;
        let note = Note::recall(&*disk).map_err(StartError::from);
        let (reign, note) = match (reign, note) {
            (Ok(reign), Ok(Some(note))) => (reign, note),
            (Err(error), _) | (Ok(_), Err(error)) => return give_up(began, error),
            (Ok(_), Ok(None)) => {
                let lost = io::Error::other("the node's note is gone, though it was just written");
                return give_up(began, lost.into());
            }
        };
        if began.send(Ok(note)).is_err() {
            return nothing();
        }
        let sweeping = reign.manifest.reign.clone().map(|fence| sweep(store.clone(), fence));
        let _sweeper = sweeping.map(tokio::spawn);
        let _alarm = Alarm { front: Arc::clone(&front), durability: settings.durability };
        if layout.is_delivered() {
            let agent = server.map(Agent::new);
            let (disk, layout) = (Arc::clone(&disk), Arc::clone(&layout));
            // Ends with the runtime.
            tokio::spawn(
                Teller { disk, layout, front: Arc::clone(&front), agent, found: Vec::new() }.run(),
            );
        }
        let parts = Parts { disk, layout, store, clock, settings, front };
        Pipeline::new(parts, reign).run().await
    })
}

/// Clears away what dead writers left in the store. Beside the reign: it waits for nothing here.
async fn sweep(store: Store, fence: Fence) {
    match leftovers::sweep(&store, &fence, leftovers::AGE).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed files that dead writers left in the store"),
        Err(error) => tracing::warn!(
            %error,
            "cannot remove files that dead writers left in the store: they only take space, and \
             the next mount of a primary tries again"
        ),
    }
}

/// Tells when the loop ends by a bug. The database may go on as far as it was promised nothing.
struct Alarm {
    front: Arc<Front>,
    durability: Durability,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let problem = "the loop that ships ended by a bug: unmount, mount again, and report it";
        tracing::error!("{problem}");
        self.front.note(|account| account.problem = Some(problem.to_owned()));
        if self.durability == Durability::InStore {
            self.front.barrier.set(State::Fenced);
        }
    }
}

/// There is no reign, and this is why.
fn give_up(began: &mpsc::Sender<Result<Note, StartError>>, error: StartError) -> Ended {
    // Whoever asked may be gone; then nobody wants to know.
    let _heard = began.send(Err(error));
    nothing()
}

fn nothing() -> Ended {
    Ended::Stopped(Leftover::default())
}
