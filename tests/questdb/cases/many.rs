//! Many tables cost no more requests than one, and many replicas cost the primary nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cases::follow::{rows, table};
use crate::compare::{catch_up_within, equal, names, same};
use crate::pair::{Primary, Replica, pair};
use crate::server::Server;
use crate::world::World;

/// A thousand tables take no more of a disk, and of the descriptors that a process may have, than
/// they need.
const SMALL: [&str; 7] = [
    "cairo.writer.data.append.page.size=65536",
    "cairo.wal.writer.data.append.page.size=65536",
    "cairo.o3.column.memory.size=65536",
    "cairo.inactive.writer.ttl=300",
    "cairo.inactive.reader.ttl=300",
    "cairo.wal.inactive.writer.ttl=300",
    "cairo.idle.check.interval=200",
];

fn tables_in_one_stream(count: u32) {
    let Some(world) = World::new() else { return };
    let (mut source, mut target) =
        (Server::primary(&world, "primary"), Server::replica(&world, "replica"));
    for server in [&mut source, &mut target] {
        for setting in SMALL {
            server.configure(setting);
        }
    }
    target.start();
    let primary = Primary::over(&world, source, "interval=1s,node=primary");
    let replica = Replica::of(&world, target, "node=replica");
    let source = primary.client();
    for number in 0..count {
        source.query(&format!(
            "CREATE TABLE t{number} (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL"
        ));
    }
    sleep(Duration::from_secs(3));
    let before = puts(&primary);
    let start = Instant::now();
    let writers: Vec<_> =
        (0..10).map(|writer| std::thread::spawn(move || write(source, writer, count))).collect();
    for writer in writers {
        writer.join().expect("a writer meets no error");
    }
    let seconds = start.elapsed().as_secs();
    let sent = puts(&primary) - before;
    println!("{count} tables, {seconds} s: {sent} PUTs");
    assert!(sent > 0, "something was sent");
    // One batch per interval, one for each end, and bodies of segments that were sealed.
    assert!(sent <= 2 * (seconds + 2), "{sent} PUTs in {seconds} s for {count} tables");
    catch_up_within(source, replica.client(), Duration::from_secs(600));
    same(source, replica.client());
    assert_eq!(names(replica.client()).len(), usize::try_from(count).expect("it is small"));
}

fn write(client: crate::client::Client, writer: u32, tables: u32) {
    for round in 0..3_u32 {
        for number in (writer..tables).step_by(10) {
            let moment = 1_704_067_200_000_000_000 + u64::from(round) * 1000;
            client.write(&format!("t{number} n={round}i {moment}\n")).expect("a row is taken");
            sleep(Duration::from_millis(20));
        }
    }
}

fn puts(primary: &Primary) -> u64 {
    ["create", "put"].iter().map(|kind| primary.mount.number(&format!("/requests/{kind}"))).sum()
}

#[test]
fn a_hundred_tables_take_one_put_per_interval() {
    tables_in_one_stream(100);
}

#[test]
#[ignore = "takes minutes: a thousand tables"]
fn a_thousand_tables_take_one_put_per_interval() {
    tables_in_one_stream(1000);
}

#[test]
fn two_replicas_follow_at_once() {
    let Some(world) = World::new() else { return };
    let (primary, one) = pair(&world);
    let two = Replica::start(&world, "two", "node=two");
    let source = primary.client();
    for name in ["a", "b", "c"] {
        table(source, name);
        rows(source, name, 500);
    }
    source.query("RENAME TABLE a TO d");
    source.query("DROP TABLE b");
    equal(source, one.client());
    equal(source, two.client());
}

#[test]
fn an_idle_primary_sends_nothing() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    table(primary.client(), "one");
    equal(primary.client(), replica.client());
    // Its writers are let go after five seconds, which seals their segments.
    sleep(Duration::from_secs(20));
    let before = puts(&primary);
    assert!(before > 0, "the status counts requests");
    sleep(Duration::from_secs(20));
    assert_eq!(puts(&primary), before, "the primary sends nothing");
}

#[test]
fn a_replica_needs_no_more_than_to_read_the_store() {
    let Some(mut world) = World::new() else { return };
    let primary = Primary::start(&world, "primary", "interval=0,node=primary");
    let store = ReadOnly::of(&world);
    world.url = format!("file://{}/questdb", store.0.display());
    let replica = Replica::start(&world, "replica", "node=replica");
    let source = primary.client();
    table(source, "one");
    equal(source, replica.client());
    rows(source, "one", 5_000);
    table(source, "two");
    equal(source, replica.client());
    assert_eq!(replica.view.word("/state"), "running");
    assert_eq!(replica.view.number("/requests/error"), 0, "it did not even try to write");
}

/// The store's directory in another place, where nobody can write.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn of(world: &World) -> ReadOnly {
        let place = ReadOnly(world.path("store-to-read"));
        fs::create_dir(&place.0).expect("a temporary directory takes a mount point");
        run(Command::new("mount").arg("--bind").arg(world.store()).arg(&place.0));
        run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&place.0));
        place
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).output().ok();
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("mount can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
