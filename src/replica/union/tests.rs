//! The mount of a replica, call by call and through the kernel.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, mpsc};

use nix::errno::Errno;

use super::Union;
use crate::fuse::filesystem::{
    Answer, Caller, Change, Entry, FileSystem, Ino, Io, Opened, Reply, Stamp,
};
use crate::fuse::mount::{MountPoint, Passthrough, Settings};
use crate::replica::lab::{Lab, Reader, noise, path};
use crate::replica::settings::Access;
use crate::replica::view::Change as Renamed;
use crate::volume::Edit;

const CALLER: Caller = Caller { uid: 0, gid: 0, pid: 1, request: 0, again: false };
const SEGMENT: &str = "000000010000000000000001";
const NEXT: &str = "000000010000000000000002";
const MIB: u64 = 1 << 20;

fn ask<T: Send + 'static>(call: impl FnOnce(Reply<T>)) -> Answer<T> {
    let (tell, told) = mpsc::channel();
    call(Reply::new(move |answer| tell.send(answer).unwrap()));
    told.recv().unwrap()
}

fn look(union: &Union, name: &str) -> Answer<Entry> {
    union.lookup(Ino::ROOT, OsStr::new(name))
}

fn open(union: &Union, name: &str, flags: i32) -> Answer<Opened> {
    let ino = look(union, name)?.attr.ino;
    ask(|reply| union.open(CALLER, ino, flags, reply))
}

fn create(union: &Union, name: &str) -> Answer<Opened> {
    let flags = libc::O_RDWR | libc::O_EXCL | libc::O_CREAT;
    let name = OsStr::new(name);
    ask(|reply| union.create(CALLER, Ino::ROOT, name, 0o600, flags, reply)).map(|(_, it)| it)
}

fn names(union: &Union, dir: Ino) -> Vec<String> {
    let (mut names, mut offset) = (Vec::new(), 0);
    loop {
        // In pieces of three, as if the kernel's buffer were small.
        let mut piece = Vec::new();
        let mut add = |entry: crate::fuse::filesystem::DirEntry, next| {
            piece.push((entry.name.into_string().unwrap(), next));
            piece.len() < 3
        };
        union.readdir(dir, offset, &mut add).unwrap();
        let Some((_, last)) = piece.last() else { break };
        offset = *last;
        names.extend(piece.into_iter().map(|(name, _)| name));
    }
    names.sort();
    names
}

