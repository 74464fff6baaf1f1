//! Names: what a database does to directories.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, XattrFlags};
use walfs::fuse::filesystem::Ino;

use crate::world::both;

#[test]
fn a_rename_replaces_refuses_or_exchanges() {
    both(|world| {
        let (a, b) = (world.path("a"), world.path("b"));
        let rename = |flags| rustix::fs::renameat_with(CWD, &a, CWD, &b, flags);
        drop((world.file("a", b"A"), world.file("b", b"B")));
        assert_eq!(rename(RenameFlags::NOREPLACE), Err(rustix::io::Errno::EXIST));
        rename(RenameFlags::EXCHANGE).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), b"B");
        rename(RenameFlags::empty()).unwrap();
        assert_eq!(std::fs::read(&b).unwrap(), b"B");
        assert_eq!(std::fs::metadata(&a).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(&a, b"again").unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), b"again");
    });
}

#[test]
fn directories_move_with_what_is_in_them() {
    both(|world| {
        std::fs::create_dir_all(world.path("x/y")).unwrap();
        std::fs::write(world.path("x/y/file"), b"1").unwrap();
        let open = File::open(world.path("x/y/file")).unwrap();
        std::fs::rename(world.path("x"), world.path("z")).unwrap();
        assert_eq!(std::fs::read(world.path("z/y/file")).unwrap(), b"1");
        let ino = Ino(open.metadata().unwrap().ino());
        assert_eq!(world.mirror.path(ino).unwrap().unwrap().as_str(), "z/y/file");
        let parent = Ino(std::fs::metadata(world.path("z/y")).unwrap().ino());
        assert_eq!(
            world.mirror.child(parent, "new".as_ref()).unwrap().unwrap().as_str(),
            "z/y/new"
        );
        assert_eq!(world.mirror.child(Ino::ROOT, "top".as_ref()).unwrap().unwrap().as_str(), "top");
        let not_empty = std::fs::remove_dir(world.path("z/y")).unwrap_err();
        assert_eq!(not_empty.kind(), ErrorKind::DirectoryNotEmpty);
        std::fs::remove_file(world.path("z/y/file")).unwrap();
        assert_eq!(world.mirror.path(ino), Ok(None));
        std::fs::remove_dir(world.path("z/y")).unwrap();
    });
}

#[test]
fn links_lead_where_they_should() {
    both(|world| {
        drop(world.file("a", b"content"));
        std::fs::hard_link(world.path("a"), world.path("b")).unwrap();
        let (a, b) = (world.path("a").metadata().unwrap(), world.path("b").metadata().unwrap());
        assert_eq!((a.nlink(), b.nlink(), a.ino()), (2, 2, b.ino()));
        std::fs::remove_file(world.path("a")).unwrap();
        assert_eq!(std::fs::read(world.path("b")).unwrap(), b"content");
        assert_eq!(world.path("b").metadata().unwrap().nlink(), 1);

        std::os::unix::fs::symlink("b", world.path("s")).unwrap();
        assert_eq!(std::fs::read_link(world.path("s")).unwrap().to_str(), Some("b"));
        assert_eq!(std::fs::read(world.path("s")).unwrap(), b"content");
        std::os::unix::fs::lchown(world.path("s"), Some(5), Some(6)).unwrap();
        assert_eq!(world.path("s").symlink_metadata().unwrap().uid(), 5);
        assert_eq!(world.path("b").metadata().unwrap().uid(), 0);
    });
}

