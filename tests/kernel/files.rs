//! Content: whatever a database does to a file's bytes.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::thread;

use rustix::fs::FallocateFlags;

use crate::child;
use crate::world::{World, both};

#[test]
fn what_is_written_is_read_and_lies_beneath() {
    both(|world| {
        let mut file = world.file("a", b"hello");
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b" world").unwrap();
        file.write_all_at(b"J", 0).unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        assert_eq!(std::fs::read(world.path("a")).unwrap(), b"Jello world");
        assert_eq!(std::fs::read(world.beneath("a")).unwrap(), b"Jello world");
        assert_eq!(file.metadata().unwrap().len(), 11);
        assert_eq!(std::fs::metadata(world.path("a")).unwrap().len(), 11);
        assert_eq!(world.calls("fsync"), 2);
    });
}

#[test]
fn appends_go_to_the_end_and_truncations_cut() {
    both(|world| {
        let mut log = OpenOptions::new().append(true).create(true).open(world.path("log")).unwrap();
        log.write_all(b"one").unwrap();
        OpenOptions::new().append(true).open(world.path("log")).unwrap().write_all(b"two").unwrap();
        log.write_all(b"three").unwrap();
        assert_eq!(std::fs::read(world.path("log")).unwrap(), b"onetwothree");

        log.set_len(4).unwrap();
        assert_eq!(std::fs::read(world.path("log")).unwrap(), b"onet");
        File::options().write(true).truncate(true).open(world.path("log")).unwrap();
        assert_eq!(log.metadata().unwrap().len(), 0);
        log.set_len(9000).unwrap();
        assert_eq!(std::fs::read(world.path("log")).unwrap(), vec![0; 9000]);
        assert_eq!(std::fs::read(world.beneath("log")).unwrap().len(), 9000);
    });
}

#[test]
fn space_is_reserved_punched_and_found() {
    both(|world| {
        let file = world.file("a", &vec![7; 64 << 10]);
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&file, punch, 4096, 8192).unwrap();
        let mut byte = [1; 1];
        file.read_exact_at(&mut byte, 5000).unwrap();
        assert_eq!(byte, [0]);
        assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(0)).unwrap(), 4096);
        assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(4096)).unwrap(), 12288);
    });
}

#[test]
fn a_file_is_copied_within_the_mount() {
    both(|world| {
        let (from, to) = (world.file("from", &vec![5; 100_000]), world.file("to", b""));
        let mut copied = 0;
        while copied < 100_000 {
            copied += rustix::fs::copy_file_range(&from, None, &to, None, 100_000).unwrap();
        }
        assert_eq!(std::fs::read(world.path("to")).unwrap(), vec![5; 100_000]);
    });
}

#[test]
fn direct_and_synchronous_writes_arrive() {
    both(|world| {
        for flags in [libc::O_DIRECT, libc::O_DSYNC, libc::O_SYNC, libc::O_DIRECT | libc::O_DSYNC] {
            world.file("a", &[1; 16384]);
            let mut options = File::options();
            let file = options.read(true).write(true).custom_flags(flags).open(world.path("a"));
            let file = file.unwrap();
            let memory = vec![9; 16384];
            let start = memory.as_ptr().align_offset(4096);
            let block = &memory[start..start + 8192];
            file.write_all_at(block, 4096).unwrap();
            let content = std::fs::read(world.beneath("a")).unwrap();
            assert_eq!((content[4095], content[4096], content[12288]), (1, 9, 1));
        }
    });
}

#[test]
fn synchronous_writes_through_the_daemon_ask_for_a_sync() {
    both(|world| {
        for flags in [libc::O_DSYNC, libc::O_DIRECT | libc::O_DSYNC] {
            world.file("a", &[1; 16384]);
            let file =
                File::options().write(true).custom_flags(flags).open(world.path("a")).unwrap();
            let memory = vec![9; 16384];
            let start = memory.as_ptr().align_offset(4096);
            let before = world.calls("fsync");
            file.write_all_at(&memory[start..start + 8192], 0).unwrap();
            let asked = world.calls("fsync") - before;
            assert_eq!(asked, u64::from(!world.mounted.passthrough()), "flags {flags:o}");
        }
    });
}

