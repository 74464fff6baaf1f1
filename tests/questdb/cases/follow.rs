//! A replica follows, live, whatever the primary does to its tables.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::Client;
use crate::compare::{catch_up, equal, names, same, settle};
use crate::ground::{files_beneath, wait_until};
use crate::load::values::{EVERY_TYPE, random};
use crate::pair::{Primary, Replica, pair};
use crate::server::Server;
use crate::world::World;

/// A small table with some rows.
pub(super) fn table(client: Client, name: &str) {
    client.query(&format!(
        "CREATE TABLE '{name}' (ts TIMESTAMP, tag SYMBOL, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL"
    ));
    rows(client, name, 100);
}

/// So many rows more, in no order of time.
pub(super) fn rows(client: Client, name: &str, count: u32) {
    client.query(&format!(
        "INSERT INTO '{name}' (ts, tag, n) SELECT cast(1704067200000000 + rnd_long(0, 259200000000, 0) as \
         timestamp), rnd_symbol(20, 1, 4, 2), rnd_long() FROM long_sequence({count})"
    ));
}

#[test]
fn tables_are_followed_from_their_creation_to_their_end() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    for name in ["one", "two", "drei und vier", "пять"] {
        table(source, name);
    }
    equal(source, target);
    source.query("ALTER TABLE one ADD COLUMN more VARCHAR");
    source.query("INSERT INTO one (ts, more) VALUES (1704067200000000, 'with it')");
    source.query("ALTER TABLE two RENAME COLUMN n TO number");
    source.query("UPDATE two SET number = 7 WHERE tag IS NULL");
    source.query("TRUNCATE TABLE 'drei und vier'");
    equal(source, target);
    source.query("RENAME TABLE one TO first");
    source.query("INSERT INTO two (ts, number) VALUES (1704067200000002, 10)");
    source.query("INSERT INTO first (ts, more) VALUES (1704067200000001, 'under a new name')");
    equal(source, target);
    source.query("DROP TABLE two");
    settle(source);
    table(source, "two");
    source.query("RENAME TABLE 'drei und vier' TO one");
    rows(source, "one", 10);
    equal(source, target);
    source.query("DROP TABLE one");
    equal(source, target);
    assert_eq!(names(target).len(), 3);
    assert!(replica.server.is_running(), "the replica's server was never restarted");
}

#[test]
fn values_of_every_type_arrive() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    let column = |(at, kind): (usize, &&str)| format!("c{at} {kind}");
    let columns: Vec<String> = EVERY_TYPE.iter().enumerate().map(column).collect();
    for (table, time, scale) in [("micros", "TIMESTAMP", "1"), ("nanos", "TIMESTAMP_NS", "1000")] {
        source.query(&format!(
            "CREATE TABLE {table} (ts {time}, {}) TIMESTAMP(ts) PARTITION BY DAY WAL",
            columns.join(", ")
        ));
        let values: Vec<String> = EVERY_TYPE.iter().map(|kind| random(kind)).collect();
        for rows in [1, 1000, 20_000] {
            source.query(&format!(
                "INSERT INTO {table} SELECT cast((1704067200000000 + rnd_long(0, 259200000000, 0)) \
                 * {scale} as {time}), {} FROM long_sequence({rows})",
                values.join(", ")
            ));
        }
        source.query(&format!("INSERT INTO {table} (ts) VALUES ('2024-01-02T12:00:00Z')"));
    }
    equal(source, target);
    assert_eq!(target.number("SELECT count() FROM nanos"), 21_002);
}

#[test]
fn a_materialized_view_is_followed_with_its_base() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    table(source, "base");
    source.query(
        "CREATE MATERIALIZED VIEW hourly WITH BASE base AS
         (SELECT ts, tag, count() c, sum(n) total FROM base SAMPLE BY 1h) PARTITION BY DAY",
    );
    for _ in 0..5 {
        rows(source, "base", 200);
        equal(source, target);
    }
    assert!(target.number("SELECT count() FROM hourly") > 10, "the view has rows");
    let status = "SELECT view_status FROM materialized_views() WHERE view_name = 'hourly'";
    assert_eq!(target.value(status).as_deref(), Ok("valid"));
    source.query("DROP MATERIALIZED VIEW hourly");
    equal(source, target);
    assert_eq!(names(target), ["base"]);
}

#[test]
fn a_replica_that_comes_later_takes_in_the_whole_history() {
    let Some(world) = World::new() else { return };
    let primary = Primary::start(&world, "primary", "interval=100ms,node=primary");
    let source = primary.client();
    for name in ["one", "two"] {
        table(source, name);
        for _ in 0..20 {
            rows(source, name, 2_000);
        }
        source.query(&format!("ALTER TABLE {name} ADD COLUMN more DOUBLE"));
        source.query(&format!("RENAME TABLE {name} TO {name}_of_them"));
    }
    table(source, "gone");
    source.query("DROP TABLE gone");
    settle(source);
    let replica = Replica::start(&world, "replica", "node=replica");
    equal(source, replica.client());
    // And live from there on.
    table(source, "three");
    equal(source, replica.client());
}

#[test]
fn a_server_that_was_away_finds_at_its_start_what_was_shipped() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    let source = primary.client();
    table(source, "one");
    equal(source, replica.client());
    replica.server.stop();
    rows(source, "one", 5_000);
    source.query("ALTER TABLE one ADD COLUMN more DOUBLE");
    table(source, "two");
    settle(source);
    replica.server.start();
    equal(source, replica.client());

    // A server whose walfs was there first.
    let server = Server::replica(&world, "late");
    let mut late = Replica::of(&world, server, "node=late");
    rows(source, "two", 500);
    late.server.start();
    equal(source, late.client());
    same(replica.client(), late.client());
}

