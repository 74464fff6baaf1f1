//! mount(8) and fstab, in a mount namespace of their own.

use std::path::Path;
use std::process::Command;

use crate::node::WALFS;
use crate::world::World;

/// mount(8) looks for helpers in /sbin only: an overlay puts ours there, for this namespace alone.
const SCRIPT: &str = r#"
set -eu
place=$1 url=$2 programs=$3
mount --make-rprivate /
mount -t tmpfs none "$place/overlay"
mkdir -p "$place/overlay/upper" "$place/overlay/work"
cp "$programs/walfs" "$place/overlay/upper/"
cp "$programs/mount-walfs" "$place/overlay/upper/mount.walfs"
sbin=$(readlink -f /sbin)
mount -t overlay none -o "lowerdir=$sbin,upperdir=$place/overlay/upper,workdir=$place/overlay/work" "$sbin"
echo "$url $place/wal walfs primary,layout=generic,interval=0,_netdev,nofail,x-systemd.automount 0 0" >"$place/fstab"
mount -T "$place/fstab" "$place/wal"
findmnt -n -o FSTYPE "$place/wal"
grep -o '"role": *"primary"' "$place/wal/.walfs/status.json"
echo first >"$place/wal/a.log"
umount "$place/wal"
cat "$place/wal/a.log"
mount -t walfs "$url" "$place/view" -o ro
cat "$place/view/a.log"
umount "$place/view"
"#;

#[test]
fn an_fstab_line_mounts_and_umount_unmounts() {
    let Some(world) = World::new() else { return };
    let programs = Path::new(WALFS).parent().expect("a program is in a directory");
    assert!(programs.join("mount-walfs").exists(), "cargo build --workspace makes the helper");
    for directory in ["overlay", "wal", "view"] {
        std::fs::create_dir(world.path(directory)).expect("a temporary directory has room");
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", SCRIPT, "sh"]).arg(world.path(""));
    let output = command.arg(&world.url).arg(programs).output().expect("unshare can be started");
    let words = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n{errors}");
    let lines: Vec<&str> = words.lines().collect();
    let [kind, role, plain, shown] = lines.as_slice() else { panic!("{words}\n{errors}") };
    assert!(kind.contains("walfs"), "mount(8) shows the type: {kind}");
    assert!(role.contains("primary"));
    assert_eq!((*plain, *shown), ("first", "first"));
}
