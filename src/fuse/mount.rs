//! Mounts over an existing directory, and unmounts. The directory is opened first: through that
//! descriptor the files beneath stay reachable. Knows nothing of what is shown.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::adapter::{Begin, Served, serve};
use super::estate::Kept;
use super::filesystem::{FileSystem, Kernel};
use super::hidden;
use super::privileges::{may_mount, raise_open_files_limit};
use super::status::{FILE, Status};
use crate::mounts::{self, TYPE};

const DEVICE: &str = "/dev/fuse";

/// Dead mounts of ours that are taken off one directory before giving up.
const DEAD_MAX: usize = 16;

/// Whether the kernel does the I/O of files by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passthrough {
    /// If it can; says so once if it cannot.
    #[default]
    Auto,
    /// Yes, or do not mount.
    On,
    /// No.
    Off,
}

/// How to mount.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What `mount` and `df` show as the source: the volume's URL, without secrets.
    pub source: String,
    /// Let the kernel refuse every change.
    pub read_only: bool,
    /// Whether the kernel does the I/O of files by itself.
    pub passthrough: Passthrough,
    /// A file of which the kernel refuses that is not opened, rather than served by the daemon.
    pub insists: bool,
}

/// Why something could not be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fix the path.
    #[error("{}: no such directory; create it first, owned by the database's user", .0.display())]
    NoDirectory(PathBuf),
    /// Fix the path.
    #[error("{}: not a directory; walfs mounts over a directory", .0.display())]
    NotDirectory(PathBuf),
    /// Another daemon serves this directory.
    #[error("{}: already a walfs mount of {source_url}{}; unmount it first", point.display(), by(*.pid))]
    AlreadyMounted {
        /// Where.
        point: PathBuf,
        /// Of what.
        source_url: String,
        /// By whom, if it says so.
        pid: Option<u32>,
    },
    /// Something else is dead there.
    #[error("{}: a dead mount of type {kind} is in the way; unmount it with: umount -l {}", point.display(), point.display())]
    DeadMount {
        /// Where.
        point: PathBuf,
        /// Of what type.
        kind: String,
    },
    /// The kernel has no FUSE, or hides it.
    #[error(
        "/dev/fuse is missing; load the kernel module with: modprobe fuse, or start the container with: --device /dev/fuse"
    )]
    NoDevice,
    /// Not privileged.
    #[error("{}: no permission to mount; walfs mounts as root (in a container: with CAP_SYS_ADMIN)", .0.display())]
    NoPermission(PathBuf),
    /// `passthrough=on` cannot be had.
    #[error(
        "passthrough is not to be had: {0}; it needs linux 6.9 or newer and CAP_SYS_ADMIN; mount with passthrough=auto to do without"
    )]
    NoPassthrough(io::Error),
    /// Files are open there.
    #[error("{}: files are in use there; stop the database first, or unmount with: umount -l {}", .0.display(), .0.display())]
    InUse(PathBuf),
    /// Something else.
    #[error("{}: cannot {doing}: {error}", point.display())]
    Io {
        /// Where.
        point: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// How it failed.
        #[source]
        error: io::Error,
    },
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
}

/// A directory that is about to be mounted over.
#[derive(Debug)]
pub struct MountPoint {
    path: PathBuf,
    directory: Arc<OwnedFd>,
    device: OwnedFd,
    /// What is kept of the mount for another worker, if there may be one.
    kept: Option<Kept>,
}

impl MountPoint {
    /// What a supervisor opened, as a worker of its has it: the path from the root on, the
    /// directory beneath, and the device. If there was a worker before, it is mounted already, and
    /// nothing may be asked of that path until it is served.
    pub fn handed(path: PathBuf, directory: OwnedFd, device: OwnedFd, kept: Kept) -> Self {
        Self { path, directory: Arc::new(directory), device, kept: Some(kept) }
    }