#[test]
fn pipes_are_made() {
    both(|world| {
        let mode = rustix::fs::Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(CWD, world.path("p"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(world.path("p").metadata().unwrap().file_type().is_fifo());
    });
}

#[test]
fn all_of_5000_names_are_listed_once() {
    both(|world| {
        let names: BTreeSet<String> =
            (0..5000).map(|number| format!("file-{number:024}")).collect();
        for name in &names {
            File::create_new(world.path(name)).unwrap();
        }
        let listed = || -> Vec<String> {
            let entries = std::fs::read_dir(world.path("")).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let all = listed();
        assert_eq!(all.len(), 5000);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), names);
        for entry in std::fs::read_dir(world.path("")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert_eq!(listed(), Vec::<String>::new());
    });
}

#[test]
fn attributes_are_kept() {
    both(|world| {
        let file = world.file("a", b"x");
        let set =
            |value: &[u8], flags| rustix::fs::setxattr(world.path("a"), "user.k", value, flags);
        set(b"value", XattrFlags::CREATE).unwrap();
        assert_eq!(set(b"", XattrFlags::CREATE), Err(rustix::io::Errno::EXIST));
        set(&[7; 1000], XattrFlags::REPLACE).unwrap();
        let mut buffer = vec![0; 2000];
        assert_eq!(rustix::fs::fgetxattr(&file, "user.k", &mut buffer[..]), Ok(1000));
        assert_eq!(rustix::fs::fgetxattr_query(&file, "user.k"), Ok(1000));
        let little = &mut buffer[..10];
        assert_eq!(rustix::fs::fgetxattr(&file, "user.k", little), Err(rustix::io::Errno::RANGE));
        let length = rustix::fs::listxattr(world.path("a"), &mut buffer[..]).unwrap();
        assert_eq!(&buffer[..length], b"user.k\0");
        rustix::fs::removexattr(world.path("a"), "user.k").unwrap();
        let gone = rustix::fs::fgetxattr(&file, "user.k", &mut buffer[..]);
        assert_eq!(gone, Err(rustix::io::Errno::NODATA));
    });
}

#[test]
fn times_are_set() {
    both(|world| {
        let file = world.file("a", b"x");
        let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
        assert_eq!(world.path("a").metadata().unwrap().modified().unwrap(), time);
        assert_eq!(world.beneath("a").metadata().unwrap().modified().unwrap(), time);
    });
}

#[test]
fn the_disk_shows_through() {
    both(|world| {
        let ours = rustix::fs::statvfs(world.path("")).unwrap();
        let beneath = rustix::fs::statvfs(world.beneath("")).unwrap();
        assert_eq!((ours.f_blocks, ours.f_frsize), (beneath.f_blocks, beneath.f_frsize));
        assert_eq!((ours.f_files, ours.f_namemax), (beneath.f_files, beneath.f_namemax));
        std::fs::create_dir(world.path("d")).unwrap();
        File::open(world.path("d")).unwrap().sync_all().unwrap();
        File::open(world.path("")).unwrap().sync_all().unwrap();
        assert_eq!(world.calls("fsyncdir"), 2);
    });
}

#[test]
fn a_name_that_was_missing_is_seen_once_it_is_there() {
    both(|world| {
        assert!(!world.path("late").exists());
        std::fs::write(world.beneath("late"), b"here").unwrap();
        assert_eq!(std::fs::read(world.path("late")).unwrap(), b"here");
    });
}

#[test]
fn the_kernel_believes_what_it_knows_until_it_is_told() {
    both(|world| {
        drop(world.file("a", b"old"));
        let ino = Ino(world.path("a").metadata().unwrap().ino());
        let kernel = world.mounted.kernel().unwrap();
        std::fs::write(world.beneath("a"), b"longer").unwrap();
        assert_eq!(world.path("a").metadata().unwrap().len(), 3);
        kernel.changed(ino);
        assert_eq!(world.path("a").metadata().unwrap().len(), 6);
        assert_eq!(std::fs::read(world.path("a")).unwrap(), b"longer");

        std::fs::rename(world.beneath("a"), world.beneath("b")).unwrap();
        assert!(world.path("a").exists());
        kernel.renamed(Ino::ROOT, "a".as_ref());
        assert!(!world.path("a").exists());
        kernel.renamed(Ino::ROOT, "never known".as_ref());
        kernel.changed(Ino(123_456_789));
    });
}

#[test]
fn a_file_named_by_link_is_known_by_that_name() {
    both(|world| {
        let file = world.file("temporary", b"segment");
        let ino = Ino(file.metadata().unwrap().ino());
        std::fs::hard_link(world.path("temporary"), world.path("segment")).unwrap();
        std::fs::remove_file(world.path("temporary")).unwrap();
        assert_eq!(world.mirror.path(ino).unwrap().unwrap().as_str(), "segment");
        std::fs::rename(world.path("segment"), world.path("recycled")).unwrap();
        assert_eq!(world.mirror.path(ino).unwrap().unwrap().as_str(), "recycled");
        std::fs::hard_link(world.path("recycled"), world.path("other")).unwrap();
        std::fs::remove_file(world.path("other")).unwrap();
        assert_eq!(world.mirror.path(ino).unwrap().unwrap().as_str(), "recycled");
        file.sync_data().unwrap();
    });
}
