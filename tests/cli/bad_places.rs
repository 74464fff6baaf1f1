//! Places where no mount can be: one sentence says why, and nothing was harmed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::bed::{Bed, call, run, walfs, walfs_as_nobody};

#[test]
fn a_missing_directory_is_named() {
    let Some(bed) = Bed::for_mounts() else { return };
    call(&["mount", &bed.url(), &bed.text("none")]).failed(1, &["none", "no such directory"]);
    fs::write(bed.path("file"), "").unwrap();
    call(&["mount", &bed.url(), &bed.text("file")]).failed(1, &["not a directory"]);
}

#[test]
fn a_replica_of_nothing_is_refused() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.replica("").failed(1, &["no volume yet", "mount its primary first"]);
    assert!(!bed.path("store/volume").exists(), "looking makes nothing");
}

#[test]
fn a_directory_that_is_nobodys_must_be_told_its_layout() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("").failed(1, &["layout=postgres", "layout=generic"]);
    assert!(!bed.path("store/volume/volume").exists(), "no volume was made");
}

#[test]
fn a_directory_is_mounted_over_once() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    let pid = bed.pid("primary").to_string();
    let words = ["already a walfs mount", pid.as_str(), "unmount it first"];
    bed.primary("layout=generic").failed(1, &words);
    assert_eq!(bed.told("primary", "epoch"), "1", "the first one reigns on");
}

#[test]
fn who_may_not_mount_ends_nobodys_reign() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    for path in [bed.path(""), bed.path("store"), bed.path("replica")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let words = ["mount", "-f", &bed.url(), &bed.text("replica"), "-o", "primary,takeover"];
    let said = run(walfs_as_nobody().args(words));
    if said.err.is_empty() || said.err.contains("Permission denied (os error 13)") {
        println!("skipped: nobody cannot run programs from here");
        return;
    }
    said.failed(4, &["no permission", "root"]);
    let log = call(&["log", &bed.url()]).well();
    assert_eq!(log.matches("fence").count(), 1, "{log}");
}

#[test]
fn without_the_kernels_device_nothing_is_begun() {
    let Some(bed) = Bed::for_mounts() else { return };
    let script = format!(
        "mount -t tmpfs none /dev && exec {} mount -f {} {} -o primary,layout=generic",
        env!("CARGO_BIN_EXE_walfs"),
        bed.url(),
        bed.text("primary")
    );
    let said = run(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    said.failed(1, &["/dev/fuse is missing", "modprobe fuse"]);
    assert!(!bed.path("store/volume/volume").exists(), "no volume was made");
}

#[test]
fn a_volume_of_another_layout_or_of_a_newer_walfs_is_left_alone() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    call(&["umount", &bed.text("primary")]).well();
    bed.primary("layout=postgres").failed(1, &["layout=generic", "layout=postgres"]);
    bed.replica("layout=postgres").failed(1, &["layout=generic"]);

    let object = bed.path("store/volume/volume");
    let newer = fs::read_to_string(&object).unwrap().replace("\"format\": 1", "\"format\": 900");
    fs::write(&object, &newer).unwrap();
    bed.primary("").failed(1, &["900", "upgrade"]);
    call(&["status", &bed.url()]).failed(1, &["900", "upgrade"]);
    assert_eq!(fs::read_to_string(&object).unwrap(), newer);
    fs::write(&object, "garbage").unwrap();
    bed.replica("").failed(6, &["volume"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_as_primary() {
    let Some(bed) = Bed::for_mounts() else { return };
    let dir = bed.path("primary");
    on_small_disk(&dir);
    fill(&dir);
    bed.primary("layout=generic").failed(1, &["No space left", "make room"]);
    remount_read_only(&dir);
    bed.primary("layout=generic").failed(1, &["Read-only", "make it writable"]);
    assert_eq!(fs::metadata(dir.join("filler")).unwrap().len() % 4096, 0, "still there");
}

#[test]
fn a_dead_mount_is_replaced() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    kill(bed.pid("primary"));
    let dir = bed.text("primary");
    call(&["status", &dir]).failed(1, &["daemon is dead", "walfs umount"]);
    bed.primary("").well();
    assert_eq!(bed.told("primary", "epoch"), "2");
    kill(bed.pid("primary"));
    assert!(call(&["umount", &dir]).well().contains("daemon was dead"));
    call(&["umount", &dir]).failed(1, &["not mounted"]);
}

#[test]
fn another_node_is_not_primary_unless_it_takes_over() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic,node=alice").well();
    fs::create_dir(bed.path("rival")).unwrap();
    fs::write(bed.path("primary/a"), "alice's").unwrap();
    bed.wait("it is shipped", || call(&["cat", &bed.url(), "a"]).out == "alice's");
    let mount = |options: &str| {
        let log = format!("{options},node=bob,stop_timeout=2s,log_file={}", bed.text("rival.log"));
        run(walfs().args(["mount", &bed.url(), &bed.text("rival"), "-o", &log]))
    };
    mount("primary").failed(5, &["`alice`", "primary since", "takeover"]);
    mount("primary,takeover").well();
    assert_eq!(fs::read_to_string(bed.path("rival/a")).unwrap(), "alice's");
    fs::write(bed.path("primary/late"), "x").ok();
    bed.wait("the old primary knows", || bed.told("primary", "state") == "fenced");
    let problem = call(&["status", &bed.text("primary")]).well();
    assert!(problem.contains("bob"), "{problem}");
    fs::write(bed.path("primary/later"), "x").unwrap_err();
}

fn on_small_disk(dir: &Path) {
    let words = ["-t", "tmpfs", "-o", "size=64k", "none"];
    assert!(Command::new("mount").args(words).arg(dir).status().unwrap().success());
}

fn remount_read_only(dir: &Path) {
    let words = ["-o", "remount,ro"];
    assert!(Command::new("mount").args(words).arg(dir).status().unwrap().success());
}

fn fill(dir: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(dir.join("filler")).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

/// Kills a daemon, and waits until its worker is gone with it.
fn kill(pid: i32) {
    let workers = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    for pid in workers.split_whitespace().chain([pid.to_string().as_str()]) {
        while Path::new(&format!("/proc/{pid}/fd/0")).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
