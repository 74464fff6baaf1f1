//! A standby follows whatever the primary does to its WAL.

use std::fs;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::{self, catch_up, equal, segments, whole_history};
use crate::load::{self, Bench};
use crate::node::Node;
use crate::world::World;

#[test]
fn a_cluster_made_before_walfs_is_replicated_without_moving_a_file() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &[]);
    primary.start();
    load::prepare(&primary);
    load::bench(&primary, 2);
    assert!(primary.stop());

    let mut mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();
    load::bench(&primary, 4);
    equal(&primary, &standby);
    assert!(whole_history(&world, &primary) > 0);

    assert!(primary.stop());
    let with_walfs = segments(&primary.wal());
    mount.unmount();
    assert_eq!(segments(&primary.wal()), with_walfs, "the plain directory has every segment");
    primary.start();
    load::bench(&primary, 1);
    assert!(primary.stop());
}

#[test]
fn a_standby_follows_across_hundreds_of_small_segments() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 8MB\nmax_wal_size = 16MB\ncheckpoint_timeout = 30s");
    let mut mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let mut view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();

    write_megabytes(&primary, 120);
    primary.query("SELECT pg_switch_wal()");
    primary.query("CHECKPOINT");
    catch_up(&primary, &standby);
    standby.query("CHECKPOINT");

    // Either side may be restarted, and the other does not mind.
    assert!(primary.stop());
    mount.unmount();
    mount.remount();
    primary.start();
    let bench = Bench::start(&primary, 4);
    assert!(standby.stop());
    view.unmount();
    view.remount();
    standby.start();
    assert!(bench.finish(), "the primary met no error");

    write_megabytes(&primary, 60);
    equal(&primary, &standby);
    let count = whole_history(&world, &primary);
    assert!(count > 200, "{count} segments are not hundreds");
}

#[test]
#[ignore = "takes minutes: thousands of segments"]
fn a_standby_follows_across_thousands_of_segments() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 8MB\nmax_wal_size = 32MB\nfull_page_writes = on");
    let _mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=100ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica,cache_size=64M");
    standby.start();
    for _ in 0..20 {
        write_megabytes(&primary, 120);
        primary.query("CHECKPOINT");
        standby.query("CHECKPOINT");
    }
    compare::catch_up_within(&primary, &standby, Duration::from_secs(300));
    equal(&primary, &standby);
    let count = whole_history(&world, &primary);
    assert!(count > 2000, "{count} segments are not thousands");
}

#[test]
fn a_standby_follows_segments_of_sixteen_megabytes() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &[]);
    primary.configure("min_wal_size = 32MB\nmax_wal_size = 64MB\nwal_sync_method = open_datasync");
    let _mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=100ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();
    write_megabytes(&primary, 150);
    primary.query("SELECT pg_switch_wal()");
    load::bench(&primary, 2);
    equal(&primary, &standby);
    assert!(whole_history(&world, &primary) >= 8);
    let shown = segments(&standby.wal());
    let newest = shown.last().expect("the standby sees segments");
    let newest = fs::metadata(standby.wal().join(newest)).expect("a listed name has a size");
    assert_eq!(newest.len(), 16 << 20, "a segment has its whole size from the start");
}

/// Rows that do not compress away in the WAL, about so many megabytes of them.
fn write_megabytes(primary: &Cluster, megabytes: u32) {
    primary.query(&format!(
        "CREATE TABLE IF NOT EXISTS bulk (n bigint, words text);
         INSERT INTO bulk SELECT i, (SELECT string_agg(md5((i * 31 + j)::text), '')
             FROM generate_series(1, 30) j) FROM generate_series(1, {}) i",
        megabytes * 1000
    ));
}
