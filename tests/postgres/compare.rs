//! Whether two servers, and a replica's files, say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cluster::{Cluster, run};
use crate::ground::wait_until;
use crate::node::Node;
use crate::world::World;

/// Writes a mark on the primary and waits until the standby shows it.
pub(crate) fn catch_up(primary: &Cluster, standby: &Cluster) {
    catch_up_within(primary, standby, Duration::from_secs(60));
}

pub(crate) fn catch_up_within(primary: &Cluster, standby: &Cluster, patience: Duration) {
    let mark = primary.query("INSERT INTO marker DEFAULT VALUES RETURNING id");
    let question = format!("SELECT count(*) FROM marker WHERE id = {mark}");
    wait_until(&format!("the standby shows mark {mark}"), patience, || {
        standby.sql(&question).is_ok_and(|answer| answer == "1")
    });
}

/// Every row of every table is the same on both sides. Nobody may write meanwhile.
pub(crate) fn same_rows(primary: &Cluster, standby: &Cluster) {
    let tables = primary.query(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(relname) FROM pg_stat_user_tables
         ORDER BY 1",
    );
    assert!(!tables.is_empty(), "there is something to compare");
    for table in tables.lines() {
        let question = format!(
            "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {table} t"
        );
        assert_eq!(primary.query(&question), standby.query(&question), "rows of {table}");
    }
}

/// The same rows, and `pg_amcheck` has no complaint about either side.
pub(crate) fn equal(primary: &Cluster, standby: &Cluster) {
    primary.query("CREATE EXTENSION IF NOT EXISTS amcheck");
    catch_up(primary, standby);
    same_rows(primary, standby);
    for cluster in [primary, standby] {
        run(cluster.client_program("pg_amcheck").args(["--heapallindexed", "-d", "postgres"]));
    }
}

/// A fresh replica mount shows every segment since the volume's beginning, and `pg_waldump` reads
/// every record in them up to where the primary is. Answers how many segments that were.
pub(crate) fn whole_history(world: &World, primary: &Cluster) -> usize {
    let end = primary.query("SELECT pg_current_wal_flush_lsn()");
    let directory = world.path("history");
    fs::create_dir(&directory).expect("a temporary directory takes a mount point");
    let mut view = Node::mount(world, &directory, "ro");
    let count = waldump(world, &directory, segment_size(primary), &end);
    view.unmount();
    fs::remove_dir_all(&directory).expect("the mount point is free again");
    count
}

pub(crate) fn segment_size(cluster: &Cluster) -> u64 {
    let size = cluster.query("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'");
    size.parse().expect("the size is a number of bytes")
}

fn waldump(world: &World, directory: &Path, segment: u64, end: &str) -> usize {
    let names = segments(directory);
    let mut timelines: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for name in &names {
        let timeline = name.get(..8).expect("a name has 24 digits");
        timelines.entry(timeline).or_default().push(number(name, segment));
    }
    let last = *timelines.keys().last().expect("the replica shows segments");
    for (timeline, numbers) in &timelines {
        for pair in numbers.windows(2) {
            let [before, after] = pair else { continue };
            assert_eq!(before + 1, *after, "no segment of timeline {timeline} is missing");
        }
        let (first, newest) = (numbers.first(), numbers.last());
        let start = position(first.expect("it has one") * segment);
        // The last segment of a timeline that was left is whole only up to the fork.
        let left = position(newest.expect("it has one") * segment);
        let end = if *timeline == last { end } else { &left };
        let timeline = u32::from_str_radix(timeline, 16).expect("a timeline is hexadecimal");
        let mut command = Command::new(world.client.join("pg_waldump"));
        command.args(["-q", "-t", &timeline.to_string(), "-s", &start, "-e", end, "-p"]);
        if start != end {
            run(command.arg(directory));
        }
    }
    names.len()
}

/// A place in the log as PostgreSQL writes it.
pub(crate) fn position(bytes: u64) -> String {
    format!("{:X}/{:X}", bytes >> 32, bytes & 0xffff_ffff)
}

/// The names of segments in a directory, in order.
pub(crate) fn segments(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a mount can be listed");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.len() == 24 && name.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .collect();
    names.sort();
    names
}

/// Which segment of the whole log this is, counted from 0.
pub(crate) fn number(name: &str, segment: u64) -> u64 {
    let part = |range| {
        let digits: &str = name.get(range).expect("a name has 24 digits");
        u64::from_str_radix(digits, 16).expect("a name is hexadecimal")
    };
    part(8..16) * ((1 << 32) / segment) + part(16..24)
}
