//! Owners, permissions and locks: as on the directory beneath.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use rustix::fs::{FlockOperation, Mode};

use crate::child;
use crate::world::{World, both};

const SOMEBODY: u32 = 12345;
const THEIR_GROUP: u32 = 23456;

/// Runs a shell's command in the mount as somebody else.
fn as_somebody(world: &World, command: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir("/").env("M", world.path(""));
    shell.uid(SOMEBODY).gid(THEIR_GROUP).output().expect("a shell")
}

/// Where others may go.
fn open_to_all(world: &World, mode: u32) {
    std::fs::set_permissions(world.path(""), PermissionsExt::from_mode(mode)).unwrap();
}

fn owner(world: &World, name: &str) -> (u32, u32, u32) {
    let found = world.path(name).symlink_metadata().unwrap();
    let beneath = world.beneath(name).symlink_metadata().unwrap();
    assert_eq!((found.uid(), found.mode()), (beneath.uid(), beneath.mode()));
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

#[test]
fn what_somebody_makes_is_theirs() {
    both(|world| {
        open_to_all(world, 0o777);
        let command = "umask 027; cd $M && echo hi > f && mkdir d && ln -s f s && mkfifo p && \
            echo more >> d/g && umask 0 && echo > wide";
        let output = as_somebody(world, command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(owner(world, "f"), (SOMEBODY, THEIR_GROUP, 0o640));
        assert_eq!(owner(world, "d"), (SOMEBODY, THEIR_GROUP, 0o750));
        assert_eq!(owner(world, "d/g"), (SOMEBODY, THEIR_GROUP, 0o640));
        assert_eq!(owner(world, "p"), (SOMEBODY, THEIR_GROUP, 0o640));
        assert_eq!(owner(world, "wide"), (SOMEBODY, THEIR_GROUP, 0o666));
        assert_eq!(owner(world, "s").0, SOMEBODY);
    });
}

#[test]
fn a_setgid_directory_gives_its_group() {
    both(|world| {
        std::os::unix::fs::chown(world.path(""), None, Some(77)).unwrap();
        open_to_all(world, 0o2777);
        assert!(as_somebody(world, "umask 022; cd $M && echo > f && mkdir d").status.success());
        assert_eq!(owner(world, "f"), (SOMEBODY, 77, 0o644));
        assert_eq!(owner(world, "d"), (SOMEBODY, 77, 0o2755));
    });
}

#[test]
fn permissions_are_checked() {
    both(|world| {
        open_to_all(world, 0o755);
        drop(world.file("secret", b"x"));
        std::fs::set_permissions(world.path("secret"), PermissionsExt::from_mode(0o600)).unwrap();
        drop(world.file("public", b"x"));
        assert!(!as_somebody(world, "cat $M/secret").status.success());
        assert!(!as_somebody(world, "echo > $M/new").status.success());
        assert!(!as_somebody(world, "rm -f $M/public").status.success());
        assert!(!as_somebody(world, "chmod 777 $M/public").status.success());
        assert!(as_somebody(world, "cat $M/public").status.success());
    });
}

#[test]
fn whoever_writes_to_a_program_takes_its_rights_away() {
    both(|world| {
        open_to_all(world, 0o755);
        for command in ["echo >> $M/program", ": > $M/program"] {
            drop(world.file("program", b"x"));
            std::fs::set_permissions(world.path("program"), PermissionsExt::from_mode(0o4777))
                .unwrap();
            assert!(as_somebody(world, command).status.success());
            assert_eq!(owner(world, "program").2, 0o777, "after {command}");
        }
    });
}

#[test]
fn locks_keep_others_out() {
    both(|world| {
        let file = world.file("a", b"x");
        let other = File::open(world.path("a")).unwrap();
        rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
        let refused = rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(refused, Err(rustix::io::Errno::WOULDBLOCK));
        rustix::fs::flock(&file, FlockOperation::Unlock).unwrap();
        rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();

        rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
        assert!(child::run("find locked", &world.path("a")).success());
        rustix::fs::fcntl_lock(&file, FlockOperation::Unlock).unwrap();
        assert!(child::run("lock", &world.path("a")).success());
    });
}

#[test]
fn permissions_and_owners_change() {
    both(|world| {
        let file = world.file("a", b"x");
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o640)).unwrap();
        std::os::unix::fs::fchown(&file, Some(3), Some(4)).unwrap();
        assert_eq!(owner(world, "a"), (3, 4, 0o640));
    });
}
