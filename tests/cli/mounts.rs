//! Mounts as people begin them: in the background, in the foreground, through mount(8).

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{Bed, call, walfs};

#[test]
fn a_mount_is_ready_when_the_command_returns() {
    let Some(bed) = Bed::for_mounts() else { return };
    assert_eq!(bed.primary("layout=generic").well(), "");
    assert_eq!(bed.told("primary", "role"), "primary");
    bed.replica("").well();
    assert_eq!(bed.told("replica", "role"), "replica");
    fs::write(bed.path("primary/a"), "hello").unwrap();
    let shown = || fs::read_to_string(bed.path("replica/a")).is_ok_and(|text| text == "hello");
    bed.wait("the replica shows the file", shown);
    let status = call(&["status", &bed.text("replica")]).well();
    assert!(status.contains("replica, running") && status.contains("layout generic"), "{status}");
    assert!(fs::read_dir(bed.path("replica")).unwrap().count() == 1, "`.walfs` is not listed");
}

#[test]
fn what_was_there_is_shipped_and_stays() {
    let Some(bed) = Bed::for_mounts() else { return };
    fs::write(bed.path("primary/old"), "from before").unwrap();
    bed.primary("layout=generic").well();
    let url = bed.url();
    bed.wait("it is shipped", || call(&["cat", &url, "old"]).out == "from before");
    call(&["umount", &bed.text("primary")]).well();
    assert_eq!(fs::read_to_string(bed.path("primary/old")).unwrap(), "from before");
}

#[test]
fn a_primary_clears_away_what_dead_writers_left_long_ago() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    fs::write(bed.path("primary/a"), "hello").unwrap();
    call(&["umount", &bed.text("primary")]).well();
    let epoch = bed.path("store/volume/log/0000000000000001");
    let (old, young) = (epoch.join("0000000000000007#1"), epoch.join("0000000000000007#2"));
    for (path, hours) in [(&old, 25), (&young, 23)] {
        let file = fs::File::create(path).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - Duration::from_secs(hours * 3600)).unwrap();
    }
    let said = bed.primary("");
    assert_eq!(said.code, Some(0), "{said:?}");
    // Until the mount is ready, what is to be logged is said to whoever waits.
    let told = || {
        let log = fs::read_to_string(bed.path("primary.log")).unwrap();
        [&log, &said.err].iter().any(|text| text.contains("dead writers left in the store count=1"))
    };
    bed.wait("it is told that one went", told);
    assert!(!old.exists());
    assert!(young.exists(), "its writer may only be slow");
    call(&["umount", &bed.text("primary")]).well();
}

#[test]
fn in_the_foreground_a_signal_unmounts_ships_and_ends() {
    let Some(bed) = Bed::for_mounts() else { return };
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut command = walfs();
        command.args(["mount", "-f", &bed.url(), &bed.text("primary")]);
        command.args(["-o", "primary,layout=generic,interval=1h"]).stderr(Stdio::piped());
        let mut daemon = command.spawn().unwrap();
        bed.wait("it is mounted", || bed.told("primary", "state") == "running");
        fs::write(bed.path("primary/last"), signal.as_str()).unwrap();
        kill(Pid::from_raw(daemon.id().try_into().unwrap()), signal).unwrap();
        assert!(daemon.wait().unwrap().success());
        assert_eq!(call(&["cat", &bed.url(), "last"]).well(), signal.as_str());
        call(&["umount", &bed.text("primary")]).failed(1, &["not mounted"]);
    }
}

#[test]
fn a_mount_that_is_not_there_yet_can_be_interrupted() {
    let Some(bed) = Bed::for_mounts() else { return };
    // Nobody answers there, which a mount bears for a while.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut command = walfs();
    command.args(["mount", "-f", "s3://bucket/pg", &bed.text("replica"), "-o"]);
    command
        .arg(format!("store.endpoint=http://{address},store.region=x,store.skip_signature=true"));
    let mut daemon = command.spawn().unwrap();
    silent.accept().unwrap();
    kill(Pid::from_raw(daemon.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(130));
}

#[test]
fn the_background_holds_nobodys_pipe() {
    let Some(bed) = Bed::for_mounts() else { return };
    // `output` returns when the last writer of its pipes is gone.
    let mut command = walfs();
    command.args(["mount", &bed.url(), &bed.text("primary"), "-o", "primary,layout=generic"]);
    let output = command.arg("-o").arg(format!("log_file={}", bed.text("primary.log"))).output();
    assert!(output.unwrap().status.success());
    let pid = bed.pid("primary");
    let link = |fd: &str| fs::read_link(format!("/proc/{pid}/{fd}")).unwrap();
    assert_eq!(link("fd/0"), std::path::Path::new("/dev/null"));
    assert_eq!(link("fd/1"), std::path::Path::new("/dev/null"));
    assert_eq!(link("fd/2"), bed.path("primary.log"));
    assert_eq!(link("cwd"), std::path::Path::new("/"));
}

#[test]
fn a_read_only_replica_refuses_every_change() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    bed.replica("ro,defaults,_netdev,nofail,x-systemd.requires=a.mount").well();
    fs::write(bed.path("replica/x"), "x").unwrap_err();
}

#[test]
fn the_helper_is_what_mount_calls() {
    let Some(bed) = Bed::for_mounts() else { return };
    let helper = std::path::Path::new(env!("CARGO_BIN_EXE_walfs")).with_file_name("mount-walfs");
    if !helper.exists() {
        println!("skipped: the helper is not built; cargo test --workspace builds it");
        return;
    }
    let log = format!("rw,primary,layout=generic,_netdev,log_file={}", bed.text("primary.log"));
    let mut mount = Command::new(&helper);
    mount.args([&bed.url(), &bed.text("primary"), "-n", "-o", &log, "-t", "walfs"]);
    assert!(mount.output().unwrap().status.success());
    assert_eq!(bed.told("primary", "role"), "primary");
    // Under this name it is umount(8)'s.
    let other = bed.path("umount.fuse.walfs");
    fs::copy(&helper, &other).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_walfs"), bed.path("walfs")).unwrap();
    let output = Command::new(&other).args([&bed.text("primary"), "-t", "fuse.walfs"]).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains("everything is in the store"), "{said}");
}
