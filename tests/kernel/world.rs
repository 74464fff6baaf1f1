//! A mounted temporary directory that goes away with its test, also with one that fails.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use walfs::fuse::filesystem::FileSystem;
use walfs::fuse::hidden::Hidden;
use walfs::fuse::mirror::{Mirror, TTL_ALONE};
use walfs::fuse::mount::{MountPoint, Mounted, Passthrough, Settings};
use walfs::fuse::status::Status;

pub(crate) struct World {
    // In the order of their end.
    pub(crate) mounted: Mounted,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) fn new(passthrough: Passthrough) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mounted, mirror) = mount(directory.path(), passthrough);
        Self { mounted, mirror, directory }
    }

    /// A path in the mount.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same path beneath the mount.
    pub(crate) fn beneath(&self, name: &str) -> PathBuf {
        let directory = self.mirror.directory().as_raw_fd();
        Path::new(&format!("/proc/self/fd/{directory}")).join(name)
    }

    /// A file in the mount with this content, open for reading and writing.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> File {
        std::fs::write(self.path(name), content).expect("write a file");
        File::options().read(true).write(true).open(self.path(name)).expect("open it")
    }

    /// How often the kernel asked this.
    pub(crate) fn calls(&self, name: &str) -> u64 {
        self.mounted.calls()[name]
    }
}

pub(crate) fn settings(passthrough: Passthrough) -> Settings {
    Settings { source: "memory://test".to_owned(), read_only: false, passthrough, insists: false }
}

pub(crate) fn mount(directory: &Path, passthrough: Passthrough) -> (Mounted, Arc<Mirror>) {
    let point = MountPoint::open(directory).expect("a directory to mount over");
    let mirror = Mirror::new(Arc::clone(point.directory()), TTL_ALONE).expect("a mirror");
    let mirror = Arc::new(mirror);
    let status =
        Status { role: "primary".to_owned(), pid: std::process::id(), ..Status::default() };
    let files = move || status.files();
    let beneath: Arc<dyn FileSystem> = Arc::<Mirror>::clone(&mirror);
    let hidden = Hidden::new(beneath, Arc::new(files));
    let mounted = point.mount(Arc::new(hidden), &settings(passthrough)).expect("a mount");
    assert_eq!(mounted.passthrough(), passthrough == Passthrough::On);
    (mounted, mirror)
}

pub(crate) fn has_fuse() -> bool {
    let has = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !has {
        eprintln!("skipped: this test needs /dev/fuse and root");
    }
    has
}

/// Does it with passthrough, and without.
pub(crate) fn both(test: impl Fn(&World)) {
    if !has_fuse() {
        return;
    }
    for passthrough in [Passthrough::On, Passthrough::Off] {
        eprintln!("with passthrough {passthrough:?}");
        test(&World::new(passthrough));
    }
}
