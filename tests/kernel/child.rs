//! What a test must do in another process: die with a mount, map a file that this process serves
//! (one process cannot wait for itself while it holds its own memory map).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use memmap2::MmapMut;
use rustix::fs::FlockOperation;
use walfs::fuse::mount::Passthrough;

use crate::world::mount;

const TASK: &str = "WALFS_TEST_TASK";
const PATH: &str = "WALFS_TEST_PATH";

/// Runs [`child`] in a process of its own.
pub(crate) fn run(task: &str, path: &Path) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "child::child", "--ignored", "--quiet", "--nocapture"]);
    command.env(TASK, task).env(PATH, path).status().expect("a process")
}

#[test]
#[ignore = "the other half of other tests"]
#[expect(
    clippy::disallowed_methods,
    reason = "its arguments: the test harness takes the usual ones"
)]
fn child() {
    let path = PathBuf::from(std::env::var(PATH).expect("a path"));
    match std::env::var(TASK).expect("a task").as_str() {
        "die" => die(&path),
        "map" => map(&path),
        "lock" => lock(&path).expect("the lock is free"),
        "find locked" => assert_eq!(lock(&path), Err(rustix::io::Errno::AGAIN)),
        task => panic!("no task {task}"),
    }
}

fn die(path: &Path) {
    let (_mounted, _mirror) = mount(path, Passthrough::Off);
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .expect("a death");
}

#[expect(unsafe_code, reason = "nobody else changes the file")]
fn map(path: &Path) {
    let file = File::options().read(true).write(true).open(path).expect("open");
    // SAFETY: the file is not cut while it is mapped.
    let mut mapped = unsafe { MmapMut::map_mut(&file) }.expect("map");
    assert!(mapped.starts_with(b"before"));
    mapped[..6].copy_from_slice(b"after!");
    mapped[8192..8196].copy_from_slice(b"tail");
    mapped.flush().expect("msync");
}

fn lock(path: &Path) -> rustix::io::Result<()> {
    let file = File::options().read(true).write(true).open(path).expect("open");
    rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)
}
