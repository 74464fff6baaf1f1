//! A database on a mount is a database like any other, and all of its WAL is shipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cases::follow::{rows, table};
use crate::compare::{Shown, names, settle, shown};
use crate::ground::{files_beneath, wait_until};
use crate::load::{Load, Until};
use crate::node::Node;
use crate::pair::Primary;
use crate::world::World;

#[test]
fn a_database_on_a_mount_takes_everything_and_is_whole_without_it() {
    let Some(world) = World::new() else { return };
    let mut primary = Primary::start(&world, "primary", "interval=50ms,node=primary");
    let client = primary.client();
    let report = Load::start(client, 5, 3, Until::Steps(100)).finish();
    assert!(report.values().map(|(done, _)| done).sum::<u32>() > 200, "{report:?}");
    settle(client);
    let before = everything(&primary);
    primary.server.kill();
    primary.server.start();
    settle(client);
    assert_eq!(everything(&primary), before, "after kill -9");
    client.query("CHECKPOINT CREATE");
    client.query("CHECKPOINT RELEASE");
    primary.server.stop();
    primary.mount.unmount();
    primary.server.start();
    assert_eq!(everything(&primary), before, "on the plain directory");
    primary.server.stop();
}

fn everything(primary: &Primary) -> Vec<(String, Shown)> {
    let client = primary.client();
    names(client).into_iter().map(|name| (name.clone(), shown(client, &name))).collect()
}

#[test]
fn a_view_of_the_volume_has_what_each_log_names() {
    let Some(world) = World::new() else { return };
    let mut primary = Primary::start(&world, "primary", "interval=20ms,node=primary");
    let client = primary.client();
    for name in ["one", "two", "three"] {
        table(client, name);
    }
    let report = Load::start(client, 6, 2, Until::Steps(60)).finish();
    assert!(report.values().map(|(done, _)| done).sum::<u32>() > 60, "{report:?}");
    table(client, "last");
    rows(client, "last", 5_000);
    settle(client);
    // A stopped server has cut its files to what they hold.
    primary.server.stop();
    wait_until("all is shipped", Duration::from_secs(60), || {
        primary.mount.number("/backlog_bytes") == 0
    });
    let directory = world.path("view");
    fs::create_dir(&directory).expect("a temporary directory takes a mount point");
    let view = Node::mount(&world, &directory, "ro");
    let database = primary.server.database();
    let mut logs = 0;
    for own in beneath(&database, "_txnlog") {
        let path = own.strip_prefix(&database).expect("it is beneath");
        let seen = fs::read(directory.join(path));
        let seen = seen.unwrap_or_else(|error| panic!("{} is shown: {error}", path.display()));
        let own = fs::read(&own).expect("the server's files can be read");
        let count = number(&own, 4);
        let length = 76 + 28 * usize::try_from(count).expect("a log fits in memory");
        assert_eq!(seen.len(), length, "{}: {count} transactions", path.display());
        assert_eq!(own.get(..length), Some(seen.as_slice()), "{}", path.display());
        let table = path.ancestors().nth(2).expect("a log is in a table");
        for segment in segments(&seen) {
            has_segment(&directory.join(table).join(&segment), &database.join(table).join(segment));
        }
        logs += 1;
    }
    assert!(logs > 5, "{logs} logs were compared");
    drop(view);
}

/// The segments that a log names, as paths within its table.
fn segments(log: &[u8]) -> BTreeSet<PathBuf> {
    let records = log.get(76..).unwrap_or_default().chunks_exact(28);
    let part = |record: &[u8], at: usize| {
        let bytes = record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        i32::from_le_bytes(bytes.expect("a record has four numbers"))
    };
    let named = records.map(|record| (part(record, 8), part(record, 12)));
    named.filter(|(wal, _)| *wal > 0).map(|(wal, of)| format!("wal{wal}/{of}").into()).collect()
}

/// What is shown of a segment is what the server wrote, unless it has purged that.
fn has_segment(shown: &Path, own: &Path) {
    for name in ["_event", "_event.i", "_meta"] {
        assert!(shown.join(name).exists(), "{} has {name}", shown.display());
    }
    let mut files = Vec::new();
    files_beneath(shown, &mut files);
    for file in files {
        let name = file.file_name().expect("a file has a name");
        let Ok(written) = fs::read(own.join(name)) else { continue };
        let seen = fs::read(&file).expect("a shown file can be read");
        // The head of the events counts records that no log has named yet, or no longer.
        let from = if name == "_event" { 4 } else { 0 };
        let (seen, written) = (seen.get(from..), written.get(from..));
        let same = seen.zip(written).is_some_and(|(seen, written)| written.starts_with(seen));
        assert!(same, "{}: other bytes than the server's", file.display());
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    u64::from_le_bytes(bytes.expect("a log has a head"))
}

/// Every file of this name.
fn beneath(directory: &Path, name: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    files_beneath(directory, &mut files);
    files.retain(|file| file.file_name().is_some_and(|own| own == name));
    files
}
