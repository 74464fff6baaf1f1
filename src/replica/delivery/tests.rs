//! Delivery into directories that no server has: what is in place at the next start of one. The
//! volume is written through the real codec and chain.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::layout::questdb::seed::sequencer_meta;
use crate::layout::questdb::table::Structure;
use crate::replica::lab::{Lab, Reader, path};
use crate::volume::{Edit, VolumeId};

use super::account::Account;
use super::ground::Ground;
use super::news::News;
use super::root::Root;
use super::rounds::Rounds;

/// The files of a table that a server made: `ts TIMESTAMP, v DOUBLE`.
const PLAIN: &str = include_str!("../../layout/questdb/seed/plain.txt");
const VOLUME: VolumeId = VolumeId([7; 16]);

fn made(wanted: &str) -> Vec<u8> {
    let line = PLAIN.lines().find(|line| line.split('\t').next() == Some(wanted)).unwrap();
    let [_, len, hex] = line.split('\t').collect::<Vec<_>>()[..] else { panic!() };
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
    bytes.resize(len.parse().unwrap(), 0);
    bytes
}

/// A log of so many commits, whose header is ahead of its records.
fn log(commits: u64) -> Vec<u8> {
    let mut log = made("txn_seq/_txnlog")[..76].to_vec();
    log[4..12].copy_from_slice(&(commits + 5).to_le_bytes());
    for txn in 0..commits {
        log.extend(event_record(0, u32::try_from(txn).unwrap(), txn + 100));
    }
    log
}

/// An event of a segment of the only writer.
fn event_record(segment: u32, event: u32, time: u64) -> Vec<u8> {
    event_of((1, segment), event, time)
}

/// An event of a segment of this writer.
fn event_of((wal, segment): (u32, u32), event: u32, time: u64) -> Vec<u8> {
    let place = [wal, segment, event].map(u32::to_le_bytes).concat();
    [&0_u64.to_le_bytes()[..], &place, &time.to_le_bytes()].concat()
}

