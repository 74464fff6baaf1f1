//! A replica is read in a loop while its primary writes, switches and recycles.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::compare::{number, position, segments};
use crate::load::{self, Bench};
use crate::node::Node;
use crate::world::World;

const SEGMENT: u64 = 1 << 20;
const PAGE: usize = 8192;
const PAGE_SIZE: u64 = 8192;

#[test]
fn no_reader_ever_sees_a_torn_page_or_a_recycled_one() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &["--wal-segsize=1"]);
    primary.configure("min_wal_size = 4MB\nmax_wal_size = 8MB\nwal_init_zero = on");
    let _mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    let directory = world.path("view");
    fs::create_dir(&directory).expect("a temporary directory takes a mount point");
    let _view = Node::mount(&world, &directory, "ro");

    let bench = Bench::start(&primary, 20);
    let mut valid = BTreeMap::new();
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(20) {
        let names = segments(&directory);
        for name in names.iter().rev().take(4) {
            look_at(&directory, name, &mut valid);
        }
        if let [.., recent, newest] = names.as_slice() {
            decode(&world, &directory, recent, newest);
        }
        if rounds % 20 == 19 {
            primary.query("SELECT pg_switch_wal(); CHECKPOINT");
        }
        rounds += 1;
    }
    assert!(bench.finish(), "the primary met no error");
    assert!(rounds > 30 && valid.len() > 10, "{rounds} rounds over {} segments", valid.len());
}

/// Every page is this place's own or zero, zeros only follow, and none goes back. Reads from the
/// end: whatever is published meanwhile, what precedes a page that was seen is there.
fn look_at(directory: &Path, name: &str, valid: &mut BTreeMap<String, u64>) {
    let file = File::open(directory.join(name)).expect("a listed segment can be opened");
    let size = file.metadata().expect("an open file has a size").len();
    assert_eq!(size, SEGMENT, "{name} has its whole size");
    let begin = number(name, SEGMENT) * SEGMENT;
    let mut pages = 0;
    for offset in (0..SEGMENT).rev().step_by(PAGE).map(|last| last + 1 - PAGE_SIZE) {
        let mut page = [0; PAGE];
        file.read_exact_at(&mut page, offset).expect("a listed segment can be read");
        let address = begin + offset;
        if page.iter().all(|byte| *byte == 0) {
            assert_eq!(pages, 0, "{name}: zeros before a page, at {address:#x}");
        } else {
            let header = |range| -> &[u8] { page.get(range).expect("a page has a header") };
            let told = u64::from_le_bytes(header(8..16).try_into().expect("eight bytes"));
            assert_eq!(told, address, "{name}: a page of another place");
            assert_eq!(header(4..8), [1, 0, 0, 0], "{name}: a page of another timeline");
            pages += 1;
        }
    }
    assert!(pages > 0, "{name} is shown before its first page");
    let before = valid.insert(name.to_owned(), pages).unwrap_or(0);
    assert!(before <= pages, "{name} went back from {before} pages to {pages}");
}

/// `pg_waldump` reads on from this segment to the end of the log and complains of nothing but that.
/// It reads page by page: of what came while it read, from the newest segment on, it may have the
/// beginning of a record as it was before a batch and the rest as it is after it. A second run
/// finds that one whole.
fn decode(world: &World, directory: &Path, name: &str, newest: &str) {
    let first = complaints(world, directory, name);
    if first.is_empty() {
        return;
    }
    let again = complaints(world, directory, name);
    let settled = number(newest, SEGMENT) * SEGMENT;
    for line in first {
        let is_new = said_at(&line).is_some_and(|at| at >= settled);
        assert!(is_new, "from {name}: {line}");
        let is_past = |other: &String| said_at(other) > said_at(&line);
        assert!(again.iter().all(is_past), "from {name}, twice: {line}, {again:?}");
    }
}

/// What `pg_waldump` says from this segment on, but for the end of the log.
fn complaints(world: &World, directory: &Path, name: &str) -> Vec<String> {
    let start = position(number(name, SEGMENT) * SEGMENT);
    let mut command = Command::new(world.client.join("pg_waldump"));
    let output = command.args(["-q", "-s", &start, "-p"]).arg(directory).output();
    let errors = output.expect("pg_waldump can be started").stderr;
    let errors = String::from_utf8_lossy(&errors);
    let ends = ["wanted 24, got 0", "invalid magic number 0000", "could not find file"];
    let complains =
        |line: &&str| line.contains("error:") && !ends.iter().any(|end| line.contains(end));
    errors.lines().filter(complains).map(str::to_owned).collect()
}

/// The address of the record that a complaint is about, which stands last in it.
fn said_at(line: &str) -> Option<u64> {
    let (_, address) = line.rsplit_once(" at ")?;
    let (high, low) = address.split_once('/')?;
    let digits: String = low.chars().take_while(char::is_ascii_hexdigit).collect();
    let half = |text: &str| u64::from_str_radix(text, 16).ok();
    Some(half(high)? << 32 | half(&digits)?)
}