#[test]
fn a_mapped_file_is_written_by_msync() {
    both(|world| {
        let mut content = b"before".to_vec();
        content.resize(16384, 1);
        let file = world.file("a", &content);
        assert!(child::run("map", &world.path("a")).success());
        content[..6].copy_from_slice(b"after!");
        content[8192..8196].copy_from_slice(b"tail");
        assert_eq!(std::fs::read(world.beneath("a")).unwrap(), content);
        let mut seen = vec![0; 16384];
        file.read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(seen, content);
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    both(|world| {
        let file = world.file("a", b"mine");
        std::fs::remove_file(world.path("a")).unwrap();
        file.write_all_at(b"still ", 4).unwrap();
        file.sync_all().unwrap();
        let other = world.file("a", b"another");
        let mut content = [0; 10];
        file.read_exact_at(&mut content, 0).unwrap();
        assert_eq!(&content, b"minestill ");
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        file.set_len(2).unwrap();
        assert_eq!(other.metadata().unwrap().len(), 7);

        std::fs::rename(world.path("a"), world.path("b")).unwrap();
        other.write_all_at(b"renamed", 0).unwrap();
        assert_eq!(std::fs::read(world.path("b")).unwrap(), b"renamed");
    });
}

#[test]
fn the_space_of_a_removed_file_comes_back() {
    both(|world| {
        for number in 0..50 {
            drop(world.file(&number.to_string(), &[1; 4096]));
            std::fs::remove_file(world.path(&number.to_string())).unwrap();
        }
        let kept = world.file("kept", b"");
        std::fs::remove_file(world.path("kept")).unwrap();
        assert!(removed_but_open(&world.path("")) > 0, "what is open is not let go of");
        drop(kept);
        // The kernel says that it has forgotten a file some time after the last close.
        for _ in 0..100 {
            if removed_but_open(&world.path("")) == 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{} removed files are still open", removed_but_open(&world.path("")));
    });
}

/// How many descriptors of this process lead to removed files of this directory.
fn removed_but_open(directory: &std::path::Path) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter(|target| {
            target.starts_with(directory) && target.to_string_lossy().ends_with("(deleted)")
        })
        .count()
}

#[test]
fn an_open_keeps_its_way_when_another_wishes_otherwise() {
    both(|world| {
        let first = world.file("a", b"first");
        // A setuid program is not passed through, but this one is open already.
        std::fs::set_permissions(world.path("a"), PermissionsExt::from_mode(0o4755)).unwrap();
        let second = File::options().read(true).write(true).open(world.path("a")).unwrap();
        second.write_all_at(b"F", 0).unwrap();
        first.write_all_at(b"T", 4).unwrap();
        assert_eq!(std::fs::read(world.path("a")).unwrap(), b"FirsT");
        drop((first, second));
        let third = File::options().read(true).write(true).open(world.path("a")).unwrap();
        third.write_all_at(b"i", 0).unwrap();
        assert_eq!(std::fs::read(world.path("a")).unwrap(), b"iirsT");
    });
}

#[test]
fn writes_do_not_ask_for_attributes_and_passthrough_does_not_ask_at_all() {
    both(|world| {
        let file = world.file("a", &[0; 8192]);
        let before = (world.calls("getxattr"), world.calls("write"));
        for round in 0..200_u8 {
            file.write_all_at(&[round; 8192], 0).unwrap();
            file.sync_data().unwrap();
        }
        let asked = world.calls("getxattr") - before.0;
        assert!(asked <= 2, "{asked} attributes were asked for");
        let written = world.calls("write") - before.1;
        assert_eq!(written, if world.mounted.passthrough() { 0 } else { 200 });
    });
}

#[test]
fn writers_are_counted_per_file() {
    both(|world| {
        drop(world.file("a", b"x"));
        let found = std::fs::metadata(world.beneath("a")).unwrap();
        let writers = || world.mirror.writers(found.dev(), found.ino());
        let reader = File::open(world.path("a")).unwrap();
        wait_for(|| writers().all == 0);
        let plain = File::options().write(true).open(world.path("a")).unwrap();
        let synchronous =
            File::options().write(true).custom_flags(libc::O_DSYNC).open(world.path("a")).unwrap();
        assert_eq!((writers().all, writers().synchronous), (2, 1));
        drop((plain, synchronous, reader));
        wait_for(|| writers().all == 0);
    });
}

/// The kernel tells of a close some time after it.
fn wait_for(done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(2));
    }
    panic!("it does not come to pass");
}

#[test]
fn many_write_sync_rename_and_remove_at_once() {
    both(|world| {
        thread::scope(|scope| {
            for worker in 0..8 {
                scope.spawn(move || churn(world, worker));
            }
        });
        assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 0);
    });
}

fn churn(world: &World, worker: u32) {
    for round in 0..40_u8 {
        let (name, next) = (format!("{worker}-{round}"), format!("{worker}-{round}-next"));
        let mut file = world.file(&name, &vec![round; 20_000]);
        file.sync_data().unwrap();
        std::fs::rename(world.path(&name), world.path(&next)).unwrap();
        file.write_all_at(&[round + 1; 100], 10_000).unwrap();
        file.sync_all().unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content.len(), 20_000);
        let again = std::fs::read(world.path(&next)).unwrap();
        assert_eq!((again[0], again[10_050], again[19_999]), (round, round + 1, round));
        std::fs::remove_file(world.path(&next)).unwrap();
    }
}
