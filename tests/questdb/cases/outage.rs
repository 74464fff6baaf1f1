//! The store goes away and comes back.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::cases::follow::table;
use crate::compare::{equal, progress};
use crate::ground::wait_until;
use crate::ledger::Ledger;
use crate::load::{Load, Until};
use crate::pair::{Primary, Replica};
use crate::world::World;

fn away_for(seconds: u64) {
    let Some(world) = World::new() else { return };
    let mut primary = Primary::start(&world, "primary", "interval=0,node=primary");
    let mut replica = Replica::start(&world, "replica", "node=replica,store_timeout=5s");
    let (source, target) = (primary.client(), replica.client());
    table(source, "before");
    equal(source, target);

    let ledger = Ledger::start(source);
    let load = Load::start(source, 1, 1, Until::Stopped);
    let kept = world.path("store.kept");
    fs::rename(world.store(), &kept).expect("a directory can be moved");
    // A file in the directory's place: every request fails.
    fs::write(world.store(), "away").expect("it can be written");
    sleep(Duration::from_secs(seconds));
    assert!(primary.mount.number("/backlog_bytes") > 0, "the backlog tells what waits");
    assert_eq!(target.number("SELECT count() FROM before"), 100, "the replica answers");
    assert!(!primary.mount.word("/state").is_empty() && !replica.view.word("/state").is_empty());
    fs::remove_file(world.store()).expect("the stand-in can be removed");
    fs::rename(&kept, world.store()).expect("a directory can be moved back");

    let acknowledged = ledger.finish();
    load.stop();
    assert!(acknowledged.len() > 50, "ingest went on: {} rows", acknowledged.len());
    wait_until("the backlog is empty again", Duration::from_secs(60), || {
        primary.mount.number("/backlog_bytes") == 0
    });
    assert_eq!(primary.mount.word("/state"), "running");
    equal(source, target);
    let tables = progress(target).expect("the replica answers");
    assert!(tables.values().all(|table| !table.suspended));
    assert!(primary.server.is_running() && replica.server.is_running(), "nobody was restarted");
}

#[test]
fn a_store_away_for_some_seconds_is_noticed_by_no_database() {
    away_for(12);
}

#[test]
#[ignore = "takes minutes: an outage of one"]
fn a_store_away_for_a_minute_is_noticed_by_no_database() {
    away_for(60);
}
