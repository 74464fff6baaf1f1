//! Verbs that look at a volume without mounting it, for people and for scripts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use serde_json::Value;

use crate::bed::{Bed, call, walfs};

/// A volume with a few files, unmounted.
fn volume() -> Option<(Bed, Vec<u8>)> {
    let bed = Bed::for_mounts()?;
    let big: Vec<u8> = (0..3_000_001u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    bed.primary("layout=generic,node=alice").well();
    fs::create_dir(bed.path("primary/deep")).unwrap();
    fs::File::create(bed.path("primary/deep/big")).unwrap().write_all(&big).unwrap();
    fs::write(bed.path("primary/empty"), "").unwrap();
    let holes = fs::File::create(bed.path("primary/holes")).unwrap();
    holes.write_all_at(b"here", 100_000).unwrap();
    holes.set_len(200_000).unwrap();
    drop(holes);
    call(&["umount", &bed.text("primary")]).well();
    Some((bed, big))
}

fn json(words: &[&str]) -> Value {
    serde_json::from_str(&call(words).well()).unwrap()
}

#[test]
fn cat_prints_every_byte_and_holes_as_zeros() {
    let Some((bed, big)) = volume() else { return };
    let mut command = walfs();
    command.args(["cat", &bed.url(), "/deep/big"]);
    assert!(command.output().unwrap().stdout == big);
    let holes = call(&["cat", &bed.url(), "holes"]).well();
    let mut expected = vec![0; 200_000];
    expected[100_000..100_004].copy_from_slice(b"here");
    assert!(holes.into_bytes() == expected);
    assert_eq!(call(&["cat", &bed.url(), "empty"]).well(), "");
    call(&["cat", &bed.url(), "deep"]).failed(1, &["is a directory"]);
    call(&["cat", &bed.url(), "none"]).failed(1, &["none", "walfs ls"]);
    call(&["cat", &bed.url(), "../x"]).failed(2, &["../x"]);
}

#[test]
fn ls_lists_names_and_what_they_are() {
    let Some((bed, _)) = volume() else { return };
    assert_eq!(call(&["ls", &bed.url()]).well(), "deep/\nempty\nholes\n");
    assert_eq!(call(&["ls", &bed.url(), "deep"]).well(), "deep/big\n");
    let long = call(&["ls", &bed.url(), "-l"]).well();
    assert!(long.contains("directory") && long.contains("KiB"), "{long}");
    let listed = json(&["ls", &bed.url(), "--json"]);
    assert_eq!(listed[0]["kind"], "directory");
    assert_eq!(listed[2]["size"], 200_000);
    call(&["ls", &bed.url(), "none"]).failed(1, &["no such file"]);
}

#[test]
fn log_tells_the_history_from_the_first_fence_on() {
    let Some((bed, _)) = volume() else { return };
    let all = json(&["log", &bed.url(), "--json", "--limit", "0"]);
    let all = all.as_array().unwrap();
    assert_eq!((&all[0]["position"], &all[0]["kind"]), (&"0-0".into(), &"fence".into()));
    assert_eq!(all[0]["primary"], "alice");
    assert_eq!(all[1]["position"], "1-0");
    let newest = json(&["log", &bed.url(), "--json", "--limit", "1"]);
    assert_eq!(newest[0], all[all.len() - 1]);
    assert_eq!(newest.as_array().unwrap().len(), 1);
    let from = json(&["log", &bed.url(), "--json", "--from", "1-0", "--limit", "1"]);
    assert_eq!(from[0], all[1]);
    let text = call(&["log", &bed.url()]).well();
    assert!(text.starts_with("POSITION") && text.contains("alice is primary of epoch 1"), "{text}");
    assert_eq!(call(&["log", &bed.url(), "--from", "x"]).code, Some(2));
}

#[test]
fn log_goes_back_beyond_the_newest_epoch() {
    let Some((bed, _)) = volume() else { return };
    bed.primary("").well();
    call(&["umount", &bed.text("primary")]).well();
    let text = call(&["log", &bed.url()]).well();
    assert_eq!(text.matches("fence").count(), 2, "{text}");
}

#[test]
fn status_of_a_volume_tells_what_it_contains() {
    let Some((bed, big)) = volume() else { return };
    let told = json(&["status", &bed.url(), "--json"]);
    assert_eq!((&told["layout"], &told["primary"]), (&"generic".into(), &"alice".into()));
    assert_eq!((&told["epoch"], &told["files"]), (&1.into(), &3.into()));
    assert_eq!(told["bytes"], 200_000 + big.len());
    let text = call(&["status", &bed.url()]).well();
    assert!(text.contains("alice since") && text.contains("3, "), "{text}");
}

#[test]
fn a_damaged_volume_is_told_as_such() {
    let Some((bed, _)) = volume() else { return };
    let link = bed.path("store/volume/log/0000000000000001/0000000000000000");
    let mut bytes = fs::read(&link).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&link, bytes).unwrap();
    call(&["ls", &bed.url()]).failed(6, &["log/0000000000000001/0000000000000000"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let Some((bed, _)) = volume() else { return };
    let mut command = walfs();
    command.args(["cat", &bed.url(), "deep/big"]);
    let mut cat = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(cat.stdout.take());
    let output = cat.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn pages_and_completions_are_made_from_the_program_itself() {
    let bed = Bed::new();
    call(&["man-pages", &bed.text("store")]).well();
    let page = fs::read_to_string(bed.path("store/man1/walfs-mount.1")).unwrap();
    assert!(page.contains("backlog_full") && page.contains("EXIT STATUS"), "{page}");
    assert!(
        bed.path("store/man1/walfs.1").exists() && bed.path("store/man8/mount.walfs.8").exists()
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(call(&["completions", shell]).well().contains("umount"), "{shell}");
    }
    assert!(call(&["options"]).well().contains("| `interval=DURATION` | 1s | primary |"));
}

#[test]
fn settings_are_whole_lines_that_more_may_follow() {
    for role in ["primary", "replica"] {
        let text = call(&["config", "questdb", "--role", role]).well();
        assert!(text.ends_with('\n'), "the last line of {role} has an end");
        let is_setting = |line: &str| line.starts_with("# ") || line.contains('=');
        assert!(text.lines().count() > 5 && text.lines().all(is_setting));
    }
}
