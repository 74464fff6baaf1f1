//! A file that appears whole, under a name that nobody had: written beside its place, synced, and
//! linked there. On a network file system the answer to a link may get lost, and the one to its
//! repetition is that the name exists; whether it is ours then, the number of links tells.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

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
    let placed = written.and_then(|()| settle(fs::hard_link(&beside, path), &file));
    let removed = fs::remove_file(&beside);
    placed?;
    removed?;
    File::open(directory)?.sync_all()
}

fn write(file: &mut File, parts: &[Bytes]) -> io::Result<()> {
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
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
        fs::hard_link(&beside, &path).unwrap();
        assert!(settle(taken(), &file).is_ok());
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
