//! The same primary and standby over a real server, where `WALFS_CONTRACT_URL` names one
//! (`scripts/test-stores` starts them one after the other).

#![expect(clippy::disallowed_methods, reason = "the environment tells which server there is")]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cluster::Cluster;
use crate::compare::{equal, whole_history};
use crate::ground::wait_until;
use crate::load::{self, Bench};
use crate::node::Node;
use crate::world::World;

/// A world whose volume is at the server that this variable names, at a place of its own.
fn at_server(variable: &str) -> Option<World> {
    let Ok(url) = std::env::var(variable) else {
        writeln!(io::stderr(), "skipped: {variable} names no server").ok();
        return None;
    };
    let mut world = World::new()?;
    world.url = beneath(&url);
    Some(world)
}

fn beneath(url: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    format!("{url}/pg-{}?{query}", now.as_millis())
}

#[test]
fn a_standby_follows_and_takes_over_on_a_real_server() {
    let Some(world) = at_server("WALFS_CONTRACT_URL") else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 16MB");
    let mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=20ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let mut view = Node::mount(&world, &standby.wal(), "replica,poll=20ms");
    standby.start();
    let bench = Bench::start(&primary, 8);
    assert!(bench.finish(), "the primary met no error");
    equal(&primary, &standby);
    assert!(whole_history(&world, &primary) > 1);

    assert!(standby.stop());
    view.unmount();
    view.remount_as("primary,takeover,interval=20ms");
    standby.start();
    standby.query("SELECT pg_promote()");
    load::bench(&standby, 2);
    wait_until("the old primary finds out", Duration::from_secs(60), || {
        primary.sql("INSERT INTO pgbench_history(tid) VALUES (0)").ok();
        mount.word("/state") == "fenced"
    });
}

#[test]
fn a_replica_works_with_credentials_that_cannot_write() {
    let Some(mut world) = at_server("WALFS_CONTRACT_URL") else { return };
    let Ok(reader) = std::env::var("WALFS_CONTRACT_READER") else {
        writeln!(io::stderr(), "skipped: this server has no readers that cannot write").ok();
        return;
    };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    let _mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=20ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    write!(world.url, "&{reader}").expect("memory takes it");
    let refused = world.path("nobody");
    fs::create_dir(&refused).expect("a directory can be made");
    let error = Node::try_mount(&world, &refused, "primary,takeover").expect_err("it cannot write");
    assert!(error.contains("refuses"), "{error}");
    let view = Node::mount(&world, &standby.wal(), "replica,poll=20ms");
    standby.start();
    load::bench(&primary, 3);
    equal(&primary, &standby);
    assert_eq!(view.word("/state"), "running");
}

#[test]
fn a_primary_whose_keys_are_revoked_and_restored_goes_on() {
    let (Ok(id), Ok(secret)) =
        (std::env::var("AWS_ACCESS_KEY_ID"), std::env::var("AWS_SECRET_ACCESS_KEY"))
    else {
        writeln!(io::stderr(), "skipped: there is no server with keys of this kind").ok();
        return;
    };
    let Some(mut world) = at_server("WALFS_CONTRACT_URL") else { return };
    let file = world.path("keys");
    let write = |secret: &str| {
        let text = format!("[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n");
        fs::write(&file, text).expect("a file can be written");
    };
    write(&secret);
    let readers = world.url.clone();
    world.url = format!("{readers}&credentials_file={}", file.display());
    shut_out_and_let_in(&world, || write("another"), |()| write(&secret));
}

/// A primary may not write for a while: it says so, and goes on by itself when it may again.
fn shut_out_and_let_in<T>(world: &World, take: impl FnOnce() -> T, give: impl FnOnce(T)) {
    let mut primary = Cluster::create(world, "primary", &["--wal-segsize=1"]);
    let mount = Node::mount(world, &primary.wal(), "primary,layout=postgres,interval=20ms");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(world, "standby");
    let _view = Node::mount(world, &standby.wal(), "replica,poll=20ms");
    standby.start();

    let taken = take();
    load::bench(&primary, 2);
    wait_until("it says so", Duration::from_secs(60), || mount.word("/state") == "store-away");
    give(taken);
    wait_until("all is shipped", Duration::from_secs(120), || {
        mount.word("/state") == "running" && mount.number("/backlog_bytes") == 0
    });
    equal(&primary, &standby);
}

/// Nobody may write. Dropped, also by a test that fails, all may again who could before.
struct Taken;

impl Taken {
    fn take() -> Self {
        rights("take");
        Self
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        rights("give");
    }
}

fn rights(verb: &str) {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/servers/rights");
    let done = Command::new(program).arg(verb).status().expect("the script can be started");
    assert!(done.success(), "{verb}");
}

#[test]
fn a_primary_whose_rights_are_taken_and_given_back_goes_on() {
    let Some(mut world) = at_server("WALFS_CONTRACT_URL") else { return };
    if std::env::var_os("WALFS_CONTRACT_RIGHTS").is_none() {
        writeln!(io::stderr(), "skipped: this server takes no rights away").ok();
        return;
    }
    let writer = std::env::var("WALFS_CONTRACT_WRITER").expect("who writes is told, too");
    write!(world.url, "&{writer}").expect("memory takes it");
    shut_out_and_let_in(&world, Taken::take, drop);
}

#[test]
#[ignore = "takes ten minutes"]
fn a_store_that_loses_answers_for_ten_minutes_deposes_nobody() {
    let Some(mut world) = World::new() else { return };
    let store = world.store();
    let faults = "put=5ms,40ms&get=1ms,5ms&error=0.05&lose=0.05&seed=7";
    world.url = format!("sim+file://{}/pg?{faults}", store.display());
    let mut primary = Cluster::create(&world, "primary", &[]);
    let mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let _view = Node::mount(&world, &standby.wal(), "replica,poll=20ms");
    standby.start();
    for _ in 0..10 {
        load::bench(&primary, 60);
        assert_eq!(mount.word("/state"), "running");
    }
    equal(&primary, &standby);
    assert!(mount.number("/requests/error") > 100);
}