    /// Opens the directory and the kernel's device. Takes a dead mount of ours off the directory,
    /// and refuses a living one. Whoever may not mount learns it here, before anything was done.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let path = absolute(path)?;
        for _ in 0..DEAD_MAX {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            match rustix::fs::open(&path, flags, Mode::empty()) {
                Ok(directory) => {
                    refuse_living(&path)?;
                    let device = open_device(&path)?;
                    return Ok(Self { path, directory: Arc::new(directory), device, kept: None });
                }
                Err(rustix::io::Errno::NOTCONN | rustix::io::Errno::CONNABORTED) => {
                    take_off_dead(&path)?;
                }
                Err(rustix::io::Errno::NOENT) => return Err(Error::NoDirectory(path)),
                Err(rustix::io::Errno::NOTDIR) => return Err(Error::NotDirectory(path)),
                Err(error) => return Err(failed(&path, "open the directory", error.into())),
            }
        }
        Err(Error::DeadMount { point: path, kind: TYPE.to_owned() })
    }

    /// The absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, as it is beneath the mount.
    pub fn directory(&self) -> &Arc<OwnedFd> {
        &self.directory
    }

    /// The kernel's device.
    pub fn device(&self) -> &OwnedFd {
        &self.device
    }

    /// Mounts, and serves the mount with this filesystem until it is unmounted. Takes it over where
    /// a worker before has mounted.
    pub fn mount(
        self,
        filesystem: Arc<dyn FileSystem>,
        settings: &Settings,
    ) -> Result<Mounted, Error> {
        raise_open_files_limit();
        if let Some(kept) = self.kept.clone().filter(|kept| kept.estate.before() > 0) {
            let begin = Begin::Takeover { estate: kept.estate, left: &kept.left };
            let mut mounted = Mounted { path: self.path, attached: true, served: None };
            let served = serve(self.device, filesystem, &begin, settings.insists);
            let served = served.map_err(|error| failed(&mounted.path, "take over", error));
            // What another can still take over is left as it is.
            let (served, _) = served.inspect_err(|_| mounted.attached = false)?;
            mounted.served = Some(served);
            return Ok(mounted);
        }
        let probe = match settings.passthrough {
            Passthrough::Off => None,
            Passthrough::Auto | Passthrough::On => Some(nameless(&self.directory)),
        };
        let probe = probe.transpose().map_err(|error| self.failed("make a file", error))?;
        self.attach(settings)?;
        // From here on, dropping it unmounts.
        let mut mounted = Mounted { path: self.path.clone(), attached: true, served: None };
        let estate = self.kept.as_ref().map(|kept| Arc::clone(&kept.estate));
        let begin = Begin::Anew { probe: probe.as_ref(), estate };
        let served = serve(self.device, filesystem, &begin, settings.insists);
        let (served, passthrough) = served.map_err(|error| failed(&self.path, "serve", error))?;
        mounted.served = Some(served);
        match (passthrough, settings.passthrough) {
            (Err(error), Passthrough::On) => return Err(Error::NoPassthrough(error)),
            (Err(error), _) => tracing::warn!(
                %error, "passthrough is not to be had: files are read and written through the daemon"
            ),
            (Ok(()), _) => {}
        }
        Ok(mounted)
    }

    fn attach(&self, settings: &Settings) -> Result<(), Error> {
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
            self.device.as_raw_fd()
        );
        let options = CString::new(options).unwrap_or_default();
        let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
        if settings.read_only {
            flags |= MountFlags::RDONLY;
        }
        // By its descriptor: over that very directory, wherever its name leads by now.
        let point = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        let mounted =
            rustix::mount::mount(&*settings.source, point, TYPE, flags, options.as_c_str());
        mounted.map_err(|error| match error {
            rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => {
                Error::NoPermission(self.path.clone())
            }
            rustix::io::Errno::NODEV => Error::NoDevice,
            error => self.failed("mount", error.into()),
        })
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> Error {
        failed(&self.path, doing, error)
    }
}

/// A mount of ours. Dropped, it is detached: new names no longer lead to it, open files live on
/// until they are closed or this process ends.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
    /// By us, and not unmounted by us.
    attached: bool,
    served: Option<Served>,
}

impl Mounted {
    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the kernel does the I/O of files by itself where the filesystem lets it.
    pub fn passthrough(&self) -> bool {
        self.served.as_ref().is_some_and(Served::passthrough)
    }

    /// How to tell the kernel of changes.
    pub fn kernel(&self) -> Option<Arc<dyn Kernel>> {
        self.served.as_ref().map(Served::kernel)
    }

