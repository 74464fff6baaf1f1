//! The short form of the main job with the servers of every supported version.

use crate::cluster::Cluster;
use crate::compare::{catch_up, same_rows};
use crate::load;
use crate::node::Node;
use crate::world::World;

fn short_form(version: u32) {
    let Some(world) = World::with_server(version) else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    let mut mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    assert!(primary.stop());
    let mut standby = primary.copy(&world, "standby");
    primary.start();
    let mut view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();
    load::bench(&primary, 2);
    primary.query("SELECT pg_switch_wal()");
    primary.query("CHECKPOINT");
    load::bench(&primary, 1);
    catch_up(&primary, &standby);
    standby.query("CHECKPOINT");
    same_rows(&primary, &standby);

    // The primary retires, the standby takes its place.
    assert!(primary.stop());
    mount.unmount();
    assert!(standby.stop());
    view.unmount();
    view.remount_as("primary,takeover,interval=0");
    standby.start();
    assert_eq!(standby.query("SELECT pg_promote()"), "t");
    load::bench(&standby, 1);
    assert!(standby.stop());
}

#[test]
fn postgresql_13_is_replicated() {
    short_form(13);
}

#[test]
fn postgresql_14_is_replicated() {
    short_form(14);
}

#[test]
fn postgresql_15_is_replicated() {
    short_form(15);
}

#[test]
fn postgresql_16_is_replicated() {
    short_form(16);
}

#[test]
fn postgresql_17_is_replicated() {
    short_form(17);
}

#[test]
fn postgresql_18_is_replicated() {
    short_form(18);
}
