//! A standby becomes the primary, and the volume goes on with it.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::{catch_up, equal, whole_history};
use crate::ground::wait_until;
use crate::load;
use crate::node::Node;
use crate::world::World;

#[test]
fn a_standby_takes_over_and_another_follows_its_timeline() {
    let Some(world) = World::new() else { return };
    let mut old = Cluster::create(&world, "old", &["--wal-segsize=1"]);
    let old_mount = Node::mount(&world, &old.wal(), "primary,layout=postgres,interval=0,node=old");
    old.start();
    load::prepare(&old);
    let mut new = old.base_backup(&world, "new");
    let mut other = old.base_backup(&world, "other");
    let mut new_mount = Node::mount(&world, &new.wal(), "replica,node=new");
    let _other_mount = Node::mount(&world, &other.wal(), "replica,node=other");
    new.start();
    other.start();
    load::bench(&old, 3);
    catch_up(&old, &new);

    assert!(new.stop());
    new_mount.unmount();
    new_mount.remount_as("primary,takeover,interval=0,node=new");
    new.start();
    assert_eq!(new.query("SELECT pg_promote()"), "t");
    new.query("INSERT INTO ledger VALUES (1)");

    // What the old one still writes goes nowhere, and it learns why.
    old.sql("INSERT INTO ledger VALUES (2)").ok();
    wait_until("the old primary knows", Duration::from_secs(20), || {
        old_mount.word("/state") == "fenced"
    });
    let problem = old_mount.word("/problem");
    assert!(problem.contains("new"), "it says who replaced it: {problem}");
    wait_until("the old primary refuses", Duration::from_secs(20), || {
        old.sql("INSERT INTO ledger SELECT max(n) + 1 FROM ledger").is_err()
    });

    load::bench(&new, 3);
    equal(&new, &other);
    assert_eq!(other.query("SELECT count(*) FROM ledger WHERE n = 1"), "1");
    assert_eq!(other.query("SELECT count(*) FROM ledger WHERE n = 2"), "0");
    whole_history(&world, &new);
}
