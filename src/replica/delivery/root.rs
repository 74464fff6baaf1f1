//! The database's own directory on this host: where things are in it, and what they say.
//!
//! ```text
//! DB/trades~3/wal7            a link to ../.walfs/wal/trades~3/wal7
//! DB/.walfs/volume            which volume is delivered here
//! DB/.walfs/wal/trades~3/     this table is delivered; wal7/2/… its segments in place
//! DB/.walfs/new/              tables in the making
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use rustix::fs::{CWD, RenameFlags};

use crate::layout::questdb::delivery::statements::folded;
use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::registry::{self, Entry};
use crate::layout::questdb::table::Applied;
use crate::layout::questdb::txnlog::Form;
use crate::volume::VolumeId;

use super::files::{Owner, beginning, gone, read_up_to};

/// A `_txn` that changes while it is read is read so often.
const TRIES: usize = 1000;
/// A `_txn` is not longer: four million partitions.
const TXN_MAX: u64 = 1 << 28;
/// A registry is not longer.
const REGISTRY_MAX: u64 = 1 << 30;

/// The database's directory.
#[derive(Clone, Debug)]
pub(super) struct Root {
    path: PathBuf,
    pub(super) owner: Owner,
}

impl Root {
    /// The directory here, for this volume and no other.
    pub(super) fn open(path: &Path, volume: VolumeId) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        if !found.is_dir() {
            return Err(io::Error::other("is not a directory"));
        }
        let owner = Owner { user: Uid::from_raw(found.uid()), group: Gid::from_raw(found.gid()) };
        let root = Self { path: path.to_owned(), owner };
        root.owner.make_directory(&root.own("wal"))?;
        let note = root.own("volume");
        let volume = volume.to_string();
        match beginning(&note, 4096)? {
            None => root.owner.put(&note, volume.as_bytes())?,
            Some(bytes) if bytes == volume.as_bytes() => {}
            Some(_) => {
                return Err(io::Error::other(format!(
                    "another volume is delivered into it: see {}; use an empty directory",
                    note.display()
                )));
            }
        }
        gone(fs::remove_dir_all(root.own("new")))?;
        Ok(root)
    }

    /// Removes what a delivery keeps beside the database.
    pub(super) fn let_go(&self) -> io::Result<()> {
        gone(fs::remove_dir_all(self.own("wal")))?;
        gone(fs::remove_dir_all(self.own("new")))?;
        gone(fs::remove_file(self.own("volume")))
    }

    fn own(&self, name: &str) -> PathBuf {
        self.path.join(crate::fuse::hidden::NAME).join(name)
    }

    /// A table's directory.
    pub(super) fn table(&self, table: &Table) -> PathBuf {
        self.path.join(table.directory())
    }

    /// Where a new table is made, before it is seen.
    pub(super) fn new_table(&self, table: &Table) -> PathBuf {
        self.own("new").join(table.directory())
    }

    /// A file of a table's sequencer.
    pub(super) fn sequencer(&self, table: &Table, file: SequencerFile) -> PathBuf {
        self.path.join(table.sequencer(file))
    }

    /// Where a table's segments are put. It is there if the table is delivered.
    pub(super) fn wal(&self, table: &Table) -> PathBuf {
        self.own("wal").join(table.directory())
    }

    /// The tables that are delivered.
    pub(super) fn delivered(&self) -> io::Result<Vec<Table>> {
        let names = fs::read_dir(self.own("wal"))?;
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| Table::parse(&name)).collect())
    }

    /// The file of the registry that counts; `None` if there is none.
    pub(super) fn registry_file(&self) -> io::Result<Option<PathBuf>> {
        let number = |name: &str| name.strip_prefix("tables.d.")?.parse::<u64>().ok();
        let names = fs::read_dir(&self.path)?;
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let newest = names.filter_map(|name| number(&name)).max();
        Ok(newest.map(|newest| self.path.join(format!("tables.d.{newest}"))))
    }

    /// The registered tables, by directory.
    pub(super) fn registry(&self) -> io::Result<BTreeMap<String, Entry>> {
        let Some(file) = self.registry_file()? else { return Ok(BTreeMap::new()) };
        Ok(registry::parse(&beginning(&file, REGISTRY_MAX)?.unwrap_or_default()))
    }

    /// Whose name this is, as the server would see it when it starts: of a registered table, or of
    /// a directory that it will register.
    pub(super) fn holder(&self, name: &str) -> io::Result<Option<String>> {
        let registry = self.registry()?;
        let wanted = folded(name);
        let registered = registry.iter().find(|(_, entry)| folded(&entry.name) == wanted);
        if let Some((directory, _)) = registered {
            return Ok(Some(directory.clone()));
        }
        for entry in fs::read_dir(&self.path)? {
            let Ok(directory) = entry?.file_name().into_string() else { continue };
            if registry.contains_key(&directory) || Table::parse(&directory).is_none() {
                continue;
            }
            if self.name_of(&directory)?.is_some_and(|name| folded(&name) == wanted) {
                return Ok(Some(directory));
            }
        }
        Ok(None)
    }

    /// What a table's directory itself says of its name.
    fn name_of(&self, directory: &str) -> io::Result<Option<String>> {
        let bytes = beginning(&self.path.join(directory).join("_name"), 4096)?;
        let bytes = bytes.unwrap_or_default();
        Ok(crate::layout::questdb::bytes::text_at(&bytes, 0).map(|(name, _)| name))
    }

    /// Whether a table's directory is here, with all that a server needs to find it.
    pub(super) fn is_whole(&self, table: &Table) -> bool {
        let directory = self.table(table);
        directory.join("_txn").exists() && directory.join("txn_seq/_txnlog").exists()
    }

    /// The tables in directories that the registry does not name, and that a server which has
    /// tables of these names besides the registered ones must have found there.
    pub(super) fn unlisted(
        &self,
        registry: &BTreeMap<String, Entry>,
        names: &HashSet<&String>,
    ) -> io::Result<BTreeMap<String, Entry>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let Ok(directory) = entry?.file_name().into_string() else { continue };
            let Some(table) = Table::parse(&directory) else { continue };
            if registry.contains_key(&directory) || !self.is_whole(&table) {
                continue;
            }
            // A table that was renamed since is called what it was called when the server started.
            let candidates = [self.name_of(&directory)?, Some(table.first_name().to_owned())];
            let name = candidates.into_iter().flatten().find(|name| names.contains(name));
            if let Some(name) = name {
                let kind = self.kind(&directory);
                found.insert(directory, Entry { name, kind });
            }
        }
        Ok(found)
    }

    /// What the table in this directory is to the registry.
    fn kind(&self, directory: &str) -> i32 {
        let has = |file| self.path.join(directory).join(file).exists();
        if has("_mv") {
            2
        } else if has("_view") {
            3
        } else {
            1
        }
    }

    /// Whether a server has this directory. Asks nobody who could be disturbed by it.
    pub(super) fn is_served(&self) -> io::Result<bool> {
        let lock = match fs::metadata(self.path.join("tables.d.lock")) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let (major, minor) = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
        let wanted = format!("{major:02x}:{minor:02x}:{}", lock.ino());
        let locks = fs::read_to_string("/proc/locks")?;
        Ok(locks.lines().any(|line| line.split_whitespace().any(|word| word == wanted)))
    }

    /// Up to where a table was applied; `None` if there is no such table.
    pub(super) fn applied(&self, table: &Table) -> io::Result<Option<u64>> {
        let path = self.table(table).join("_txn");
        for _ in 0..TRIES {
            let Some(bytes) = beginning(&path, TXN_MAX)? else { return Ok(None) };
            let applied = Applied::parse(&bytes);
            let again = beginning(&path, 8)?.unwrap_or_default();
            if let Some(applied) = applied.filter(|it| again == it.version.to_le_bytes()) {
                return Ok(Some(applied.txn));
            }
            std::thread::yield_now();
        }
        Err(io::Error::other(format!("{} changes all the time", path.display())))
    }

    /// The beginning of the record of this commit, as far as every form of log has it.
    pub(super) fn record(
        &self,
        table: &Table,
        form: Form,
        txn: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let (file, start) = form.place(txn.max(1));
        let mut bytes = vec![0; 28];
        let read = File::open(self.sequencer(table, file))
            .and_then(|file| read_up_to(&file, start, &mut bytes));
        match read {
            Ok(read) => Ok((read == bytes.len()).then_some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The id that the next table will get, less one.
    pub(super) fn last_id(&self) -> io::Result<i64> {
        let bytes = beginning(&self.path.join(registry::LAST_ID), 8)?.unwrap_or_default();
        Ok(crate::layout::questdb::bytes::i64_at(&bytes, 0).unwrap_or(0))
    }

    /// Sets it.
    pub(super) fn set_last_id(&self, id: i64) -> io::Result<()> {
        let file = self.owner.open(&self.path.join(registry::LAST_ID))?;
        file.write_all_at(&id.to_le_bytes(), 0)
    }

    /// Where the segments of a writer are, seen from the table: a link to where they are put. A
    /// directory that is there takes its place where they are put, with all that is in it, in the
    /// moment in which the link takes its own: files that are open or mapped stay what they are.
    pub(super) fn link(&self, table: &Table, wal: u32) -> io::Result<()> {
        let name = format!("wal{wal}");
        let (seen, place) = (self.table(table).join(&name), self.wal(table).join(&name));
        let target = format!("../{}/wal/{table}/{name}", crate::fuse::hidden::NAME);
        match fs::symlink_metadata(&seen) {
            Ok(found) if found.is_symlink() => self.owner.make_directory(&place),
            Ok(_) => {
                gone(fs::remove_file(&place).or_else(|_| fs::remove_dir_all(&place)))?;
                std::os::unix::fs::symlink(&target, &place)?;
                self.owner.give(&place)?;
                Ok(rustix::fs::renameat_with(CWD, &seen, CWD, &place, RenameFlags::EXCHANGE)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.owner.make_directory(&place)?;
                std::os::unix::fs::symlink(&target, &seen)?;
                self.owner.give(&seen)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the link of a writer, if none of its segments is in place any longer.
    pub(super) fn unlink(&self, table: &Table, wal: u32) -> io::Result<()> {
        let name = format!("wal{wal}");
        if fs::remove_dir(self.wal(table).join(&name)).is_ok() {
            let seen = self.table(table).join(&name);
            if fs::symlink_metadata(&seen).is_ok_and(|found| found.is_symlink()) {
                gone(fs::remove_file(&seen))?;
            }
        }
        Ok(())
    }

    /// The numbers of the real directories of writers in a table.
    pub(super) fn real_wals(&self, table: &Table) -> io::Result<Vec<u32>> {
        let mut wals = Vec::new();
        for entry in fs::read_dir(self.table(table))? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("wal")?.parse().ok());
            if let Some(number) = number.filter(|_| entry.file_type().is_ok_and(|it| it.is_dir())) {
                wals.push(number);
            }
        }
        Ok(wals)
    }

    /// Stores how many commits the server may see: eight bytes at once.
    pub(super) fn publish(&self, table: &Table, max_txn: u64) -> io::Result<()> {
        let log = self.sequencer(table, SequencerFile::Log);
        let file = File::options().write(true).open(log)?;
        file.write_all_at(&max_txn.to_le_bytes(), crate::layout::questdb::txnlog::MAX_TXN)
    }
}
