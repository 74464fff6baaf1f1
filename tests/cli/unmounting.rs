//! What is said at the end of a mount.

use std::fs;

use crate::bed::{Bed, call};

#[test]
fn umount_ships_what_is_durable_and_says_up_to_where() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic,interval=1h").well();
    fs::write(bed.path("primary/a"), "last words").unwrap();
    let said = call(&["umount", &bed.text("primary")]).well();
    assert!(said.contains("everything is in the store, up to position 1-"), "{said}");
    assert_eq!(call(&["cat", &bed.url(), "a"]).well(), "last words");
}

#[test]
fn what_could_not_be_shipped_is_said_and_shipped_by_the_next_mount() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic,stop_timeout=1s").well();
    fs::rename(bed.path("store/volume"), bed.path("store/away")).unwrap();
    fs::write(bed.path("primary/a"), "waits").unwrap();
    let words = ["unmounted", "could not be shipped", "next mount as primary"];
    call(&["umount", &bed.text("primary")]).failed(1, &words);
    let log = fs::read_to_string(bed.path("primary.log")).unwrap();
    assert!(log.contains("could not be shipped"), "{log}");
    assert_eq!(fs::read_to_string(bed.path("primary/a")).unwrap(), "waits");

    fs::rename(bed.path("store/away"), bed.path("store/volume")).unwrap();
    bed.primary("").well();
    let url = bed.url();
    bed.wait("the next mount ships it", || call(&["cat", &url, "a"]).out == "waits");
}

#[test]
fn a_mount_in_use_stays() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    let open = fs::File::create(bed.path("primary/open")).unwrap();
    let dir = bed.text("primary");
    call(&["umount", &dir]).failed(1, &["in use", "stop the database"]);
    assert_eq!(bed.told("primary", "state"), "running");
    drop(open);
    call(&["umount", &dir]).well();
    call(&["umount", &dir]).failed(1, &["not mounted"]);
}

#[test]
fn a_replica_ends_without_words() {
    let Some(bed) = Bed::for_mounts() else { return };
    bed.primary("layout=generic").well();
    bed.replica("").well();
    assert_eq!(call(&["umount", &bed.text("replica")]).well(), "");
    assert!(!bed.path("replica/.walfs/report.json").exists());
}
