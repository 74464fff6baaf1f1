//! The short form with another version of the server, and two ends that differ.

use crate::cases::follow::{rows, table};
use crate::compare::equal;
use crate::pair::{Primary, Replica, pair};
use crate::server::Server;
use crate::world::{NEWEST, OLDER, World, jar};

#[test]
fn an_older_version_is_replicated() {
    let Some(world) = World::with_server(OLDER) else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    for name in ["one", "two"] {
        table(source, name);
    }
    equal(source, target);
    source.query("ALTER TABLE one ADD COLUMN more VARCHAR");
    source.query("UPDATE one SET n = 5 WHERE tag IS NULL");
    source.query("TRUNCATE TABLE two");
    source.query("RENAME TABLE two TO three");
    rows(source, "three", 1_000);
    source.query(
        "CREATE MATERIALIZED VIEW hourly WITH BASE one AS
         (SELECT ts, count() c FROM one SAMPLE BY 1h) PARTITION BY DAY",
    );
    rows(source, "one", 1_000);
    equal(source, target);
    source.query("DROP TABLE three");
    equal(source, target);
}

#[test]
fn two_versions_at_two_ends_are_announced() {
    let Some(world) = World::with_server(OLDER) else { return };
    if !jar(NEWEST).exists() {
        return;
    }
    let primary = Primary::start(&world, "primary", "interval=0,node=primary");
    table(primary.client(), "one");
    let mut server = Server::replica(&world, "replica");
    server.use_program(&jar(NEWEST));
    server.start();
    let replica = Replica::of(&world, server, "node=replica");
    crate::ground::wait_until("the mismatch is told", std::time::Duration::from_secs(30), || {
        let told = replica.view.status().to_string() + &replica.view.said();
        told.contains(OLDER) && told.contains(NEWEST)
    });
}
