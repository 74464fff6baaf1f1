//! Mounting over a directory, and leaving it as it was.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use walfs::fuse::mirror::{Mirror, TTL_ALONE};
use walfs::fuse::mount::{Error, MountPoint, Passthrough, Settings};

use crate::child;
use crate::world::{World, has_fuse, mount, settings};

#[test]
fn unmounting_leaves_a_plain_directory_with_every_byte() {
    if !has_fuse() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("old"), b"from before").unwrap();
    let (mut mounted, _) = mount(directory.path(), Passthrough::On);
    assert_eq!(std::fs::read(directory.path().join("old")).unwrap(), b"from before");
    std::fs::write(directory.path().join("new"), b"from within").unwrap();
    mounted.unmount().unwrap();
    mounted.unmount().expect("twice is harmless");
    assert_eq!(std::fs::read(directory.path().join("old")).unwrap(), b"from before");
    assert_eq!(std::fs::read(directory.path().join("new")).unwrap(), b"from within");
    assert!(!directory.path().join(".walfs").exists());
}

#[test]
fn a_directory_in_use_is_not_unmounted() {
    if !has_fuse() {
        return;
    }
    let mut world = World::new(Passthrough::On);
    let mut file = world.file("a", b"x");
    assert!(matches!(world.mounted.unmount(), Err(Error::InUse(_))));
    file.write_all(b"still here").unwrap();
    drop(file);
    world.mounted.unmount().unwrap();
}

#[test]
fn a_mount_that_somebody_else_unmounts_ends() {
    if !has_fuse() {
        return;
    }
    let mut world = World::new(Passthrough::On);
    let ended = world.mounted.ended().unwrap().clone();
    assert!(ended.recv_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    rustix::mount::unmount(world.path(""), rustix::mount::UnmountFlags::DETACH).unwrap();
    let error = ended.recv_timeout(Duration::from_secs(10)).unwrap_err();
    assert!(error.is_disconnected());
    world.mounted.join().unwrap();
}

#[test]
fn a_directory_is_mounted_over_once() {
    if !has_fuse() {
        return;
    }
    let world = World::new(Passthrough::On);
    let error = MountPoint::open(&world.path("")).unwrap_err();
    let Error::AlreadyMounted { pid, ref source_url, .. } = error else { panic!("{error}") };
    assert_eq!((pid, source_url.as_str()), (Some(std::process::id()), "memory://test"));
    assert!(error.to_string().ends_with("; unmount it first"), "{error}");
}

#[test]
fn the_mount_of_a_dead_daemon_is_replaced() {
    if !has_fuse() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), b"kept").unwrap();
    assert!(!child::run("die", directory.path()).success());
    let dead = File::open(directory.path().join("a")).unwrap_err();
    assert_eq!(dead.raw_os_error(), Some(libc::ENOTCONN));
    let (mut mounted, _) = mount(directory.path(), Passthrough::On);
    assert_eq!(std::fs::read(directory.path().join("a")).unwrap(), b"kept");
    mounted.unmount().unwrap();
    assert_eq!(std::fs::read(directory.path().join("a")).unwrap(), b"kept");
}

#[test]
fn what_is_no_directory_is_not_mounted_over() {
    let missing = MountPoint::open(Path::new("/nowhere/at/all")).unwrap_err();
    assert!(matches!(missing, Error::NoDirectory(_)), "{missing}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = MountPoint::open(file.path()).unwrap_err();
    assert!(matches!(error, Error::NotDirectory(_)), "{error}");
}

#[test]
fn the_source_and_type_stand_in_the_table_of_mounts() {
    if !has_fuse() {
        return;
    }
    let world = World::new(Passthrough::Off);
    let found = walfs::mounts::at(world.mounted.path()).unwrap().unwrap();
    assert_eq!((found.kind.as_str(), found.source.as_str()), ("fuse.walfs", "memory://test"));
}

#[test]
fn a_mount_that_is_only_to_be_read_refuses_changes() {
    if !has_fuse() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), b"kept").unwrap();
    let point = MountPoint::open(directory.path()).unwrap();
    let mirror = Mirror::new(Arc::clone(point.directory()), TTL_ALONE).unwrap();
    let settings = Settings { read_only: true, ..settings(Passthrough::Auto) };
    let _mounted = point.mount(Arc::new(mirror), &settings).unwrap();
    assert_eq!(std::fs::read(directory.path().join("a")).unwrap(), b"kept");
    let refused = std::fs::write(directory.path().join("a"), b"gone").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
}
