//! The conversation with the kernel over one mount, from the handshake to its end.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, bounded};
use fuser::{BackingId, Config, INodeNo, InitFlags, KernelConfig, Notifier, Session, SessionACL};

use super::Shared;
use super::calls::Calls;
use super::requests::Requests;
use super::takeover;
use super::ways::Ways;
use crate::fuse::estate::{Estate, Left};
use crate::fuse::filesystem::{FileSystem, Ino, Kernel};

/// Threads that read requests. One log stream gains nothing from more; with a cloned descriptor
/// each, requests would die with a killed daemon.
const READERS: usize = 2;

/// As much as the kernel sends and asks for at once by default; more would only cost memory.
const WRITE_MAX: u32 = 1 << 20;

/// How deep the files beneath may be stacked: an overlay may lie beneath us (in containers).
const STACK_DEPTH: u32 = 2;

/// A mount that is being served.
#[derive(Debug)]
pub(in crate::fuse) struct Served {
    shared: Arc<Shared>,
    notifier: Notifier,
    /// The thread that waits for the readers.
    thread: Option<JoinHandle<io::Result<()>>>,
    /// Never receives anything; disconnected when the mount is gone.
    ended: Receiver<()>,
}

/// How the conversation begins.
#[derive(Debug)]
pub(in crate::fuse) enum Begin<'a> {
    /// With the kernel's handshake. With `probe`, it is tried whether the kernel can do the I/O of
    /// such a file by itself. What the kernel is told is kept in the estate.
    Anew { probe: Option<&'a OwnedFd>, estate: Option<Arc<Estate>> },
    /// Where a worker that died left it.
    Takeover { estate: Arc<Estate>, left: &'a Left },
}

/// Serves what was mounted with this `/dev/fuse` descriptor. Says besides why there is no
/// passthrough, if it was wanted. With `insists`, an open that the kernel refuses it fails.
pub(in crate::fuse) fn serve(
    device: OwnedFd,
    filesystem: Arc<dyn FileSystem>,
    begin: &Begin<'_>,
    insists: bool,
) -> io::Result<(Served, io::Result<()>)> {
    let (estate, wanted) = match begin {
        Begin::Anew { probe, estate } => (estate.clone(), probe.is_some()),
        Begin::Takeover { estate, .. } => (Some(Arc::clone(estate)), estate.passthrough()),
    };
    let shared =
        Shared { filesystem, ways: Ways::new(estate.clone(), insists), calls: Calls::default() };
    let shared = Arc::new(shared);
    let requests = Requests::new(Arc::clone(&shared), wanted);
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.n_threads = Some(READERS);
    let (session, passthrough) = match begin {
        Begin::Anew { probe, .. } => {
            let session = Session::from_fd(requests, device, SessionACL::All, config)?;
            let tried = probe.map_or(Ok(()), |file| try_passthrough(&session, &shared.ways, file));
            (session, tried)
        }
        Begin::Takeover { left, .. } => {
            shared.ways.inherit(left);
            (takeover::session(requests, device, config)?, Ok(()))
        }
    };
    let available = wanted && passthrough.is_ok();
    shared.ways.set_passthrough(available);
    if let Some(estate) = estate {
        estate.set_passthrough(available);
    }

    let notifier = session.notifier();
    let (alive, ended) = bounded(0);
    let run = move || {
        let _alive = alive;
        session.run()
    };
    let thread = thread::Builder::new().name("walfs-fuse".to_owned()).spawn(run)?;
    Ok((Served { shared, notifier, thread: Some(thread), ended }, passthrough))
}

/// Agrees with the kernel on what the mount can do; whether passthrough is part of it.
pub(super) fn negotiate(config: &mut KernelConfig, passthrough: bool) -> io::Result<bool> {
    // Without the first, each write asks for an attribute: a quarter of the speed. O_TRUNC is not
    // asked for with open, so that a change of size always arrives as one. No writeback cache: it
    // excludes passthrough.
    for wanted in [
        InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        InitFlags::FUSE_PARALLEL_DIROPS,
        InitFlags::FUSE_ASYNC_DIO,
    ] {
        if config.add_capabilities(wanted).is_err() {
            tracing::debug!(?wanted, "the kernel lacks a capability");
        }
    }
    let too_much = |_| io::Error::from(io::ErrorKind::InvalidInput);
    config.set_max_write(WRITE_MAX).map_err(too_much)?;
    let available = passthrough && config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok();
    if available {
        config.set_max_stack_depth(STACK_DEPTH).map_err(too_much)?;
    }
    Ok(available)
}

/// The registration is not taken back: an empty file without a name stays open until the end.
fn try_passthrough(session: &impl AsFd, ways: &Ways, file: &OwnedFd) -> io::Result<()> {
    if !ways.passthrough() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel has no passthrough"));
    }
    BackingId::create_raw(session, file).map(|_| ())
}

impl Served {
    /// Whether I/O is done in the kernel where possible.
    pub(in crate::fuse) fn passthrough(&self) -> bool {
        self.shared.ways.passthrough()
    }

    pub(in crate::fuse) fn kernel(&self) -> Arc<dyn Kernel> {
        Arc::new(Telling { shared: Arc::clone(&self.shared), notifier: self.notifier.clone() })
    }

    pub(in crate::fuse) fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.shared.calls.so_far()
    }

    pub(in crate::fuse) fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Waits for the end, which somebody else must bring about, and says how it came.
    pub(in crate::fuse) fn join(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("a thread that served the mount panicked")))
    }
}

/// Tells the kernel of changes.
#[derive(Debug)]
struct Telling {
    shared: Arc<Shared>,
    notifier: Notifier,
}

impl Kernel for Telling {
    fn changed(&self, ino: Ino) {
        self.shared.ways.forgotten(ino);
        told(self.notifier.inval_inode(INodeNo(ino.0), 0, 0));
    }

    fn renamed(&self, parent: Ino, name: &OsStr) {
        told(self.notifier.inval_entry(INodeNo(parent.0), name));
    }
}

/// A kernel that does not listen has unmounted us: there is nothing left that could be stale.
fn told(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "the kernel could not be told of a change");
    }
}
