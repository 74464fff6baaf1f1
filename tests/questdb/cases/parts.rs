//! Logs that a primary keeps in parts (`cairo.default.sequencer.part.txn.count`).

use crate::cases::follow::{rows, table};
use crate::client::Client;
use crate::compare::{equal, settle};
use crate::node::Node;
use crate::pair::{Primary, Replica};
use crate::server::Server;
use crate::world::World;

/// Fewer than any table here has commits.
const PART: &str = "cairo.default.sequencer.part.txn.count=4";

fn primary(world: &World) -> Primary {
    let mut server = Server::primary(world, "primary");
    server.configure(PART);
    server.configure("cairo.wal.purge.interval=500");
    Primary::over(world, server, "interval=0,node=primary")
}

/// Tables with one, several and many parts, one of them full to its end.
fn tables(client: Client) {
    for (name, commits) in [("few", 0), ("full", 7), ("many", 30)] {
        table(client, name);
        for _ in 0..commits {
            rows(client, name, 10);
        }
    }
}

fn changes(client: Client) {
    client.query("ALTER TABLE many ADD COLUMN more VARCHAR");
    client.query("UPDATE many SET more = 'x' WHERE tag IS NULL");
    client.query("ALTER TABLE full RENAME COLUMN n TO number");
    client.query("RENAME TABLE few TO fewer");
    for _ in 0..9 {
        rows(client, "fewer", 10);
        rows(client, "many", 10);
    }
}

#[test]
fn logs_in_parts_are_followed_live_and_by_one_who_comes_later() {
    let Some(world) = World::new() else { return };
    let mut primary = primary(&world);
    let source = primary.client();
    let mut replica = Replica::start(&world, "replica", "node=replica");
    tables(source);
    equal(source, replica.client());
    changes(source);
    equal(source, replica.client());
    replica.lose_walfs();
    primary.lose_walfs();
    for _ in 0..9 {
        rows(source, "many", 10);
    }
    source.query("DROP TABLE full");
    settle(source);
    table(source, "full");
    equal(source, replica.client());
    replica.server.kill();
    replica.server.start();
    rows(source, "fewer", 10);
    equal(source, replica.client());
    let later = Replica::start(&world, "later", "node=later");
    equal(source, later.client());
}

#[test]
fn a_replica_takes_over_logs_in_parts() {
    let Some(world) = World::new() else { return };
    let mut primary = primary(&world);
    let source = primary.client();
    let Replica { mut server, view } = Replica::start(&world, "replica", "node=replica");
    tables(source);
    changes(source);
    equal(source, server.client());
    let second = Replica::start(&world, "second", "node=second");
    primary.server.stop();
    server.stop();
    drop(view);
    server.promote();
    server.configure(PART);
    let options = "primary,layout=questdb,takeover,interval=0,node=replica";
    let mount = Node::mount(&world, &server.database(), options);
    server.start();
    let promoted = server.client();
    for _ in 0..9 {
        rows(promoted, "many", 10);
        rows(promoted, "fewer", 10);
    }
    promoted.query("ALTER TABLE many ADD COLUMN later INT");
    rows(promoted, "many", 10);
    equal(promoted, second.client());
    server.stop();
    drop(mount);
}
