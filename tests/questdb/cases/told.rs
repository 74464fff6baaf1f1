//! What does not replicate, and what went wrong, is told by name.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::cases::follow::{rows, table};
use crate::compare::{equal, names, settle};
use crate::ground::wait_until;
use crate::node::Node;
use crate::pair::{Replica, pair};
use crate::pg::as_user;
use crate::server::AGENT;
use crate::world::World;

fn tells(node: &Node, words: &[&str]) {
    let what = format!("the status tells {words:?}");
    wait_until(&what, Duration::from_secs(30), || {
        let told = node.status().to_string();
        words.iter().all(|word| told.contains(word))
    });
}

#[test]
fn tables_without_a_wal_or_in_another_volume_are_listed_at_both_ends() {
    let Some(world) = World::new() else { return };
    let (mut primary, replica) = pair(&world);
    let elsewhere = world.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a temporary directory has room");
    primary.server.stop();
    primary.server.configure(&format!("cairo.volumes=there -> {}", elsewhere.display()));
    primary.server.start();
    let source = primary.client();
    let columns = "(ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY";
    source.query(&format!("CREATE TABLE plain {columns} BYPASS WAL"));
    source.query(&format!("CREATE TABLE far {columns} WAL IN VOLUME 'there'"));
    table(source, "one");
    let told = ["plain", "has no WAL", "far", "in another volume"];
    tells(&primary.mount, &told);
    tells(&replica.view, &told);
    source.query("DROP TABLE far");
    equal(source, replica.client());
    assert_eq!(names(replica.client()), ["one"]);
}

#[test]
fn an_attached_partition_is_told_at_both_ends_and_not_forgotten() {
    let Some(world) = World::new() else { return };
    let (mut primary, mut replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    table(source, "one");
    equal(source, target);
    source.query("ALTER TABLE one DETACH PARTITION LIST '2024-01-01'");
    settle(source);
    equal(source, target);
    let database = primary.server.database();
    let directory = fs::read_dir(&database).expect("a database can be listed").flatten();
    let directory = directory.map(|entry| entry.path()).find(|path| path.join("txn_seq").exists());
    let directory = directory.expect("the table has a directory");
    let (detached, attachable) = ("2024-01-01.detached", "2024-01-01.attachable");
    fs::rename(directory.join(detached), directory.join(attachable)).expect("it was detached");
    source.query("ALTER TABLE one ATTACH PARTITION LIST '2024-01-01'");
    let told = ["one~", "ATTACH PARTITION", "\"commit\":3"];
    tells(&primary.mount, &told);
    tells(&replica.view, &told);
    primary.lose_walfs();
    replica.lose_walfs();
    tells(&primary.mount, &told);
    tells(&replica.view, &told);
    primary.client().query("DROP TABLE one");
    wait_until("nothing is left to tell", Duration::from_secs(30), || {
        [&primary.mount, &replica.view].iter().all(|it| it.status()["left_out"] == json!([]))
    });
}

#[test]
fn a_replica_that_drifted_stops_with_its_table_alone() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    for name in ["one", "two"] {
        table(source, name);
    }
    equal(source, target);
    // The agent itself may write, and here somebody used its password.
    let drift = ["INSERT INTO one (ts, n) VALUES (1704067200000000, 666)"];
    let answers = as_user(target, AGENT, &drift).expect("the agent is let in");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    rows(source, "one", 10);
    rows(source, "two", 10);
    wait_until("the other table goes on", Duration::from_secs(30), || {
        target.number("SELECT count() FROM two") == 110
    });
    tells(&replica.view, &["somebody wrote into one~"]);
    // Whether the server applied what was written here depends on what it remembered of the table.
    let shown = target.number("SELECT count() FROM one");
    assert!(shown == 100 || shown == 101, "nothing is built upon the drift: {shown} rows");
}

#[test]
fn settings_that_break_replication_are_told_at_the_mount() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    for node in [&primary.mount, &replica.view] {
        assert_eq!(node.status()["warnings"], json!([]), "nothing is wrong with what is printed");
    }
    let Replica { mut server, view } = replica;
    drop(view);
    server.stop();
    server.configure("readonly=true\nmat.view.refresh.worker.count=1");
    server.start();
    let replica = Replica::of(&world, server, "node=replica");
    let words = ["write `readonly=false`", "write `mat.view.refresh.worker.count=0`"];
    tells(&replica.view, &words);
    let said = replica.view.said();
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn a_table_that_the_server_suspended_is_told_with_its_reason_and_waits_until_it_is_resumed() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    replica.server.stop();
    replica.server.configure("dev.mode.enabled=true");
    replica.server.start();
    let source = primary.client();
    for name in ["one", "two"] {
        table(source, name);
    }
    equal(source, replica.client());
    let say = |statement: &str| {
        let said = as_user(replica.client(), AGENT, &[statement]).expect("the agent may come in");
        said[0].as_ref().map(|_| ()).expect("it may say so");
    };
    say("ALTER TABLE one SUSPEND WAL WITH 24, 'a disk of the test is full'");
    for name in ["one", "two"] {
        rows(source, name, 10);
    }
    settle(source);
    tells(&replica.view, &["\"suspended\":[\"one\"]", "a disk of the test is full"]);
    let count = |name: &str| replica.client().number(&format!("SELECT count() FROM {name}"));
    wait_until("the other one goes on", Duration::from_secs(30), || count("two") == 110);
    assert_eq!(count("one"), 100, "what the server suspended is not resumed by walfs");
    say("ALTER TABLE one RESUME WAL");
    equal(source, replica.client());
    rows(source, "one", 10);
    equal(source, replica.client());
    wait_until("it is told no more", Duration::from_secs(30), || {
        !replica.view.status().to_string().contains("a disk of the test is full")
    });
}
