//! Holding a world against the books: what the replicas show on the way, and that everything
//! arrives once the weather is calm.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use walfs::store::faulty::Weather;
use walfs::store::{Chain, Store, fetch_frames};
use walfs::volume::Manifest;

use crate::life::Life;
use crate::world::{Trouble, World};
use rand::RngExt;

/// How long everything may take to come to rest once the weather is calm.
const QUIET: Duration = Duration::from_secs(900);

impl World {
    /// Holds what the replicas show against the books.
    pub(crate) async fn look(&mut self) -> Result<(), Trouble> {
        let which = self.rng.random_range(0..self.replicas.len());
        let Some(files) = self.replicas[which].read_all().await? else { return Ok(()) };
        let host = &self.hosts[self.reigning];
        self.books.settle(&host.disk, host.redo)?;
        let records = self.books.check(&files)?;
        self.replicas[which].saw(records)?;
        self.say(format!("replica {which} shows {records} records"));
        Ok(())
    }

    /// Calm weather, everything runs: all of the WAL has to arrive everywhere.
    pub(crate) async fn come_to_rest(&mut self) -> Result<(), Trouble> {
        self.sky.set_outage(false);
        self.sky.set_weather(Weather::CALM);
        self.say("calm for good");
        let deadline = Instant::now() + QUIET;
        loop {
            self.mend().await?;
            sleep(Duration::from_secs(5)).await;
            if self.is_at_rest().await? {
                return self.last_look().await;
            }
            if Instant::now() > deadline {
                return Err("the volume does not come to rest".to_owned());
            }
        }
    }

    /// The backlog is empty and the replicas show everything.
    async fn is_at_rest(&mut self) -> Result<bool, Trouble> {
        let host = &self.hosts[self.reigning];
        let (Some(database), Some(node)) = (&host.database, &host.node) else { return Ok(false) };
        if !node.life.goes_on() || node.front.account().backlog > 0 {
            return Ok(false);
        }
        let (records, held) = (database.next_number(), host.disk.held_names());
        if !held.is_empty() {
            return Ok(false);
        }
        self.books.settle(&host.disk, host.redo)?;
        for replica in &mut self.replicas {
            let Some(files) = replica.read_all().await? else { return Ok(false) };
            let shown = self.books.check(&files)?;
            replica.saw(shown)?;
            if shown != records {
                return Ok(false);
            }
        }
        Ok(records >= self.stored)
    }

    /// The volume reads the same from its first link and from its newest checkpoint, and every
    /// object that it names is there and is what it should be.
    async fn last_look(&mut self) -> Result<(), Trouble> {
        let store = self.store(&Life::long());
        audit(&store).await
    }
}

async fn audit(store: &Store) -> Result<(), Trouble> {
    let chain = Chain::new(store.clone());
    let whole = chain.catch_up(Manifest::empty(), &mut |_, _| {}).await;
    let whole = whole.map_err(|error| error.to_string())?;
    let newest = chain.start().await.map_err(|error| error.to_string())?;
    let quick = chain.catch_up(newest, &mut |_, _| {}).await.map_err(|error| error.to_string())?;
    if whole != quick {
        return Err("a checkpoint leads to another manifest than the chain".to_owned());
    }
    for (id, segment) in &whole.segments {
        let frames = 0..segment.frames.len();
        fetch_frames(store, *id, segment, frames).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
