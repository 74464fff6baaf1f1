//! The daemon is killed at any moment, on either side, and in sync mode the host with it.

use std::thread::sleep;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::{catch_up_within, equal, whole_history};
use crate::load::{self, Bench, Ledger, ledger_of};
use crate::node::Node;
use crate::world::World;

/// Moments that fit no rhythm of the daemon's.
fn odd_moment(round: u64) -> Duration {
    Duration::from_millis(50 + round * 397 % 900)
}

#[test]
fn a_primary_killed_twenty_times_loses_nothing_acknowledged() {
    kill_the_primary("fdatasync");
}

#[test]
fn so_does_one_whose_writes_the_daemon_never_sees() {
    kill_the_primary("open_datasync");
}

fn kill_the_primary(method: &str) {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    primary.configure(&format!("wal_sync_method = {method}"));
    let mut mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=50ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();

    let ledger = Ledger::start(&primary, 3);
    for round in 0..20 {
        let bench = Bench::start(&primary, 60);
        sleep(odd_moment(round));
        mount.kill();
        primary.crash();
        drop(bench);
        mount.clear();
        mount.remount();
        primary.start();
    }
    let acknowledged = ledger.finish();
    let kept = ledger_of(&primary);
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(acknowledged.len() > 100, "the ledger was busy: {}", acknowledged.len());
    assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
    catch_up_within(&primary, &standby, Duration::from_secs(60));
    equal(&primary, &standby);
    whole_history(&world, &primary);
}

#[test]
fn forty_workers_killed_under_load_fail_no_transaction() {
    workers_killed("interval=50ms", 40);
}

#[test]
fn nor_where_each_commit_waits_for_the_store() {
    workers_killed("sync", 10);
}

/// PostgreSQL runs through: no transaction fails, no backend ends.
fn workers_killed(options: &str, kills: u64) {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    let options = format!("primary,layout=postgres,{options}");
    let mount = Node::mount(&world, &primary.wal(), &options);
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();

    let began = primary.query("SELECT pg_postmaster_start_time()");
    let ledger = Ledger::start(&primary, 3);
    let bench = Bench::start(&primary, 30);
    for round in 0..kills {
        sleep(odd_moment(round) / 2);
        mount.kill_worker();
    }
    assert!(bench.finish(), "a client of pgbench met an error");
    let acknowledged = ledger.finish();
    let kept = ledger_of(&primary);
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(acknowledged.len() > 100, "the ledger was busy: {}", acknowledged.len());
    assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
    let runs = primary.query("SELECT pg_postmaster_start_time()");
    assert_eq!(runs, began, "the server never restarted");
    catch_up_within(&primary, &standby, Duration::from_secs(60));
    equal(&primary, &standby);
    whole_history(&world, &primary);
}

#[test]
fn a_replica_killed_again_and_again_just_goes_on() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    let _mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let mut view = Node::mount(&world, &standby.wal(), "replica,cache_size=16M");
    standby.start();
    let bench = Bench::start(&primary, 20);
    for round in 0..20 {
        sleep(odd_moment(round));
        view.kill();
        standby.crash();
        view.clear();
        view.remount();
        standby.start();
    }
    assert!(bench.finish(), "the primary met no error");
    equal(&primary, &standby);
}

#[test]
fn in_sync_mode_a_lost_host_loses_nothing_acknowledged() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    let mut mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,sync");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let ledger = Ledger::start(&primary, 3);
    sleep(Duration::from_secs(3));
    // The host is gone: nobody ships what is left on its disk.
    mount.kill();
    primary.crash();
    let acknowledged = ledger.finish();
    mount.clear();

    let mut view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();
    standby.stop();
    view.unmount();
    view.remount_as("primary,takeover,interval=0");
    standby.start();
    standby.query("SELECT pg_promote()");
    let kept = ledger_of(&standby);
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(acknowledged.len() > 20, "the ledger was busy: {}", acknowledged.len());
    assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
}
