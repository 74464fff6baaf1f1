//! Tables that begin and end: made and dropped in SQL while a server runs, by their files while
//! none does.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::layout::questdb::delivery::statements::{Kind, hydrate};
use crate::layout::questdb::names::SequencerFile;
use crate::layout::questdb::txnlog::{Form, HEADER, Header};
use crate::server::AgentError;

use super::files::{beginning, gone};
use super::ground::{Ground, NO_CREDENTIALS};
use super::source::{Log, Source};
use super::table::{Delivered, Next};
use super::trouble::Trouble;

/// A CREATE that was not answered may be carried out for so long.
const UNANSWERED: Duration = Duration::from_secs(60);
/// A directory that changed since is one that the server may be filling.
const MAKING: Duration = Duration::from_secs(30);

/// A sequencer's `_meta` is not longer.
pub(super) const META_MAX: u64 = 1 << 20;

impl Delivered {
    /// Makes a table that the server does not have. `None`: it is there now, to be looked at.
    pub(super) async fn make(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        log: &Log,
    ) -> Result<Option<Next>, Trouble> {
        self.kind = self.kind_in(source);
        let directory = ground.root.table(&self.table);
        let is_whole = directory.join("txn_seq/_txnlog").exists();
        if !ground.is_served().await? {
            if !is_whole {
                self.here = None;
                self.make_offline(ground, source, log).await?;
            }
            return Ok(None);
        }
        self.here = None;
        self.segments.forget(&mut ground.window);
        if ground.agent.is_none() {
            return Err(Trouble::NoServer(format!(
                "{} cannot be made while the server runs: {NO_CREDENTIALS}, or restart the server",
                self.table
            )));
        }
        if !ground.is_connected().await {
            return Err(Trouble::NoServer("the server does not answer yet".to_owned()));
        }
        if !ground.lacks(&self.table).await? {
            return Ok(None);
        }
        self.is_not_being_made(&directory)?;
        if directory.exists() {
            let applied = ground.root.applied(&self.table)?.unwrap_or(0);
            if applied > 0 || !ground.root.wal(&self.table).exists() {
                return Err(Trouble::Stopped(format!(
                    "{} is in the way, and the server does not know it: restart the server, or remove it",
                    directory.display()
                )));
            }
            fs::remove_dir_all(&directory)?;
        }
        self.make_live(ground, source, log).await?;
        Ok(None)
    }

    /// Whether the server can have nothing to do with this directory: what it is making it lists
    /// last of all.
    fn is_not_being_made(&mut self, directory: &Path) -> Result<(), Trouble> {
        let log = beginning(&directory.join("txn_seq/_txnlog"), HEADER)?.unwrap_or_default();
        if Header::parse(&log).is_some_and(|header| header.max_txn > 0) {
            // It was made long ago.
            self.unanswered = None;
            return Ok(());
        }
        let waits = self.unanswered.is_some_and(|then| then.elapsed() < UNANSWERED);
        if waits || (directory.exists() && is_younger(directory, MAKING)?) {
            return Err(Trouble::Later(format!("the server may be making {}", self.table)));
        }
        self.unanswered = None;
        Ok(())
    }

    async fn make_live(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        log: &Log,
    ) -> Result<(), Trouble> {
        let name = self.table.first_name().to_owned();
        self.name_is_free(ground, &name)?;
        let first_meta = source.whole(&self.table.sequencer(SequencerFile::FirstMeta)).await?;
        let definition = match self.kind.definition() {
            Some(file) => source.whole(&self.table.sequencer(file)).await?,
            None => bytes::Bytes::new(),
        };
        let statement = self.kind.create(&name, &first_meta, &definition).ok_or_else(|| {
            Trouble::Stopped(format!("how {} was made cannot be read", self.table))
        })?;
        let begun = Instant::now();
        ground.root.owner.make_directory(&ground.root.wal(&self.table))?;
        let (last, id) = (ground.root.last_id()?, i64::from(self.table.id()));
        ground.root.set_last_id(id - 1)?;
        let made = ground.say(&statement).await;
        ground.root.set_last_id(ground.root.last_id()?.max(last).max(id))?;
        if matches!(made, Err(AgentError::Away(_))) {
            self.unanswered = Some(Instant::now());
        }
        made.map_err(|error| match Trouble::from(error) {
            Trouble::Later(why) => Trouble::Waits(format!(
                "{name} cannot be made yet: {why}. If that stays, stop the server: it is made then, \
                 and there at the server's next start"
            )),
            other => other,
        })?;
        ground.refresh()?;
        if ground.entry(&self.table).is_none() {
            // Somebody else made a table in this moment, and got its id.
            if ground.registry.values().any(|entry| entry.name == name) {
                ground.say(&self.kind.drop(&name)).await?;
            }
            return Err(Trouble::Later(format!("{} came out under another id", self.table)));
        }
        let meta = ground.root.sequencer(&self.table, SequencerFile::Meta);
        let as_made = beginning(&meta, META_MAX)?;
        self.seed(ground, source, log).await?;
        ground.say(&hydrate(&name)).await?;
        // The server keeps in mind what it made, until it has closed the table's sequencer.
        if as_made != beginning(&meta, META_MAX)? || matches!(log.form, Form::Parts(_)) {
            self.hold(ground).await?;
        }
        self.is_forgotten = true;
        info!(table = %self.table, kind = ?self.kind, took = ?begun.elapsed(), "made");
        Ok(())
    }

