//! One seed, one world: hosts with a database and a primary, a rival, replicas, one store with bad
//! weather. Everything runs in one thread on a paused clock.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use walfs::fuse::filesystem::Reply;
use walfs::layout::{self, Layout};
use walfs::primary::{Claim, Durability};
use walfs::store::faulty::{FaultyStore, Weather};
use walfs::store::{Place, Store};
use walfs::volume::{Clock, WallTime};

use crate::books::Books;
use crate::database::{Database, Hooks, SEGMENT};
use crate::disk::SimDisk;
use crate::life::{Life, MortalStore};
use crate::node::{Mount, PrimaryNode, ReplicaNode, Started};

/// What went wrong, in words.
pub(crate) type Trouble = String;

/// A host that may be primary.
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its disk.
    pub(crate) disk: SimDisk,
    /// Its database, if it runs.
    pub(crate) database: Option<Database>,
    /// Where its database would begin to recover.
    pub(crate) redo: u64,
    /// Its walfs, if it runs.
    pub(crate) node: Option<PrimaryNode>,
}

/// Everything that a seed decides.
pub(crate) struct World {
    /// Chance.
    pub(crate) rng: StdRng,
    /// The weather between everybody and the store.
    pub(crate) sky: FaultyStore,
    /// Wall time.
    pub(crate) clock: Arc<SimClock>,
    /// The meaning of the files.
    pub(crate) layout: Arc<dyn Layout>,
    /// Whether a sync waits for the store.
    pub(crate) durability: Durability,
    /// The hosts; the first one begins.
    pub(crate) hosts: [Host; 2],
    /// Which of them the volume belongs to.
    pub(crate) reigning: usize,
    /// The replicas.
    pub(crate) replicas: Vec<ReplicaNode>,
    /// The oracle.
    pub(crate) books: Books,
    /// What happened, for people.
    pub(crate) events: String,
    /// How often the volume was taken over.
    pub(crate) reign: usize,
    /// How many records the next reign began with, for each that has ended.
    floors: Vec<u64>,
    /// What was told to be in the store: in which reign, and how many records.
    acks: Arc<Mutex<Vec<(usize, u64)>>>,
    /// Records below this number are known to be in the store.
    pub(crate) stored: u64,
}

/// Wall time that can jump; the time that waits are measured in never does.
#[derive(Debug)]
pub(crate) struct SimClock {
    began: Instant,
    jump_us: AtomicI64,
}

impl Clock for SimClock {
    fn now(&self) -> WallTime {
        let passed = i64::try_from(self.began.elapsed().as_micros()).expect("a short life");
        WallTime(1_800_000_000_000_000 + passed + self.jump_us.load(Ordering::SeqCst))
    }
}