#[test]
fn a_table_dropped_while_a_replicas_walfs_was_away_is_dropped() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    let source = primary.client();
    for name in ["one", "two"] {
        table(source, name);
    }
    equal(source, replica.client());
    replica.view.kill();
    replica.view.clear();
    source.query("DROP TABLE one");
    // Until the volume has forgotten it.
    let directory = primary.server.database().join("one~3");
    wait_until("the server removes the table", Duration::from_secs(60), || !directory.exists());
    table(source, "one");
    settle(source);
    replica.view.remount();
    equal(source, replica.client());
}

#[test]
fn a_view_is_made_before_its_base_changes() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    let source = primary.client();
    for name in ["renamed", "altered", "dropped"] {
        table(source, name);
        rows(source, name, 100);
    }
    equal(source, replica.client());
    replica.view.kill();
    replica.view.clear();
    for name in ["renamed", "altered", "dropped"] {
        source.query(&format!(
            "CREATE MATERIALIZED VIEW view_of_{name} WITH BASE {name} AS
             (SELECT ts, count() c, sum(n) total FROM {name} SAMPLE BY 1h) PARTITION BY DAY"
        ));
    }
    settle(source);
    source.query("RENAME TABLE renamed TO other");
    source.query("ALTER TABLE altered DROP COLUMN n");
    source.query("DROP TABLE dropped");
    settle(source);
    replica.view.remount();
    equal(source, replica.client());
}

#[test]
fn a_view_whose_base_is_gone_is_there_at_the_servers_next_start() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    let source = primary.client();
    table(source, "other");
    equal(source, replica.client());
    replica.view.kill();
    replica.view.clear();
    table(source, "base");
    source.query(
        "CREATE MATERIALIZED VIEW late WITH BASE base AS
         (SELECT ts, count() c, sum(n) total FROM base SAMPLE BY 1h) PARTITION BY DAY",
    );
    settle(source);
    source.query("DROP TABLE base");
    wait_until("the server has removed its files", Duration::from_secs(60), || {
        directory_of(primary.server.database(), "base").is_none()
    });
    replica.view.remount();
    wait_until("it is told that the view waits", Duration::from_secs(60), || {
        replica.view.word("/delivery/problems/0/problem").contains("late cannot be made yet")
    });
    rows(source, "other", 10);
    wait_until("others go on", Duration::from_secs(60), || {
        replica.client().number("SELECT count() FROM other") == 110
    });
    replica.server.stop();
    wait_until("the view is made", Duration::from_secs(60), || {
        directory_of(replica.server.database(), "late").is_some()
    });
    replica.server.start();
    equal(source, replica.client());
}

/// The directory of a table, if there is one.
fn directory_of(database: PathBuf, table: &str) -> Option<PathBuf> {
    let names = fs::read_dir(database).expect("a database can be listed").flatten();
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let rest = name.and_then(|name| name.strip_prefix(table)?.strip_prefix('~'));
        rest.is_some_and(|id| id.parse::<u32>().is_ok()) && path.join("txn_seq/_txnlog").exists()
    };
    names.map(|entry| entry.path()).find(is_it)
}

#[test]
fn rows_that_come_into_a_segment_which_the_server_has_open_arrive() {
    let Some(world) = World::new() else { return };
    let mut server = Server::primary(&world, "primary");
    server.configure("cairo.wal.inactive.writer.ttl=600000");
    let primary = Primary::over(&world, server, "interval=0,node=primary");
    let mut replica = Replica::start(&world, "replica", "node=replica");
    let source = primary.client();
    table(source, "one");
    equal(source, replica.client());
    let mut while_away = |statements: &[&str]| {
        replica.view.kill();
        replica.view.clear();
        rows(source, "one", 10);
        for statement in statements {
            source.query(statement);
        }
        settle(source);
        replica.view.remount();
        equal(source, replica.client());
    };
    // Rows, and then a commit without rows in the same segment: the server leaves its files open.
    while_away(&["UPDATE one SET n = 1 WHERE tag IS NULL"]);
    // Rows once more, and then the writer goes on to another segment.
    while_away(&[
        "ALTER TABLE one ADD COLUMN more INT",
        "INSERT INTO one (ts, more) VALUES (1704067200000000, 1)",
    ]);
}

#[test]
fn the_view_shows_the_bytes_of_the_primary_and_takes_none() {
    let Some(world) = World::new() else { return };
    let (mut primary, replica) = pair(&world);
    let source = primary.client();
    table(source, "one");
    rows(source, "one", 3_000);
    catch_up(source, replica.client());
    // A stopped server has cut its files to what they hold.
    primary.server.stop();
    let shown = world.path("view-of-replica");
    let mut files = Vec::new();
    files_beneath(&shown, &mut files);
    let columns = files.iter().filter(|file| file.extension().is_some_and(|ends| ends == "d"));
    let mut compared = 0;
    for file in columns.filter(|file| file.to_string_lossy().contains("/wal")) {
        let path = file.strip_prefix(&shown).expect("it is beneath");
        let seen = fs::read(file).expect("a shown file can be read");
        let Ok(own) = fs::read(primary.server.database().join(path)) else { continue };
        assert!(own.starts_with(&seen) && !seen.is_empty(), "{}: other bytes", path.display());
        compared += 1;
    }
    assert!(compared >= 3, "{compared} files were compared");
    let refused = fs::write(shown.join("one~3/new"), "x").expect_err("the view is read-only");
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}
