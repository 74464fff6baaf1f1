//! What the other cases stand on: a server alone does what they expect of it.

use std::time::Duration;

use crate::compare::{names, same, settle};
use crate::ground::wait_until;
use crate::load::{Load, Until};
use crate::server::Server;
use crate::world::World;

#[test]
fn a_server_starts_takes_rows_and_has_them_after_a_kill() {
    let Some(world) = World::new() else { return };
    let mut server = Server::primary(&world, "primary");
    server.start();
    let client = server.client();
    client.query("CREATE TABLE t (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL");
    client.query("INSERT INTO t VALUES (1000, 1)");
    client.write("t n=2i 2000000\n").expect("the server takes a row");
    server.kill();
    server.start();
    wait_until("both rows are applied", Duration::from_secs(20), || {
        client.number("SELECT count() FROM t") == 2
    });
    server.stop();
}

#[test]
fn the_load_breaks_no_server_that_never_heard_of_walfs() {
    let Some(world) = World::new() else { return };
    for seed in seeds(1) {
        let mut server = Server::primary(&world, &format!("primary-{seed}"));
        server.start();
        let client = server.client();
        let load = Load::start(client, seed, 3, Until::Steps(200));
        let report = load.finish();
        settle(client);
        println!("seed {seed}: {report:?}, {} tables", names(client).len());
        let idle: Vec<_> = report.iter().filter(|(_, (done, _))| *done == 0).collect();
        assert!(idle.is_empty(), "seed {seed}: steps that were never done: {idle:?}");
        same(client, client);
        server.stop();
    }
}

/// The seeds of a run: so many from 1, or the one that the environment names.
fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var_os("SEED").and_then(|seed| seed.to_str()?.parse().ok());
    given.map_or_else(|| (1..=count).collect(), |seed| vec![seed])
}