/// A rename as a log of changes has it, and the log's index.
fn change(name: &str) -> (Vec<u8>, Vec<u8>) {
    let mut body = vec![14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
    for text in ["plain", name] {
        body.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        body.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    }
    let change = [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat();
    let ends = [0, change.len()].map(|end| u64::try_from(end).unwrap().to_le_bytes());
    (change, ends.concat())
}

/// A change of structure, to the first that follows the one that a table was made with.
fn change_record(time: u64) -> Vec<u8> {
    let wal = [-1_i32; 3].map(i32::to_le_bytes).concat();
    [&1_u64.to_le_bytes()[..], &wal, &time.to_le_bytes()].concat()
}

/// A primary whose tables have one row per commit, all of a table in one segment.
struct World {
    lab: Lab,
    database: PathBuf,
}

impl World {
    async fn new() -> Self {
        let lab = Lab::new().await;
        let database = lab.directory.path().join("db");
        fs::create_dir(&database).unwrap();
        Self { lab, database }
    }

    /// The volume has so many commits of a table, and of its segment some events more.
    async fn commits(&mut self, table: &str, commits: u64, events: u64) {
        let first = made("txn_seq/_meta.0");
        let (name, content) = (path(&format!("{table}/txn_seq/_meta.0")), Bytes::from(first));
        self.lab.edit(Edit::Set { path: name, content });
        self.segment(table, (1, 0), events);
        self.write(table, "txn_seq/_txnlog", &log(commits));
        self.lab.publish().await;
    }

    /// The writer goes on in its next segment, with the next commit after so many.
    async fn goes_on(&mut self, table: &str, commits: u64) {
        self.segment(table, (1, 1), 1);
        self.write(table, "txn_seq/_txnlog", &[log(commits), event_record(1, 0, 200)].concat());
        self.lab.publish().await;
    }

    /// A segment of a writer: one row per event.
    fn segment(&mut self, table: &str, (wal, segment): (u32, u32), events: u64) {
        let number = |value: u64| value.to_le_bytes();
        let (mut ts, mut v, mut ends) = (Vec::new(), Vec::new(), number(8).to_vec());
        let mut event = [u32::try_from(events - 1).unwrap().to_le_bytes(), [0; 4]].concat();
        for row in 0..events {
            ts.extend([number(row), number(row)].concat());
            v.extend(number(row * 3));
            let mut record = vec![0; 50];
            record[0] = 50;
            record[4..12].copy_from_slice(&number(row));
            record[13..21].copy_from_slice(&number(row));
            record[21..29].copy_from_slice(&number(row + 1));
            event.extend(record);
            ends.extend(number(u64::try_from(event.len()).unwrap()));
        }
        let structure = Structure::parse(&made("txn_seq/_meta.0")).unwrap();
        let meta = sequencer_meta(&structure, 0).unwrap();
        for (file, bytes) in
            [("_meta", meta), ("ts.d", ts), ("v.d", v), ("_event.i", ends), ("_event", event)]
        {
            self.write(table, &format!("wal{wal}/{segment}/{file}"), &bytes);
        }
    }

    fn write(&mut self, table: &str, file: &str, bytes: &[u8]) {
        let size = u64::try_from(bytes.len()).unwrap();
        self.lab.write(&format!("{table}/{file}"), size, 0, bytes);
    }

    /// The volume has a rename as the next commit after so many.
    async fn renames(&mut self, table: &str, commits: u64, name: &str) {
        let (change, ends) = change(name);
        let log = [log(commits), change_record(100)].concat();
        for (file, bytes) in
            [("_txnlog.meta.i", ends), ("_txnlog.meta.d", change), ("_txnlog", log)]
        {
            self.write(table, &format!("txn_seq/{file}"), &bytes);
        }
        self.lab.publish().await;
    }

    /// The server appends a rename where it takes the log's end to be.
    fn renamed_here(&self, table: &str, txn: u64, name: &str) {
        let (change, ends) = change(name);
        let sequencer = |file: &str| format!("{table}/txn_seq/{file}");
        self.set(&sequencer("_txnlog.meta.i"), 0, &ends);
        self.set(&sequencer("_txnlog.meta.d"), 0, &change);
        self.set(&sequencer("_txnlog"), 76 + (txn - 1) * 28, &change_record(777));
        self.set(&sequencer("_txnlog"), 4, &txn.to_le_bytes());
    }

    /// A walfs that starts here.
    async fn start(&self) -> (Reader, Rounds, Arc<Account>) {
        self.start_with(1 << 20).await
    }

    /// The same with so much room for segments.
    async fn start_with(&self, window: u64) -> (Reader, Rounds, Arc<Account>) {
        let reader = self.lab.started().await;
        let root = Root::open(&self.database, VOLUME).unwrap();
        let (news, account) = (Arc::<News>::default(), Arc::<Account>::default());
        let ground = Ground::new(root, window, None);
        let mut rounds = Rounds::new(ground, Arc::clone(&reader.shown), news, Arc::clone(&account));
        rounds.begin();
        rounds.round().await.unwrap();
        (reader, rounds, account)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.database.join(name)
    }

    fn number(&self, name: &str, at: u64) -> u64 {
        let mut bytes = [0; 8];
        let file = fs::File::open(self.file(name)).unwrap();
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn set(&self, name: &str, at: u64, bytes: &[u8]) {
        let file = fs::OpenOptions::new().write(true).open(self.file(name)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    /// The server applied so many commits.
    fn applied(&self, table: &str, txn: u64) {
        self.set(&format!("{table}/_txn"), 64 + 80, &txn.to_le_bytes());
    }

    fn published(&self, table: &str) -> u64 {
        self.number(&format!("{table}/txn_seq/_txnlog"), 4)
    }
}

#[tokio::test]
async fn a_new_table_is_there_with_its_commits_and_no_event_more() {
    let mut world = World::new().await;
    world.commits("plain~3", 2, 4).await;
    let (_reader, _rounds, account) = world.start().await;
    assert_eq!(world.published("plain~3"), 2, "not the header's count, which is ahead");
    assert_eq!(fs::read(world.file("plain~3/_name")).unwrap(), made("_name"));
    let wal = fs::read_link(world.file("plain~3/wal1")).unwrap();
    assert_eq!(wal.to_str(), Some("../.walfs/wal/plain~3/wal1"));
    let events = fs::read(world.file("plain~3/wal1/0/_event")).unwrap();
    assert_eq!(events[..4], 1_u32.to_le_bytes(), "the second event is the last one");
    assert_eq!(events[8 + 100..], [0xff; 4]);
    assert_eq!(fs::read(world.file("plain~3/wal1/0/v.d")).unwrap().len(), 32);
    assert_eq!(world.number("_tab_index.d", 0), 3);
    assert_eq!(account.get().behind_txns, 2);
}

#[tokio::test]
async fn what_a_crash_left_behind_is_put_right_before_it_is_believed() {
    let mut world = World::new().await;
    world.commits("plain~3", 2, 2).await;
    drop(world.start().await);
    world.set("plain~3/wal1/0/v.d", 0, b"damaged!");
    fs::remove_file(world.file("plain~3/wal1/0/ts.d")).unwrap();
    world.commits("plain~3", 3, 3).await;
    drop(world.start().await);
    assert_eq!(world.published("plain~3"), 3);
    assert_eq!(world.number("plain~3/wal1/0/v.d", 8), 3);
    assert_eq!(world.number("plain~3/wal1/0/v.d", 0), 0);
    assert_eq!(world.number("plain~3/wal1/0/ts.d", 32), 2);
}

#[tokio::test]
async fn a_table_that_somebody_wrote_into_stops_alone() {
    let mut world = World::new().await;
    world.commits("one~3", 2, 2).await;
    world.commits("two~4", 2, 2).await;
    let (mut reader, mut rounds, _) = world.start().await;
    world.set("one~3/txn_seq/_txnlog", 76 + 2 * 28, &[9; 28]);
    world.set("one~3/txn_seq/_txnlog", 4, &3_u64.to_le_bytes());
    world.commits("one~3", 4, 4).await;
    world.commits("two~4", 4, 4).await;
    reader.follower.step().await;
    for _ in 0..3 {
        rounds.round().await.unwrap();
    }
    assert_eq!((world.published("one~3"), world.published("two~4")), (3, 4));
    let problems = rounds.describe().problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].problem.contains("commit 3 is not the primary's"), "{problems:?}");
}

/// The volume renames a table of three commits, and the server appends this rename as its second.
async fn appended_too_early(name: &str) -> (World, Rounds) {
    let mut world = World::new().await;
    world.commits("plain~3", 3, 3).await;
    let (mut reader, mut rounds, _) = world.start().await;
    world.applied("plain~3", 3);
    world.renames("plain~3", 3, "other").await;
    world.renamed_here("plain~3", 2, name);
    reader.follower.step().await;
    rounds.begin();
    for _ in 0..3 {
        rounds.round().await.unwrap();
    }
    (world, rounds)
}

#[tokio::test]
async fn a_rename_that_the_server_appended_too_early_is_put_in_its_place() {
    let (world, rounds) = appended_too_early("other").await;
    assert_eq!(world.published("plain~3"), 4);
    let record = |txn: u64| world.number("plain~3/txn_seq/_txnlog", 76 + (txn - 1) * 28 + 20);
    assert_eq!([record(2), record(3), record(4)], [101, 102, 100], "the primary's times");
    assert!(rounds.describe().problems.iter().all(|it| !it.problem.contains("somebody")));
}

#[tokio::test]
async fn another_rename_than_the_primarys_is_what_somebody_wrote() {
    let (_world, rounds) = appended_too_early("mine").await;
    let problems = rounds.describe().problems;
    assert!(problems[0].problem.contains("commit 2 is not the primary's"), "{problems:?}");
}

#[tokio::test]
async fn wal_that_the_volume_lacks_is_never_promised() {
    let mut world = World::new().await;
    world.commits("plain~3", 2, 2).await;
    world.lab.edit(Edit::Remove { path: path("plain~3/wal1/0/v.d") });
    world.lab.publish().await;
    let (_reader, _rounds, account) = world.start().await;
    assert_eq!(world.published("plain~3"), 0);
    let problems = account.get().problems;
    assert!(problems[0].problem.contains("CHECKPOINT"), "{problems:?}");
}

#[tokio::test]
async fn what_was_applied_and_cannot_grow_is_removed() {
    let mut world = World::new().await;
    world.commits("plain~3", 2, 2).await;
    let (mut reader, mut rounds, _account) = world.start().await;
    world.applied("plain~3", 2);
    rounds.round().await.unwrap();
    assert!(world.file("plain~3/wal1/0").exists(), "the writer may go on");
    world.lab.write("plain~3/wal1/1/_meta", 1, 0, b"-");
    world.lab.publish().await;
    reader.follower.step().await;
    world.applied("plain~3", 2);
    rounds.begin();
    rounds.round().await.unwrap();
    assert!(!world.file("plain~3/wal1").is_symlink());
    assert!(!world.file(".walfs/wal/plain~3/wal1").exists());
}

#[tokio::test]
async fn where_room_is_needed_rows_that_wait_for_their_commit_stay() {
    const SHOWN: u32 = 3000;
    const ALL: u32 = 6000;
    let mut world = World::new().await;
    world.commits("plain~3", SHOWN.into(), ALL.into()).await;
    let (mut reader, mut rounds, _account) = world.start_with(1).await;
    world.applied("plain~3", SHOWN.into());
    // Two other writers go on, and there is room for one of them.
    for wal in [2, 3] {
        world.segment("plain~3", (wal, 0), 1);
    }
    let others = [2, 3].map(|wal| event_of((wal, 0), 0, 200)).concat();
    let mut log = [log(SHOWN.into()), others].concat();
    world.write("plain~3", "txn_seq/_txnlog", &log);
    world.lab.publish().await;
    reader.follower.step().await;
    rounds.begin();
    rounds.round().await.unwrap();
    let shown = u64::from(SHOWN);
    assert_eq!(world.published("plain~3"), shown + 1);
    assert_eq!(world.number("plain~3/wal1/0/v.d", 0), 0);
    assert_eq!(world.number("plain~3/wal1/0/v.d", 8), 0, "what was applied was given back");
    // Then the first one's rows get their commits.
    log.extend((SHOWN..ALL).flat_map(|event| event_record(0, event, 300)));
    world.write("plain~3", "txn_seq/_txnlog", &log);
    world.lab.publish().await;
    reader.follower.step().await;
    rounds.begin();
    for txn in [shown + 1, shown + 2] {
        world.applied("plain~3", txn);
        rounds.round().await.unwrap();
    }
    assert_eq!(world.published("plain~3"), u64::from(ALL) + 2);
    for row in [shown, shown + 1, shown + 100, u64::from(ALL) - 1] {
        assert_eq!(world.number("plain~3/wal1/0/v.d", row * 8), row * 3, "row {row}");
        assert_eq!(world.number("plain~3/wal1/0/ts.d", row * 16 + 8), row, "row {row}");
    }
}

#[tokio::test]
async fn an_event_that_the_log_never_names_keeps_no_segment() {
    let mut world = World::new().await;
    world.commits("plain~3", 2, 3).await;
    let (mut reader, mut rounds, _account) = world.start().await;
    world.applied("plain~3", 2);
    rounds.round().await.unwrap();
    assert!(world.file("plain~3/wal1/0").exists(), "the log may name it yet");
    world.goes_on("plain~3", 2).await;
    reader.follower.step().await;
    rounds.begin();
    for _ in 0..2 {
        rounds.round().await.unwrap();
    }
    assert_eq!(world.published("plain~3"), 3);
    assert!(!world.file("plain~3/wal1/0").exists() && world.file("plain~3/wal1/1").exists());
}

#[tokio::test]
async fn the_directories_of_a_base_become_links_and_their_files_stay_what_they_are() {
    let mut world = World::new().await;
    world.commits("plain~3", 2, 2).await;
    drop(world.start().await);
    // As if the directory had come with a copy of the primary's.
    fs::remove_file(world.file("plain~3/wal1")).unwrap();
    fs::rename(world.file(".walfs/wal/plain~3/wal1"), world.file("plain~3/wal1")).unwrap();
    let inode = |name: &str| fs::metadata(world.file(name)).unwrap().ino();
    let before = inode("plain~3/wal1/0/v.d");
    drop(world.start().await);
    assert!(world.file("plain~3/wal1").is_symlink());
    assert_eq!(inode("plain~3/wal1/0/v.d"), before);
}

#[tokio::test]
async fn a_directory_belongs_to_one_volume() {
    let world = World::new().await;
    drop(world.start().await);
    let refused = Root::open(&world.database, VolumeId([8; 16])).unwrap_err().to_string();
    assert!(refused.contains("another volume"), "{refused}");
}
