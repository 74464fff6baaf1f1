//! The store goes away and comes back.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::{equal, whole_history};
use crate::ground::wait_until;
use crate::load::{self, Bench};
use crate::node::Node;
use crate::server::{Act, Server};
use crate::world::World;

#[test]
fn a_store_away_for_a_minute_is_noticed_by_no_database() {
    let Some(world) = World::new() else { return };
    // A file in the directory's place: every request fails.
    away_and_back(&world, 60, |world| fs::write(world.store(), "away").expect("it can be written"));
}

#[test]
fn a_store_directory_that_is_not_there_is_away_and_not_empty() {
    let Some(world) = World::new() else { return };
    away_and_back(&world, 8, |_| {});
}

#[test]
fn an_empty_directory_in_the_stores_place_is_not_the_store() {
    let Some(world) = World::new() else { return };
    // What an unmounted network share leaves behind.
    away_and_back(&world, 8, |world| {
        fs::create_dir_all(world.store().join("pg")).expect("it can be made");
    });
}

#[test]
fn a_store_that_misbehaves_neither_loses_nor_doubles_anything() {
    let Some(mut world) = World::new() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let server = runtime.block_on(Server::start());
    world.url = "s3://bucket/pg".to_owned();
    world.environment = vec![
        ("AWS_ENDPOINT", server.endpoint()),
        ("AWS_SKIP_SIGNATURE", "true".to_owned()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
    ];
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    let mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=20ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica,poll=20ms");
    standby.start();

    let late = Act::Later(Duration::from_millis(400));
    let puts = [Act::DoneBut(500), Act::DoneBut(412), Act::DoneAndGone, Act::Not(503), Act::Well];
    let more = [Act::Not(409), Act::Gone, late, Act::Not(500), Act::DoneBut(503), Act::Well];
    let gets = [Act::Well, Act::Not(500), Act::HalfThenGone, Act::Well, Act::Gone, Act::Well];
    let lies = [Act::HalfAsWhole, Act::BitFlipped, Act::Well, Act::Not(503), late, Act::Well];
    for _ in 0..6 {
        server.script_puts(&[&puts[..], &more[..]].concat());
        server.script_gets(&[&gets[..], &lies[..]].concat());
    }
    let bench = Bench::start(&primary, 15);
    assert!(bench.finish(), "the primary met no error");
    wait_until("the backlog is empty again", Duration::from_secs(120), || {
        mount.number("/backlog_bytes") == 0
    });
    assert_eq!(mount.word("/state"), "running");
    equal(&primary, &standby);
    whole_history(&world, &primary);
}

fn away_and_back(world: &World, seconds: u64, stand_in: fn(&World)) {
    let mut primary = Cluster::create(world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    let mount = Node::mount(world, &primary.wal(), "primary,layout=postgres,interval=0,node=p");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(world, "standby");
    let _view = Node::mount(world, &standby.wal(), "replica,store_timeout=5s");
    standby.start();

    let bench = Bench::start(&primary, u32::try_from(seconds).expect("seconds are few") + 6);
    sleep(Duration::from_secs(2));
    let kept = world.path("store.kept");
    fs::rename(world.store(), &kept).expect("a directory can be moved");
    stand_in(world);
    sleep(Duration::from_secs(seconds));
    assert!(mount.number("/backlog_bytes") > 0, "the backlog tells what waits");
    assert!(standby.sql("SELECT count(*) FROM ledger").is_ok(), "the standby answers");
    take_away(world);
    fs::rename(&kept, world.store()).expect("a directory can be moved back");
    assert!(bench.finish(), "the primary met no error");

    wait_until("the backlog is empty again", Duration::from_secs(60), || {
        mount.number("/backlog_bytes") == 0
    });
    assert_eq!(mount.word("/state"), "running");
    equal(&primary, &standby);
    whole_history(world, &primary);
}

fn take_away(world: &World) {
    let store = world.store();
    if store.is_dir() {
        let mut left = Vec::new();
        crate::ground::files_beneath(&store, &mut left);
        fs::remove_dir_all(&store).expect("the stand-in can be removed");
        assert!(left.is_empty(), "something was written into the stand-in: {left:?}");
    } else if store.exists() {
        fs::remove_file(&store).expect("the stand-in can be removed");
    }
}

#[test]
fn an_unmount_without_the_store_says_what_it_could_not_ship() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    let mut mount =
        Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0,stop_timeout=3s");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let kept = world.path("store.kept");
    fs::rename(world.store(), &kept).expect("a directory can be moved");
    fs::write(world.store(), "away").expect("it can be written");
    load::bench(&primary, 2);
    assert!(primary.stop());
    mount.unmount();
    let said = mount.said();
    assert!(said.contains("not shipped") || said.contains("backlog"), "its last words:\n{said}");

    fs::remove_file(world.store()).expect("the stand-in can be removed");
    fs::rename(&kept, world.store()).expect("a directory can be moved back");
    mount.remount();
    primary.start();
    let _view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();
    equal(&primary, &standby);
}
