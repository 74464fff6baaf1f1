//! A database that was there before walfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cases::follow::{rows, table};
use crate::client::Client;
use crate::compare::{equal, settle};
use crate::ground::wait_until;
use crate::pair::{Primary, Replica};
use crate::server::Server;
use crate::world::World;

/// A server whose oldest WAL is gone: only its tables know what was in it.
fn with_a_past(world: &World) -> Server {
    let mut server = Server::primary(world, "primary");
    server.configure("cairo.wal.purge.interval=500\ncairo.wal.inactive.writer.ttl=500");
    server.configure("cairo.idle.check.interval=500\ncairo.wal.segment.rollover.row.count=10");
    server.start();
    let client = server.client();
    for name in ["one", "two"] {
        table(client, name);
        for _ in 0..10 {
            rows(client, name, 100);
        }
        client.query(&format!("ALTER TABLE {name} ADD COLUMN more DOUBLE"));
    }
    settle(client);
    wait_until("the server purges its WAL", Duration::from_secs(60), || {
        rows(client, "one", 20);
        rows(client, "two", 20);
        first_segments(&server.database()).iter().all(|segment| !segment.exists())
    });
    settle(client);
    server.stop();
    server
}

/// Where the first segment of each table was, whether it is there or not.
fn first_segments(database: &Path) -> Vec<PathBuf> {
    let tables = fs::read_dir(database).expect("a database can be listed").flatten();
    let tables = tables.map(|entry| entry.path()).filter(|table| table.join("txn_seq").exists());
    let segments: Vec<_> = tables.map(|table| table.join("wal1/0")).collect();
    assert_eq!(segments.len(), 2, "two tables: {segments:?}");
    segments
}

/// The documented steps: checkpoint, copy, release; the copy starts with a trigger file.
fn base_of(world: &World, primary: &Server, name: &str) -> Server {
    let client = primary.client();
    let mut server = Server::replica(world, name);
    client.query("CHECKPOINT CREATE");
    for directory in ["db", ".checkpoint"] {
        let (from, to) = (primary.root().join(directory), server.root());
        let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(copied.is_ok_and(|status| status.success()), "{directory} can be copied");
    }
    client.query("CHECKPOINT RELEASE");
    fs::write(server.root().join("_restore"), "").expect("a root is writable");
    server.start();
    server
}

fn write_more(client: Client) {
    for name in ["one", "two"] {
        rows(client, name, 500);
        client.query(&format!("ALTER TABLE {name} ADD COLUMN later INT"));
        client.query(&format!("UPDATE {name} SET later = 1 WHERE tag IS NULL"));
        rows(client, name, 500);
    }
    table(client, "three");
}

#[test]
fn a_replica_made_from_a_checkpoint_follows_live() {
    let Some(world) = World::new() else { return };
    let server = with_a_past(&world);
    let primary = Primary::over(&world, server, "interval=0,node=primary");
    let source = primary.client();
    rows(source, "one", 500);
    let base = base_of(&world, &primary.server, "replica");
    write_more(source);
    let replica = Replica::of(&world, base, "node=replica");
    equal(source, replica.client());
    rows(source, "two", 500);
    source.query("RENAME TABLE two TO zwei");
    equal(source, replica.client());
}

#[test]
fn a_replica_without_a_base_is_told_which_one_it_needs() {
    let Some(world) = World::new() else { return };
    let server = with_a_past(&world);
    let primary = Primary::over(&world, server, "interval=0,node=primary");
    let source = primary.client();
    write_more(source);
    settle(source);
    let replica = Replica::start(&world, "replica", "node=replica");
    // The table that is younger than the volume comes, the others are refused and named.
    let target = replica.client();
    wait_until("the new table arrives", Duration::from_secs(60), || {
        target
            .sql("SELECT count() FROM three")
            .is_ok_and(|rows| rows == [[serde_json::Value::from(100)]])
    });
    wait_until("the gap is told", Duration::from_secs(30), || {
        let told = replica.view.status().to_string();
        told.contains("one") && told.contains("two") && told.contains("base")
    });
    for name in ["one", "two"] {
        let shown = target.sql(&format!("SELECT count() FROM {name}"));
        assert!(shown.is_err() || shown.is_ok_and(|rows| rows == [[serde_json::Value::from(0)]]));
    }
}

#[test]
fn a_mount_over_a_database_moves_no_file_and_leaves_a_database() {
    let Some(world) = World::new() else { return };
    let server = with_a_past(&world);
    let mut primary = Primary::over(&world, server, "interval=0,node=primary");
    let count = primary.client().number("SELECT count() FROM one");
    assert!(count > 1_000);
    write_more(primary.client());
    settle(primary.client());
    primary.server.stop();
    primary.mount.unmount();
    primary.server.start();
    assert_eq!(primary.client().number("SELECT count() FROM one"), count + 1_000);
    primary.server.stop();
}