    /// Publishes nothing before the server has forgotten what it knows of the table.
    pub(super) async fn hold(&mut self, ground: &mut Ground) -> Result<(), Trouble> {
        let until = Instant::now() + ground.closes_after().await?;
        debug!(table = %self.table, "waits until the server has closed its sequencer");
        self.rename.hold(until);
        Ok(())
    }

    async fn make_offline(
        &mut self,
        ground: &mut Ground,
        source: &Source,
        log: &Log,
    ) -> Result<(), Trouble> {
        self.name_is_free(ground, self.table.first_name())?;
        let new = ground.root.new_table(&self.table);
        gone(fs::remove_dir_all(&new))?;
        ground.root.owner.make_directory(&new)?;
        self.seed_into(ground, source, log, &new).await?;
        ground.root.owner.make_directory(&ground.root.wal(&self.table))?;
        let directory = ground.root.table(&self.table);
        gone(fs::remove_dir_all(&directory))?;
        fs::rename(&new, &directory)?;
        let id = i64::from(self.table.id());
        ground.root.set_last_id(ground.root.last_id()?.max(id))?;
        info!(table = %self.table, "made for the next start of the server");
        Ok(())
    }

    /// Other tables may have to go on before a name is free.
    pub(super) fn name_is_free(&self, ground: &Ground, name: &str) -> Result<(), Trouble> {
        let holder = ground.root.holder(name)?;
        match holder.filter(|holder| *holder != self.table.directory().as_str()) {
            None => Ok(()),
            Some(holder) => Err(Trouble::Waits(format!("its name {name} is still {holder}'s"))),
        }
    }

    fn kind_in(&self, source: &Source) -> Kind {
        let has = |file| source.file(&self.table.sequencer(file)).is_some();
        if has(SequencerFile::MatView) {
            Kind::MatView
        } else if has(SequencerFile::View) {
            Kind::View
        } else {
            Kind::Table
        }
    }

    /// The volume does not have the table any more.
    pub(super) async fn vanish(
        &mut self,
        ground: &mut Ground,
        source: &Source,
    ) -> Result<Next, Trouble> {
        self.wanted = 0;
        if ground.entry(&self.table).is_none() {
            return self.let_go(ground).await;
        }
        if !ground.root.wal(&self.table).exists() {
            // It was never delivered: it is this server's own.
            return Ok(Next::Gone);
        }
        self.drop_here(ground, source).await
    }

    /// Drops the table where its commits do not.
    pub(super) async fn drop_here(
        &mut self,
        ground: &mut Ground,
        source: &Source,
    ) -> Result<Next, Trouble> {
        let Some(entry) = ground.entry(&self.table).cloned() else {
            return self.let_go(ground).await;
        };
        if ground.agent.is_none() {
            let why = format!("{} was dropped, and is still here: {NO_CREDENTIALS}", self.table);
            return Err(Trouble::NoServer(why));
        }
        self.have_views(ground, source).await?;
        let kind = Kind::of(entry.kind).unwrap_or(self.kind);
        ground.say(&kind.drop(&entry.name)).await?;
        warn!(table = %self.table, name = entry.name, "dropped: the volume does not have it any more");
        ground.refresh()?;
        Ok(Next::Soon)
    }

    /// The server does not have the table, and shall not.
    pub(super) async fn let_go(&mut self, ground: &mut Ground) -> Result<Next, Trouble> {
        let directory = ground.root.table(&self.table);
        self.segments.forget(&mut ground.window);
        (self.here, self.wanted) = (None, 0);
        if ground.root.wal(&self.table).exists() && ground.is_served().await? {
            self.is_not_being_made(&directory)?;
        }
        if ground.root.is_whole(&self.table) && ground.root.wal(&self.table).exists() {
            // It was made for a server that has not started since: none shall find it.
            if ground.is_served().await? && !ground.is_connected().await {
                return Err(Trouble::NoServer("the server does not answer yet".to_owned()));
            }
            if !ground.lacks(&self.table).await? {
                return Err(Trouble::Later(format!("the server has just made {}", self.table)));
            }
            gone(fs::remove_dir_all(directory))?;
        }
        gone(fs::remove_dir_all(ground.root.wal(&self.table)))?;
        Ok(Next::Gone)
    }
}

/// Whether a file or directory changed within this time, by a clock that may have been set since.
pub(super) fn is_younger(path: &Path, age: Duration) -> io::Result<bool> {
    let since = fs::metadata(path)?.modified()?.elapsed();
    Ok(since.unwrap_or_else(|early| early.duration()) < age)
}
