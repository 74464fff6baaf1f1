//! A replica becomes the primary, cold, and the volume goes on with it.

use std::time::Duration;

use crate::cases::follow::{rows, table};
use crate::compare::{catch_up, equal, progress, same, settle};
use crate::ground::wait_until;
use crate::load::{Load, Until};
use crate::pair::{Primary, Replica};
use crate::world::World;

const VIEW: &str = "CREATE MATERIALIZED VIEW hourly WITH BASE one AS
    (SELECT ts, count() c FROM one SAMPLE BY 1h) PARTITION BY DAY";
const VIEW_STATUS: &str = "SELECT view_status FROM materialized_views() WHERE view_name = 'hourly'";

#[test]
fn a_replica_takes_over_and_another_follows_it() {
    let Some(world) = World::new() else { return };
    let old = Primary::start(&world, "old", "interval=0,node=old");
    let new = Replica::start(&world, "new", "node=new");
    let other = Replica::start(&world, "other", "node=other");
    let source = old.client();
    for name in ["one", "two"] {
        table(source, name);
        rows(source, name, 2_000);
    }
    source.query(VIEW);
    source.query("ALTER TABLE two ADD COLUMN more DOUBLE");
    catch_up(source, new.client());
    catch_up(source, other.client());
    let before = settle(source);

    let new = promoted(&world, new, "interval=0,node=new");
    let target = new.client();
    same(source, target);
    for name in ["one", "two"] {
        rows(target, name, 100);
    }
    target.query("ALTER TABLE one ADD COLUMN less INT");
    target.query("INSERT INTO one (ts, less) VALUES (1704067200000000, 1)");
    target.query("UPDATE two SET n = 8 WHERE tag IS NULL");
    table(target, "three");
    settle(target);
    let after = progress(target).expect("the new primary answers");
    for (name, steps) in [("one", 3), ("two", 2)] {
        let known = |of: &std::collections::BTreeMap<String, crate::compare::Progress>| {
            of.get(name).map(|table| table.known)
        };
        assert_eq!(known(&after), known(&before).map(|txn| txn + steps), "{name} goes on");
    }
    assert_eq!(target.value(VIEW_STATUS).as_deref(), Ok("valid"));

    // What the old one still writes goes nowhere, and it learns why.
    source.sql("INSERT INTO one (ts, n) VALUES (1704067200000001, 12345)").ok();
    wait_until("the old primary knows", Duration::from_secs(30), || {
        old.mount.word("/state") == "fenced"
    });
    let problem = old.mount.word("/problem");
    assert!(problem.contains("new"), "it says who replaced it: {problem}");

    let report = Load::start(target, 7, 2, Until::Steps(40)).finish();
    assert!(!report.is_empty());
    equal(target, other.client());
    let lost = other.client().sql("SELECT count() FROM one WHERE n = 12345");
    // The load may have renamed or dropped it.
    assert!(lost.is_err() || lost.is_ok_and(|rows| rows == [[serde_json::Value::from(0)]]));
}

#[test]
fn a_primary_killed_with_its_host_is_replaced() {
    let Some(world) = World::new() else { return };
    let mut old = Primary::start(&world, "old", "interval=50ms,node=old");
    let new = Replica::start(&world, "new", "node=new");
    let source = old.client();
    let load = Load::start(source, 3, 2, Until::Stopped);
    wait_until("the load has made tables", Duration::from_secs(60), || {
        progress(new.client()).is_ok_and(|tables| tables.len() > 5)
    });
    // In this order: a server whose mount is dead answers its clients with errors for a moment.
    old.server.kill();
    old.mount.kill();
    load.stop();
    old.mount.clear();

    let new = promoted(&world, new, "interval=0,node=new");
    settle(new.client());
    let report = Load::start(new.client(), 4, 2, Until::Steps(60)).finish();
    assert!(report.values().map(|(done, _)| done).sum::<u32>() > 50, "{report:?}");
    let fresh = Replica::start(&world, "fresh", "node=fresh");
    equal(new.client(), fresh.client());
}

/// The documented steps: the server stopped, its walfs unmounted, the mount as a primary over its
/// database, and the server started with a primary's settings.
fn promoted(world: &World, replica: Replica, options: &str) -> Primary {
    let Replica { mut server, mut view } = replica;
    server.stop();
    view.unmount();
    server.promote();
    Primary::over(world, server, &format!("takeover,{options}"))
}