impl World {
    /// The world of this seed, with a new cluster on its first host.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let sky = FaultyStore::new(objects, rng.random(), Weather::CALM);
        let durability = if rng.random_bool(0.4) { Durability::InStore } else { Durability::Async };
        let host = |name| Host {
            name,
            disk: SimDisk::default(),
            database: None,
            redo: SEGMENT,
            node: None,
        };
        Self {
            rng,
            sky,
            clock: Arc::new(SimClock { began: Instant::now(), jump_us: AtomicI64::new(0) }),
            layout: layout::by_name("postgres").expect("it is built in"),
            durability,
            hosts: [host("a"), host("b")],
            reigning: 0,
            replicas: Vec::new(),
            books: Books::default(),
            events: String::new(),
            reign: 0,
            floors: Vec::new(),
            acks: Arc::default(),
            stored: 0,
        }
    }

    /// Notes an event.
    pub(crate) fn say(&mut self, event: impl std::fmt::Display) {
        let passed = self.clock.began.elapsed().as_millis();
        writeln!(self.events, "{passed:>9} ms  {event}").expect("writing into memory");
    }

    /// The store as a process reaches it.
    pub(crate) fn store(&mut self, life: &Life) -> Store {
        let objects: Arc<dyn ObjectStore> =
            Arc::new(MortalStore { objects: Arc::new(self.sky.clone()), life: life.clone() });
        let url = "memory://simulation/volume".to_owned();
        let place = Place::behind(objects, "volume".into(), url);
        Store::new(place, self.rng.random())
    }

    /// Runs the seed.
    pub(crate) async fn run(mut self, steps: u32) -> (String, Result<(), Trouble>) {
        let outcome = self.live(steps).await;
        (self.events, outcome)
    }

    async fn live(&mut self, steps: u32) -> Result<(), Trouble> {
        while self.start_primary(0, Claim::Continue).await? != Started::Up {}
        self.hosts[0].database = Some(Database::create(self.hosts[0].disk.clone()));
        for which in 0..2 {
            let replica = ReplicaNode::start(self, None);
            self.replicas.push(replica);
            self.say(format!("replica {which} starts"));
        }
        for _ in 0..steps {
            self.step().await?;
            if self.rng.random_bool(0.25) {
                self.look().await?;
            }
        }
        self.come_to_rest().await
    }

    async fn step(&mut self) -> Result<(), Trouble> {
        match self.rng.random_range(0..100) {
            0..=44 => self.work(),
            45..=49 => self.write_without_sync(),
            50..=54 => self.switch(),
            55..=60 => self.checkpoint()?,
            61..=70 => self.weather(),
            71..=76 => self.doom(),
            77..=79 => self.lose_power(),
            80..=82 => self.crash_database(),
            83..=84 => self.jump(),
            85..=87 => self.restart_replica(),
            88 => self.take_over().await?,
            _ => {}
        }
        self.mend().await?;
        let pause = [1, 20, 300, 1500, 4000][self.rng.random_range(0..5)];
        sleep(Duration::from_millis(self.rng.random_range(0..=pause))).await;
        Ok(())
    }

    /// Commits: inserts, flushes, and in sync mode waits for the store beside everything else.
    fn work(&mut self) {
        for host in [self.reigning, 1 - self.reigning] {
            let inserts = self.rng.random_range(1..12);
            if self.with_database(host, |database, hooks, rng| {
                (0..inserts).for_each(|_| database.insert(rng));
                database.flush(hooks);
            }) {
                self.note_commit(host);
            }
            if self.rng.random_bool(0.8) {
                break;
            }
        }
    }

    /// Waits for the store as a commit in sync mode does, and notes when it is told.
    fn note_commit(&mut self, host: usize) {
        let Host { node: Some(node), database: Some(database), .. } = &self.hosts[host] else {
            return;
        };
        if self.durability == Durability::Async {
            return;
        }
        let (acks, life) = (Arc::clone(&self.acks), node.life.clone());
        let (reign, number) = (node.reign, database.next_number());
        let reply = Reply::new(move |answer| {
            if answer.is_ok() && life.goes_on() {
                acks.lock().expect("no panic inside").push((reign, number));
            }
        });
        node.front.barrier.wait_for_store(&node.front.ticks, reply);
    }

    /// Lets the database of a host do something; it crashes if its mount is dead or read-only.
    fn with_database(
        &mut self,
        host: usize,
        act: impl FnOnce(&mut Database, &mut dyn Hooks, &mut StdRng),
    ) -> bool {
        let Host { disk, database, node, .. } = &mut self.hosts[host];
        let Some(mut running) = database.take() else { return false };
        let Some(node) = node.as_ref().filter(|node| node.is_writable()) else { return false };
        let mut hooks = Mount { disk: disk.clone(), node, books: &mut self.books };
        act(&mut running, &mut hooks, &mut self.rng);
        let redo = running.redo();
        (self.hosts[host].redo, self.hosts[host].database) = (redo, Some(running));
        true
    }

    fn write_without_sync(&mut self) {
        self.with_database(self.reigning, |database, hooks, rng| {
            database.insert(rng);
            database.write(hooks);
        });
    }

    fn switch(&mut self) {
        if self.with_database(self.reigning, |database, hooks, _| database.switch(hooks)) {
            self.say("segment switched");
        }
    }

    fn checkpoint(&mut self) -> Result<(), Trouble> {
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        let reigning = self.reigning;
        if !self.with_database(reigning, |database, hooks, _| database.flush(hooks)) {
            return Ok(());
        }
        // What lies before the new recovery point cannot be read from the disk any more.
        let host = &self.hosts[reigning];
        self.books.settle(&host.disk, host.redo)?;
        self.with_database(reigning, |database, hooks, _| database.checkpoint(&mut rng, hooks));
        self.say("checkpoint");
        Ok(())
    }

    fn weather(&mut self) {
        let kind = self.rng.random_range(0..4);
        self.sky.set_outage(kind == 0);
        self.sky.set_weather(match kind {
            1 => Weather::STORM,
            2 => Weather { faults: 0.05, ..Weather::STORM },
            _ => Weather::CALM,
        });
        self.say(["outage", "storm", "wind", "calm"][kind]);
    }

    /// The primary's process will die after a few effects more.
    fn doom(&mut self) {
        let effects = self.rng.random_range(0..12);
        let Some(node) = &mut self.hosts[self.reigning].node else { return };
        node.life.doom(effects);
        self.say(format!("walfs will die after {effects} effects"));
    }

    /// The host of the primary loses power and comes back.
    fn lose_power(&mut self) {
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        let host = &mut self.hosts[self.reigning];
        if let Some(node) = host.node.take() {
            node.life.end();
        }
        host.database = None;
        for (path, offset) in host.disk.lose_power(&mut rng) {
            self.books.note_torn(&host.disk, &path, offset);
        }
        self.say("power lost");
    }

    fn crash_database(&mut self) {
        self.hosts[self.reigning].database = None;
        self.say("database crashed");
    }

    fn jump(&mut self) {
        let seconds = self.rng.random_range(-40_000..40_000);
        self.clock.jump_us.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        self.say(format!("the clock jumped by {seconds} s"));
    }

    fn restart_replica(&mut self) {
        let which = self.rng.random_range(0..self.replicas.len());
        let before = self.replicas.swap_remove(which);
        let again = ReplicaNode::start(self, Some(&before));
        self.replicas.push(again);
        self.say(format!("replica {which} restarted"));
    }

    /// The other host becomes primary, from what the store has.
    async fn take_over(&mut self) -> Result<(), Trouble> {
        let other = 1 - self.reigning;
        self.say(format!("{} takes over", self.hosts[other].name));
        self.hosts[other].database = None;
        if self.start_primary(other, Claim::TakeOver).await? != Started::Up {
            return Ok(());
        }
        self.reigning = other;
        // The store has all of the WAL, and so has this disk now.
        self.hosts[other].redo = SEGMENT;
        self.books.forget();
        let records = self.recover_database()?;
        self.floors.push(records);
        self.reign += 1;
        self.take_acks()
    }

    /// A commit that was told to be in the store must be there for every later reign, and none is
    /// told so after its reign has ended.
    fn take_acks(&mut self) -> Result<(), Trouble> {
        let acks = std::mem::take(&mut *self.acks.lock().expect("no panic inside"));
        for (reign, number) in acks {
            let floor = self.floors.get(reign).copied().unwrap_or(u64::MAX);
            if number > floor {
                return Err(format!(
                    "{number} records were acknowledged, {floor} are in the store"
                ));
            }
            if reign == self.reign {
                self.stored = self.stored.max(number);
            }
        }
        Ok(())
    }

    /// Starts what is not running: walfs first, then the database on top of it.
    pub(crate) async fn mend(&mut self) -> Result<(), Trouble> {
        self.take_acks()?;
        let up = |host: &Host| host.node.as_ref().is_some_and(PrimaryNode::is_writable);
        if !up(&self.hosts[self.reigning]) && self.rng.random_bool(0.5) {
            let started = self.start_primary(self.reigning, Claim::Continue).await?;
            if started == Started::Refused {
                self.take_over().await?;
            }
        }
        let reigning = &self.hosts[self.reigning];
        if reigning.database.is_none() && up(reigning) && self.rng.random_bool(0.7) {
            self.recover_database()?;
        }
        Ok(())
    }

    async fn start_primary(&mut self, host: usize, claim: Claim) -> Result<Started, Trouble> {
        let life = Life::long();
        let started = PrimaryNode::start(self, host, claim, &life).await?;
        self.say(format!("{}: walfs {started:?}", self.hosts[host].name));
        Ok(started)
    }

    /// The database recovers what its disk has. Returns how many records there are.
    fn recover_database(&mut self) -> Result<u64, Trouble> {
        let Host { disk, redo, .. } = &self.hosts[self.reigning];
        let (disk, redo) = (disk.clone(), *redo);
        self.books.settle(&disk, redo)?;
        let database = Database::recover(disk, redo);
        let records = database.next_number();
        let known = u64::try_from(self.books.settled().len()).expect("few");
        if records < known {
            return Err(format!("{known} records were durable, {records} were recovered"));
        }
        self.hosts[self.reigning].database = Some(database);
        self.say(format!("database recovered with {records} records"));
        Ok(records)
    }
}
