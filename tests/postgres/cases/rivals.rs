//! Two daemons want to be primary of one volume.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::{equal, whole_history};
use crate::ground::wait_until;
use crate::load;
use crate::node::Node;
use crate::world::World;

#[test]
fn a_second_primary_is_refused_and_told_who_is() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    let rival = primary.copy(&world, "rival");
    let first = Node::mount(&world, &primary.wal(), "primary,layout=postgres,node=first");
    primary.start();
    load::prepare(&primary);

    let refused = Node::try_mount(&world, &rival.wal(), "primary,node=second");
    let words = refused.expect_err("one volume has one primary");
    assert!(words.contains("first"), "it says who is primary: {words}");
    assert!(words.contains("exit status: 5"), "its exit code says so too: {words}");
    load::bench(&primary, 1);
    assert_eq!(first.word("/state"), "running", "nothing happened to the first");
}

#[test]
fn of_two_primaries_one_publishes_and_the_other_is_read_only() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    let mut rival = primary.copy(&world, "rival");
    std::fs::remove_file(rival.data().join("standby.signal")).expect("the copy was a standby");
    // The rival has the same log up to here, as after a restored backup.
    let copied =
        std::process::Command::new("cp").arg("-a").args([primary.wal(), rival.data()]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let first =
        Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0,node=first");
    let second = Node::mount(&world, &rival.wal(), "primary,takeover,interval=0,node=second");
    rival.start();
    load::prepare(&rival);
    let mut standby = rival.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();

    // The first one's server runs on until its mount has noticed.
    primary.launch();
    wait_until("the first knows", Duration::from_secs(20), || first.word("/state") == "fenced");
    let problem = first.word("/problem");
    assert!(problem.contains("second"), "it says who replaced it: {problem}");
    let write = std::fs::write(primary.wal().join("000000010000000000000099"), "x");
    let errno = write.expect_err("the mount is read-only").raw_os_error();
    assert_eq!(errno, Some(libc::EROFS));

    load::bench(&rival, 2);
    assert_eq!(second.word("/state"), "running");
    equal(&rival, &standby);
    whole_history(&world, &rival);
}
