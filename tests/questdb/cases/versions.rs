//! The short form with another version of the server, and two ends that differ.

use std::process::Command;
use std::time::Duration;

use crate::cases::follow::{rows, table};
use crate::compare::equal;
use crate::ground::wait_until;
use crate::node::WALFS;
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
    wait_until("both ends know the version", Duration::from_secs(30), || {
        let known = |at| replica.view.status().pointer(at).is_some_and(|it| it == OLDER);
        primary.mount.status()["server_version"] == OLDER
            && known("/delivery/version")
            && known("/delivery/primary_version")
    });
    assert!(replica.view.status()["problem"].is_null(), "nothing is wrong with equal ones");
}

#[test]
fn two_versions_at_two_ends_are_announced() {
    let Some(world) = World::with_server(OLDER) else { return };
    if !jar(NEWEST).exists() {
        return;
    }
    let mut primary = Primary::start(&world, "primary", "interval=0,node=primary");
    table(primary.client(), "one");
    let mut server = Server::replica(&world, "replica");
    server.use_program(&jar(NEWEST));
    server.start();
    let replica = Replica::of(&world, server, "node=replica");
    let is_told = |told: &str| told.contains(OLDER) && told.contains(NEWEST);
    wait_until("the mismatch is told", Duration::from_secs(30), || {
        let told = replica.view.status()["problem"].to_string();
        is_told(&told) && is_told(&replica.view.said())
    });
    assert!(is_told(&words(&world)), "{}", words(&world));
    // The primary gets the version of the replica: the volume hears of it, and all is well.
    primary.server.stop();
    primary.server.use_program(&jar(NEWEST));
    primary.server.start();
    wait_until("the mismatch is gone", Duration::from_secs(30), || {
        replica.view.status()["problem"].is_null()
    });
    equal(primary.client(), replica.client());
}

/// What an operator reads about the replica.
fn words(world: &World) -> String {
    let view = world.path("view-of-replica");
    let told = Command::new(WALFS).arg("status").arg(view).output();
    let told = told.expect("walfs can be started");
    String::from_utf8_lossy(&told.stdout).into_owned()
}
