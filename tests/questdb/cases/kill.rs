//! Any of the four processes is killed at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::compare::{equal, settle};
use crate::ledger::{Ledger, ledger_of};
use crate::load::{Load, Until};
use crate::pair::{Primary, Replica, pair};
use crate::world::World;

/// Moments that fit no rhythm of anybody's.
fn odd_moment(round: u64) -> Duration {
    Duration::from_millis(200 + round * 397 % 1500)
}

/// What is under way meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    /// Everything that a table can meet.
    Everything,
    /// Rows. A server that is killed in the middle of a change of structure, or whose files answer
    /// with errors, breaks its own tables, walfs or not: on a plain directory, twenty kills under
    /// everything left tables suspended in four runs of eight.
    Rows,
}

/// What a blow may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Nothing that was acknowledged.
    Nothing,
    /// What no replica has shown yet. A database that never syncs leaves its bytes to the kernel,
    /// and where the kernel needs the daemon to write them, they go with it.
    Unshipped,
}

fn killing(
    rounds: u64,
    (under, loss): (Under, Loss),
    mut strike: impl FnMut(&mut Primary, &mut Replica),
) {
    let Some(world) = World::new() else { return };
    let (mut primary, mut replica) = pair(&world);
    let load = match under {
        Under::Everything => Load::start(primary.client(), rounds, 2, Until::Stopped),
        Under::Rows => {
            Load::start(primary.client(), rounds, 2, Until::Steps(20)).finish();
            settle(primary.client());
            Load::of_rows(primary.client(), rounds, 2, Until::Stopped)
        }
    };
    let ledger = Ledger::start(primary.client());
    let mut shipped = BTreeSet::new();
    for round in 0..rounds {
        ledger.wait_for(5);
        sleep(odd_moment(round));
        shipped.extend(ledger_of(replica.client()).unwrap_or_default());
        strike(&mut primary, &mut replica);
        never_ahead(&primary, &replica);
    }
    let report = load.stop();
    let acknowledged = ledger.finish();
    assert!(acknowledged.len() >= 20, "the ledger was busy: {}", acknowledged.len());
    assert!(report.values().map(|(done, _)| done).sum::<u32>() > 10, "the load ran: {report:?}");
    equal(primary.client(), replica.client());
    let kept = ledger_of(replica.client()).expect("the replica answers");
    assert!(!shipped.is_empty(), "the replica showed the ledger early: {}", shipped.len());
    let missing: BTreeSet<_> = shipped.difference(&kept).collect();
    assert!(missing.is_empty(), "shown, and lost: {missing:?}");
    if loss == Loss::Nothing {
        let missing: BTreeSet<_> = acknowledged.difference(&kept).collect();
        assert!(missing.is_empty(), "acknowledged, and lost: {missing:?}");
    }
}

/// Whatever a server of the replica may see, the primary has. Names are given again, and servers
/// remember: the logs themselves are compared, the replica's first.
fn never_ahead(primary: &Primary, replica: &Replica) {
    let shown = logged(&replica.server.database());
    let known = logged(&primary.server.database());
    for (table, shown) in shown {
        if let Some(known) = known.get(&table) {
            assert!(shown <= *known, "{table}: shown {shown}, known {known}");
        }
    }
}

/// How many commits each table's log names, by directory.
fn logged(database: &Path) -> BTreeMap<String, i64> {
    let directories = fs::read_dir(database).into_iter().flatten().flatten();
    let logged = directories.filter_map(|directory| {
        let log = fs::read(directory.path().join("txn_seq/_txnlog")).ok()?;
        let count = i64::from_le_bytes(log.get(4..12)?.try_into().ok()?);
        Some((directory.file_name().into_string().ok()?, count))
    });
    logged.collect()
}

fn the_replicas_server(rounds: u64) {
    killing(rounds, (Under::Everything, Loss::Nothing), |_, replica| {
        replica.server.kill();
        replica.server.start();
    });
}

fn the_replicas_walfs(rounds: u64) {
    killing(rounds, (Under::Everything, Loss::Nothing), |_, replica| replica.lose_walfs());
}

fn the_primarys_server(rounds: u64) {
    killing(rounds, (Under::Rows, Loss::Nothing), |primary, _| {
        primary.server.kill();
        primary.server.start();
    });
}

fn the_primarys_worker(rounds: u64) {
    killing(rounds, (Under::Everything, Loss::Nothing), |primary, _| primary.mount.kill_worker());
}

/// Both processes of the mount, and the server with them.
fn the_primarys_walfs(rounds: u64) {
    killing(rounds, (Under::Rows, Loss::Unshipped), |primary, _| primary.lose_walfs());
}

#[test]
fn a_replicas_server_killed_four_times_converges() {
    the_replicas_server(4);
}

#[test]
fn a_replicas_walfs_killed_four_times_converges() {
    the_replicas_walfs(4);
}

#[test]
fn a_primarys_server_killed_four_times_loses_nothing() {
    the_primarys_server(4);
}

#[test]
fn a_primarys_worker_killed_four_times_is_not_noticed() {
    the_primarys_worker(4);
}

#[test]
fn a_primarys_walfs_killed_four_times_loses_nothing_that_was_shipped() {
    the_primarys_walfs(4);
}

#[test]
#[ignore = "takes minutes: twenty kills"]
fn a_replicas_server_killed_twenty_times_converges() {
    the_replicas_server(20);
}

#[test]
#[ignore = "takes minutes: twenty kills"]
fn a_replicas_walfs_killed_twenty_times_converges() {
    the_replicas_walfs(20);
}

#[test]
#[ignore = "takes minutes: twenty kills"]
fn a_primarys_server_killed_twenty_times_loses_nothing() {
    the_primarys_server(20);
}

#[test]
#[ignore = "takes minutes: twenty kills"]
fn a_primarys_worker_killed_twenty_times_is_not_noticed() {
    the_primarys_worker(20);
}

#[test]
#[ignore = "takes minutes: twenty kills"]
fn a_primarys_walfs_killed_twenty_times_loses_nothing_that_was_shipped() {
    the_primarys_walfs(20);
}
