//! A takeover: a database's directory that was delivered into becomes one that its server writes.
//! The server is stopped. What it has not applied is put in place as plain directories, the logs
//! are those of the volume, tables have the names that they have there, and the server's counters
//! are beyond everything that was ever used. (Steps: QuestDB opens a sequencer by its `_meta`, gives
//! a writer the number after `_wal_index.d`, and a table the id after `_tab_index.d`.)
//!
//! Can be begun afresh after it was interrupted at any point.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags};
use tokio::runtime::Handle as Runtime;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::layout::questdb::bytes::i64_at;
use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::registry::{self, Entry};
use crate::layout::questdb::structure_of;
use crate::layout::questdb::txnlog::What;
use crate::replica::shown::Shown;
use crate::volume::VolumeId;

use super::account::Account;
use super::attach::OWN_WALS;
use super::files::{beginning, gone};
use super::ground::Ground;
use super::making::META_MAX;
use super::news::News;
use super::root::Root;
use super::rounds::Rounds;
use super::source::{Log, Source, parse};
use super::table::new_name;
use super::trouble::Trouble;

/// Between two rounds that moved nothing.
const PAUSE: Duration = Duration::from_millis(20);
/// So many rounds that move nothing are too many.
const ROUNDS_MAX: u32 = 500;
/// Writers take numbers by so many at a time (`WAL_INDEX` batches of 512, outside nosync).
const WALS_APART: i64 = 512;

/// Makes this directory that of a primary, as the volume is shown. Blocks.
pub fn settle(
    directory: &OwnedFd,
    volume: VolumeId,
    shown: &Arc<Shown>,
    runtime: &Runtime,
) -> io::Result<()> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let root = Root::open(&path, volume)?;
    if root.is_served()? {
        return Err(io::Error::other("a server runs in it: stop it first"));
    }
    let settling = Settling { root, source: Source::new(shown) };
    runtime.block_on(async {
        let (news, account) = (Arc::<News>::default(), Arc::<Account>::default());
        let ground = Ground::new(settling.root.clone(), u64::MAX, None);
        Rounds::new(ground, Arc::clone(shown), news, account).until_published().await?;
        settling.run().await.map_err(|trouble| io::Error::other(trouble.to_string()))
    })?;
    rustix::fs::syncfs(directory)?;
    Ok(())
}

impl Rounds {
    /// Goes on until everything that the volume has is published here.
    async fn until_published(mut self) -> io::Result<()> {
        self.begin();
        for _ in 0..ROUNDS_MAX {
            self.round().await?;
            match self.unpublished() {
                None => return Ok(()),
                Some((table, Some(Trouble::Stopped(why) | Trouble::Gap(why)))) => {
                    return Err(io::Error::other(format!("table {table}: {why}")));
                }
                Some(_) => sleep(PAUSE).await,
            }
        }
        let left = self.unpublished().map(|(table, why)| match why {
            Some(why) => format!("table {table} cannot be put in place: {why}"),
            None => format!("table {table} cannot be put in place"),
        });
        Err(io::Error::other(left.unwrap_or_default()))
    }
}

/// A directory that is being settled.
#[derive(Debug)]
struct Settling {
    root: Root,
    source: Source,
}

impl Settling {
    async fn run(&self) -> Result<(), Trouble> {
        let mut last_id = self.root.last_id()?;
        for table in self.source.tables() {
            let Some(log) = self.source.log(&table).await? else { continue };
            last_id = last_id.max(i64::from(table.id()));
            if !self.source.is_dropped(&table, &log).await? {
                self.name(&table, &log).await?;
                self.sequencer(&table, &log).await?;
            }
        }
        for table in self.root.delivered()? {
            self.writers_directories(&table)?;
        }
        self.root.set_last_id(last_id)?;
        self.root.let_go()?;
        info!("the database is this host's own now");
        Ok(())
    }

    /// The structure is the volume's, and no writer gets a number that was used.
    async fn sequencer(&self, table: &Table, log: &Log) -> Result<(), Trouble> {
        let bytes = self.source.records(table, log.form, (0, log.txns)).await?;
        let (mut structure, mut wal) = (0, 0_i64);
        for record in parse(log.form, &bytes)? {
            structure = structure.max(record.structure);
            if let What::Event { wal: of, .. } = record.what {
                wal = wal.max(i64::from(of));
            }
        }
        let path = self.root.sequencer(table, SequencerFile::Meta);
        let theirs = self.source.whole(&table.sequencer(SequencerFile::Meta)).await?;
        let mine = beginning(&path, META_MAX)?.unwrap_or_default();
        if structure_of(&theirs) == Some(structure) {
            self.root.owner.put(&path, &theirs)?;
        } else if structure_of(&mine) != Some(structure) {
            warn!(%table, structure, "the table's last change was not shipped whole: if writing to it fails, restart the server once it has applied everything");
        }
        let path = self.root.table(table).join("txn_seq/_wal_index.d");
        let now = beginning(&path, 8)?.and_then(|bytes| i64_at(&bytes, 0)).unwrap_or(0);
        // The numbers that a replica's server gave its own writers are for replicas only.
        let now = if now < i64::from(OWN_WALS) { now } else { 0 };
        let file = self.root.owner.open(&path)?;
        file.write_all_at(&now.max(wal + WALS_APART).to_le_bytes(), 0)?;
        Ok(())
    }

    /// The server knows the table by the name that it has in the volume.
    async fn name(&self, table: &Table, log: &Log) -> Result<(), Trouble> {
        let registry = self.root.registry()?;
        let Some(entry) = registry.get(table.directory().as_str()) else { return Ok(()) };
        let mut name = table.first_name().to_owned();
        let bytes = self.source.records(table, log.form, (0, log.txns)).await?;
        for record in parse(log.form, &bytes)? {
            if record.what == What::Change
                && let Some(other) = new_name(&self.source, table, record.structure).await?
            {
                name = other;
            }
        }
        if entry.name != name {
            self.register(table, entry, &name)?;
            info!(%table, old = entry.name, name, "renamed");
        }
        Ok(())
    }

    /// Registers a table under another name: the entries first, and where they end last.
    fn register(&self, table: &Table, entry: &Entry, name: &str) -> io::Result<()> {
        let Some(path) = self.root.registry_file()? else { return Ok(()) };
        let file = File::options().read(true).write(true).open(path)?;
        let mut end = [0; 8];
        file.read_exact_at(&mut end, 0)?;
        let end = u64::from_le_bytes(end);
        let renamed = registry::renamed(table, entry, name);
        file.write_all_at(&renamed, end)?;
        let len = u64::try_from(renamed.len()).map_err(io::Error::other)?;
        file.write_all_at(&(end + len).to_le_bytes(), 0)
    }

    /// What a link led to takes the link's place.
    fn writers_directories(&self, table: &Table) -> io::Result<()> {
        let Ok(names) = fs::read_dir(self.root.table(table)) else { return Ok(()) };
        for entry in names {
            let entry = entry?;
            let is_writers = entry.file_name().to_str().is_some_and(|name| name.starts_with("wal"));
            if !is_writers || !entry.file_type()?.is_symlink() {
                continue;
            }
            let (seen, place) = (entry.path(), self.root.wal(table).join(entry.file_name()));
            if place.is_dir() {
                rustix::fs::renameat_with(CWD, &seen, CWD, &place, RenameFlags::EXCHANGE)?;
                gone(fs::remove_file(&place))?;
            } else {
                gone(fs::remove_file(&seen))?;
            }
        }
        Ok(())
    }
}