/// A volume with a segment, sealed after it came as tail, and an open one.
async fn volume() -> Lab {
    let mut lab = Lab::new().await;
    let bytes = noise(1, usize::try_from(MIB).unwrap());
    lab.write(SEGMENT, MIB, 0, &bytes);
    lab.publish().await;
    lab.seal(&[(SEGMENT, &bytes)]).await;
    lab.write(NEXT, MIB, 0, &noise(2, 8192));
    lab.publish().await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn names_from_the_store_cannot_be_changed() {
    let lab = volume().await;
    let (union, _reader) = lab.union(Access::Union).await;
    let ino = look(&union, SEGMENT).unwrap().attr.ino;
    let handle = open(&union, SEGMENT, libc::O_RDWR).unwrap().handle;
    let (segment, other) = (OsStr::new(SEGMENT), OsStr::new("other"));
    let truncate = Change { size: Some(0), ..Change::default() };
    let read_only = Err(Errno::EROFS);
    assert_eq!(ask(|it| union.write(ino, handle, 0, b"x", 0, it)), read_only);
    assert_eq!(ask(|it| union.fsync(ino, handle, false, it)), Ok(()));
    assert_eq!(union.setattr(ino, None, truncate).unwrap_err(), Errno::EROFS);
    assert_eq!(union.fallocate(ino, handle, 0, 1, 0), Err(Errno::EROFS));
    assert_eq!(union.link(ino, Ino::ROOT, other).unwrap_err(), Errno::EROFS);
    assert_eq!(union.setxattr(ino, other, b"", 0), Err(Errno::EROFS));
    assert_eq!(union.rename((Ino::ROOT, segment), (Ino::ROOT, other), 0), Err(Errno::EROFS));
    create(&union, "xlogtemp.1").unwrap();
    let local = (Ino::ROOT, OsStr::new("xlogtemp.1"));
    let future = OsStr::new("000000020000000000000002");
    assert_eq!(union.rename(local, (Ino::ROOT, segment), 0), Err(Errno::EROFS));
    assert_eq!(union.rename(local, (Ino::ROOT, future), 0), Err(Errno::EROFS));
    assert_eq!(create(&union, SEGMENT).unwrap_err(), Errno::EEXIST);
    assert_eq!(create(&union, "000000020000000000000002").unwrap_err(), Errno::EROFS);
    assert_eq!(look(&union, "000000020000000000000002").unwrap_err(), Errno::ENOENT);
    let attr = union.getattr(ino, None).unwrap().attr;
    let same = Change {
        mode: Some(attr.mode),
        modified: Some(Stamp::At(attr.modified)),
        ..Change::default()
    };
    assert!(union.setattr(ino, None, same).is_ok());
    assert_eq!((attr.mode & 0o777, attr.size), (0o600 | attr.mode & 0o066, MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_name_from_the_store_is_remembered_here_and_changes_nothing_there() {
    let lab = volume().await;
    let (union, reader) = lab.union(Access::Union).await;
    fs::write(lab.directory.path().join("beneath").join(SEGMENT), b"an old copy").unwrap();
    union.unlink(Ino::ROOT, OsStr::new(SEGMENT)).unwrap();
    assert_eq!(look(&union, SEGMENT).unwrap_err(), Errno::ENOENT);
    assert_eq!(union.unlink(Ino::ROOT, OsStr::new(SEGMENT)), Err(Errno::ENOENT));
    assert_eq!(names(&union, Ino::ROOT), [".", "..", ".walfs", NEXT]);
    assert!(reader.shown.see(&path(SEGMENT)).is_some());
    drop((union, reader));
    let (union, _reader) = lab.union(Access::Union).await;
    assert_eq!(look(&union, SEGMENT).unwrap_err(), Errno::ENOENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_name_stays_removed_while_an_early_view_lacks_it() {
    let lab = volume().await;
    let (union, _) = lab.union(Access::Union).await;
    union.unlink(Ino::ROOT, OsStr::new(SEGMENT)).unwrap();
    drop(union);
    let beneath = File::open(lab.directory.path().join("beneath")).unwrap();
    let (union, mut reader) = lab.union_that_starts(beneath.into(), Access::Union);
    union.tell(&[Renamed::Name(path("another"))]);
    reader.follower.start().await.unwrap();
    assert_eq!(names(&union, Ino::ROOT), [".", "..", ".walfs", NEXT]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_shows_both_and_the_store_wins() {
    let mut lab = volume().await;
    lab.edit(Edit::Set { path: path("a/b/pointer"), content: "to".into() });
    lab.publish().await;
    let beneath = lab.directory.path().join("beneath");
    fs::create_dir_all(beneath.join("a/local")).unwrap();
    fs::write(beneath.join(NEXT), b"an old copy").unwrap();
    let (union, _reader) = lab.union(Access::Union).await;
    assert_eq!(names(&union, Ino::ROOT), [".", "..", ".walfs", SEGMENT, NEXT, "a"]);
    assert_eq!(look(&union, NEXT).unwrap().attr.size, MIB);
    let a = look(&union, "a").unwrap().attr.ino;
    assert_eq!(names(&union, a), [".", "..", "b", "local"]);
    assert_eq!(union.lookup(a, OsStr::new("local")).unwrap().attr.mode & 0o170_000, 0o040_000);
    let b = union.lookup(a, OsStr::new("b")).unwrap().attr.ino;
    union.mkdir(CALLER, b, OsStr::new("made"), 0o700).unwrap();
    assert!(beneath.join("a/b/made").is_dir());
    assert_eq!(names(&union, b), [".", "..", "made", "pointer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_replica_shows_the_volume_and_nothing_else() {
    let lab = volume().await;
    fs::create_dir(lab.directory.path().join("beneath")).unwrap();
    fs::write(lab.directory.path().join("beneath/local"), b"").unwrap();
    let (union, _reader) = lab.union(Access::ReadOnly).await;
    assert_eq!(names(&union, Ino::ROOT), [".", "..", SEGMENT, NEXT]);
    assert_eq!(look(&union, "local").unwrap_err(), Errno::ENOENT);
    assert_eq!(create(&union, "xlogtemp.1").unwrap_err(), Errno::EROFS);
    assert_eq!(union.unlink(Ino::ROOT, OsStr::new(SEGMENT)), Err(Errno::EROFS));
    assert_eq!(union.mkdir(CALLER, Ino::ROOT, OsStr::new("d"), 0).unwrap_err(), Errno::EROFS);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_in_the_kernel_and_writers_do_not_mix() {
    let lab = volume().await;
    let (union, reader) = lab.union(Access::Union).await;
    let seen = reader.shown.see(&path(SEGMENT)).unwrap();
    let ino = look(&union, SEGMENT).unwrap().attr.ino;
    let writer = open(&union, SEGMENT, libc::O_RDWR).unwrap();
    verified(&reader, &seen).await;
    let kept_out = open(&union, SEGMENT, libc::O_RDONLY).unwrap();
    assert!(matches!((&writer.io, &kept_out.io), (Io::Daemon, Io::Daemon)));
    union.release(ino, writer.handle);
    let in_kernel = open(&union, SEGMENT, libc::O_RDONLY).unwrap();
    assert!(matches!(in_kernel.io, Io::Passthrough(_)));
    assert_eq!(open(&union, SEGMENT, libc::O_WRONLY).unwrap_err(), Errno::EROFS);
    union.release(ino, in_kernel.handle);
    union.release(ino, kept_out.handle);
    assert!(open(&union, SEGMENT, libc::O_WRONLY).is_ok());
}

async fn verified(reader: &Reader, seen: &crate::replica::view::Seen) {
    reader.shown.fetch_ahead(seen, 0);
    while reader.shown.whole(seen).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_replica_shows_what_is_published_at_once() {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("skipped: there is no /dev/fuse");
        return;
    }
    for passthrough in [Passthrough::Auto, Passthrough::Off] {
        follow_mounted(passthrough).await;
    }
}

async fn follow_mounted(passthrough: Passthrough) {
    let mut lab = volume().await;
    let point = lab.directory.path().join("mount");
    fs::create_dir(&point).unwrap();
    fs::set_permissions(&point, fs::Permissions::from_mode(0o700)).unwrap();
    let over = MountPoint::open(&point).unwrap();
    let beneath = over.directory().try_clone().unwrap();
    let (union, mut reader) = lab.union_over(beneath, Access::Union).await;
    let settings = Settings {
        insists: false,
        source: "memory://lab".to_owned(),
        read_only: false,
        passthrough,
    };
    let mounted = over.mount(Arc::<Union>::clone(&union), &settings).unwrap();
    union.set_kernel(mounted.kernel().unwrap());

    let segment = noise(1, usize::try_from(MIB).unwrap());
    for _ in 0..3 {
        assert!(fs::read(point.join(SEGMENT)).unwrap() == segment);
        let seen = reader.shown.see(&path(SEGMENT)).unwrap();
        verified(&reader, &seen).await;
    }
    let writer = OpenOptions::new().read(true).write(true).open(point.join(SEGMENT)).unwrap();
    writer.sync_all().unwrap();
    assert_eq!(writer.write_at(b"x", 0).unwrap_err().raw_os_error(), Some(libc::EROFS));
    drop(writer);

    let tail = File::open(point.join(NEXT)).unwrap();
    for round in 3..20 {
        let (mut page, bytes) = (vec![0; 8192], noise(round, 8192));
        tail.read_exact_at(&mut page, 8192).unwrap();
        lab.write(NEXT, MIB + round, 8192, &bytes);
        lab.publish().await;
        reader.follower.step().await;
        assert_eq!(tail.metadata().unwrap().size(), MIB + round);
        tail.read_exact_at(&mut page, 8192).unwrap();
        assert!(page == bytes, "the open file, round {round}");
        assert!(fs::read(point.join(NEXT)).unwrap()[8192..16384] == bytes);
    }
    assert!(fs::metadata(point.join("later")).is_err());
    lab.write("later", 5, 0, b"later");
    lab.edit(Edit::Remove { path: path(SEGMENT) });
    lab.publish().await;
    reader.follower.step().await;
    assert_eq!(fs::read(point.join("later")).unwrap(), b"later");
    assert!(fs::metadata(point.join(SEGMENT)).is_err());
    fs::write(point.join("xlogtemp.7"), b"local").unwrap();
    drop(tail);
    drop(mounted);
    assert_eq!(fs::read(point.join("xlogtemp.7")).unwrap(), b"local");
    assert!(fs::metadata(point.join(NEXT)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_and_syncing_every_file_fetches_nothing() {
    let mut lab = Lab::new().await;
    lab.seal(&[(SEGMENT, &noise(1, 9000))]).await;
    lab.seal(&[(NEXT, &noise(2, 9000))]).await;
    lab.publish().await;
    let (union, reader) = lab.union(Access::Union).await;
    let gets = reader.gets();
    for (name, flags) in [(SEGMENT, libc::O_RDONLY), (SEGMENT, libc::O_RDWR), (NEXT, 0)] {
        let ino = look(&union, name).unwrap().attr.ino;
        let handle = open(&union, name, flags).unwrap().handle;
        ask(|it| union.fsync(ino, handle, false, it)).unwrap();
        union.release(ino, handle);
    }
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(reader.gets(), gets);
}
