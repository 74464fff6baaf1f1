//! A file that appears whole, under a name that nobody had: written beside its place, synced, and
//! linked there. On a network file system the answer to a link may get lost, and the one to its
//! repetition is that the name exists; whether it is ours then, the number of links tells.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, linkat};

/// So many files beside one name mean that something is wrong.
const BESIDE_MAX: u32 = 1000;

/// Creates the file, unless its name is taken: then the error is `AlreadyExists`.
pub(super) fn create(root: &Path, path: &Path, parts: &[Bytes]) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let directory = path.parent().unwrap_or(root);
    create_directories(root, directory)?;
    let (beside, mut file) = open_beside(path)?;
    let written = write(&mut file, parts);
    let placed = written.and_then(|()| settle(link(&file, path), &file));
    let removed = fs::remove_file(&beside);
    placed?;
    forgive_absence(removed)?;
    File::open(directory)?.sync_all()
}

fn write(file: &mut File, parts: &[Bytes]) -> io::Result<()> {
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// Gives the file its name: this very file, whatever the name beside has come to mean. A writer who
/// slept may find that it was swept, or even that another one has taken it since.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, source, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Somebody was faster: it was to be gone.
pub(super) fn forgive_absence(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// What a link's answer means for the file that was to be linked.
fn settle(answer: io::Result<()>, file: &File) -> io::Result<()> {
    match answer {
        Err(error) if file.metadata()?.nlink() != 2 => Err(error),
        _ => Ok(()),
    }
}

/// `NAME#N`: no object can have such a name, and no list shows it.
fn open_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    for number in 1..=BESIDE_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        let beside = PathBuf::from(name);
        match File::options().write(true).create_new(true).open(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            answer => return answer.map(|file| (beside, file)),
        }
    }
    let path = path.display();
    Err(io::Error::other(format!("{path} has {BESIDE_MAX} unfinished files beside it")))
}

/// Those that are missing, each synced into the one above it.
fn create_directories(root: &Path, directory: &Path) -> io::Result<()> {
    if directory == root || directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().unwrap_or(root);
    create_directories(root, above)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(above)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_whose_first_answer_was_lost_is_ours() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("name");
        let (beside, file) = open_beside(&path).unwrap();
        let taken = || Err(ErrorKind::AlreadyExists.into());
        assert!(settle(taken(), &file).is_err(), "nobody linked it");
        link(&file, &path).unwrap();
        assert!(settle(taken(), &file).is_ok());
        fs::remove_file(beside).unwrap();
    }

    #[test]
    fn a_slow_writer_whose_file_was_swept_fails_though_its_name_was_taken_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("name");
        let (beside, mut slow) = open_beside(&path).unwrap();
        fs::remove_file(&beside).unwrap();
        let (taken_again, mut other) = open_beside(&path).unwrap();
        assert_eq!(beside, taken_again);
        write(&mut slow, &[Bytes::from_static(b"of the slow one")]).unwrap();
        settle(link(&slow, &path), &slow).unwrap_err();
        assert!(!path.exists(), "half of another's file was not put in place");
        write(&mut other, &[Bytes::from_static(b"whole")]).unwrap();
        settle(link(&other, &path), &other).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_taken_name_keeps_its_bytes_and_nothing_stays_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/name");
        create(root.path(), &path, &[Bytes::from_static(b"1"), Bytes::from_static(b"2")]).unwrap();
        let error = create(root.path(), &path, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"12");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