    /// How often the kernel asked what, so far.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.served.as_ref().map(Served::calls).unwrap_or_default()
    }

    /// Never receives anything. Disconnected when the mount has ended, whoever unmounted it.
    pub fn ended(&self) -> Option<&Receiver<()>> {
        self.served.as_ref().map(Served::ended)
    }

    /// Unmounts if no file is in use, and waits until the last request was answered.
    pub fn unmount(&mut self) -> Result<(), Error> {
        if !self.is_attached() {
            return self.join();
        }
        match rustix::mount::unmount(&self.path, UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(rustix::io::Errno::BUSY) => return Err(Error::InUse(self.path.clone())),
            Err(_) if !self.is_attached() => {}
            Err(error) => return Err(failed(&self.path, "unmount", error.into())),
        }
        self.attached = false;
        self.join()
    }

    /// Whether it is still there, for all we know: others may unmount it too.
    fn is_attached(&self) -> bool {
        let alive = |ended: &Receiver<()>| ended.try_recv() == Err(TryRecvError::Empty);
        self.attached && self.ended().is_none_or(alive)
    }

    /// Waits until somebody unmounts it.
    pub fn join(&mut self) -> Result<(), Error> {
        let Some(served) = self.served.as_mut() else { return Ok(()) };
        let joined = served.join();
        self.attached = false;
        joined.map_err(|error| failed(&self.path, "serve", error))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_attached() {
            let detached = rustix::mount::unmount(&self.path, UnmountFlags::DETACH);
            if let Err(error) = detached {
                tracing::warn!(path = %self.path.display(), %error, "cannot detach the mount; umount -l it");
            }
        }
    }
}

/// The path from the root, without links in it. The last component may be a dead mount.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NoDirectory(path.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Error::NotDirectory(path.to_owned()))
        }
        Err(error) => {
            let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
            let named = parent.zip(path.file_name()).map(|(parent, name)| parent.join(name));
            named.ok_or_else(|| failed(path, "find the directory", error))
        }
    }
}

fn refuse_living(path: &Path) -> Result<(), Error> {
    let mounted = mounts::at(path).map_err(|error| failed(path, "read the mounts", error))?;
    let Some(mount) = mounted.filter(mounts::Mount::is_walfs) else { return Ok(()) };
    let status = std::fs::read(path.join(hidden::NAME).join(FILE)).ok();
    let status = status.and_then(|text| serde_json::from_slice::<Status>(&text).ok());
    let (point, pid) = (path.to_owned(), status.map(|status| status.pid));
    Err(Error::AlreadyMounted { point, source_url: mount.source, pid })
}

fn take_off_dead(path: &Path) -> Result<(), Error> {
    let mounted = mounts::at(path).map_err(|error| failed(path, "read the mounts", error))?;
    let kind = mounted.map(|mount| mount.kind).unwrap_or_default();
    if kind != TYPE {
        return Err(Error::DeadMount { point: path.to_owned(), kind });
    }
    tracing::warn!(path = %path.display(), "the daemon of an earlier mount died: its mount is detached and replaced");
    rustix::mount::unmount(path, UnmountFlags::DETACH)
        .map_err(|error| failed(path, "detach the dead mount", error.into()))
}

fn open_device(path: &Path) -> Result<OwnedFd, Error> {
    if !may_mount() {
        return Err(Error::NoPermission(path.to_owned()));
    }
    let device = File::options().read(true).write(true).open(DEVICE);
    device.map(OwnedFd::from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NoDevice,
        io::ErrorKind::PermissionDenied => Error::NoPermission(path.to_owned()),
        _ if error.raw_os_error() == Some(libc::ENODEV) => Error::NoDevice,
        _ => failed(path, "open /dev/fuse", error),
    })
}

/// A file on the directory's filesystem, or in memory where that has no nameless files.
fn nameless(directory: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(directory, ".", flags, Mode::RUSR)
        .or_else(|_| rustix::fs::memfd_create("walfs", MemfdFlags::CLOEXEC))
        .map_err(io::Error::from)
}

fn failed(point: &Path, doing: &'static str, error: io::Error) -> Error {
    Error::Io { point: point.to_owned(), doing, error }
}
