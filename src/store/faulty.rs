//! For tests and the simulation: a store with every fault that real ones have, between the code
//! under test and another store that holds the objects. Deterministic from a seed; waits on
//! tokio's clock, which a simulation pauses. Not used by the product.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// What may go wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503: nothing was done.
    Busy,
    /// The connection broke before the request arrived.
    LostRequest,
    /// It was done; the connection broke before the answer came.
    LostReply,
    /// It was done, answered 500, and sent again: the answer says that the name is taken.
    OwnEcho,
    /// 409: nothing landed, and the answer says that the name is taken.
    Conflict,
    /// No answer ever; nothing was done.
    Hang,
    /// An error comes first, the object some time later.
    Late(Duration),
    /// 403.
    Forbidden,
    /// Fewer bytes than there are.
    Short,
    /// One bit is wrong.
    Wrong,
}

impl Fault {
    const OF_WRITES: [Self; 7] = [
        Self::Busy,
        Self::LostRequest,
        Self::LostReply,
        Self::OwnEcho,
        Self::Conflict,
        Self::Hang,
        Self::Late(Duration::from_secs(7)),
    ];
    const OF_READS: [Self; 5] =
        [Self::Busy, Self::LostRequest, Self::Hang, Self::Short, Self::Wrong];
}

/// How the store behaves when nothing is scripted.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// Which part of all requests meets a fault.
    pub faults: f64,
    /// How long a request takes.
    pub latency: Range<Duration>,
}

impl Weather {
    /// No fault, no wait.
    pub const CALM: Self = Self { faults: 0.0, latency: Duration::ZERO..Duration::ZERO };

    /// A fifth of all requests goes wrong, and none is fast.
    pub const STORM: Self =
        Self { faults: 0.2, latency: Duration::from_millis(5)..Duration::from_millis(300) };
}

/// The store. Cheap to clone; clones share weather, script and chance.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    objects: Arc<dyn ObjectStore>,
    /// Guards: what comes next. Never held across a wait.
    sky: Arc<Mutex<Sky>>,
}

#[derive(Debug)]
struct Sky {
    rng: StdRng,
    weather: Weather,
    outage: bool,
    writes: VecDeque<Option<Fault>>,
    reads: VecDeque<Option<Fault>>,
}

impl FaultyStore {
    /// These objects, reached in this weather.
    pub fn new(objects: Arc<dyn ObjectStore>, seed: u64, weather: Weather) -> Self {
        let sky = Sky {
            rng: StdRng::seed_from_u64(seed),
            weather,
            outage: false,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
        };
        Self { objects, sky: Arc::new(Mutex::new(sky)) }
    }

    /// From now on the weather is this.
    pub fn set_weather(&self, weather: Weather) {
        self.sky().weather = weather;
    }

    /// From now on nothing arrives, or everything does again.
    pub fn set_outage(&self, outage: bool) {
        self.sky().outage = outage;
    }

    /// What the next puts, parts and deletes meet, before chance decides again.
    pub fn script_writes(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.sky().writes.extend(faults);
    }

    /// What the next gets and lists meet, before chance decides again.
    pub fn script_reads(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.sky().reads.extend(faults);
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as a write takes and tells what it meets.
    async fn meet_write(&self) -> Option<Fault> {
        let (fault, latency) = self.sky().write();
        tokio::time::sleep(latency).await;
        fault
    }

    async fn meet_read(&self) -> Option<Fault> {
        let (fault, latency) = self.sky().read();
        tokio::time::sleep(latency).await;
        fault
    }
}

impl Sky {
    fn write(&mut self) -> (Option<Fault>, Duration) {
        let by_chance = self.chance(&Fault::OF_WRITES);
        let fault = self.writes.pop_front().unwrap_or(by_chance);
        self.now(fault)
    }

    fn read(&mut self) -> (Option<Fault>, Duration) {
        let by_chance = self.chance(&Fault::OF_READS);
        let fault = self.reads.pop_front().unwrap_or(by_chance);
        self.now(fault)
    }

    fn chance(&mut self, faults: &[Fault]) -> Option<Fault> {
        let meets = self.rng.random_bool(self.weather.faults);
        let fault = faults.choose(&mut self.rng).copied();
        fault.filter(|_| meets)
    }

    fn now(&mut self, fault: Option<Fault>) -> (Option<Fault>, Duration) {
        let Range { start, end } = self.weather.latency;
        let latency = start + end.saturating_sub(start).mul_f64(self.rng.random());
        (if self.outage { Some(Fault::LostRequest) } else { fault }, latency)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.objects)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        match self.meet_write().await {
            None => self.objects.put_opts(location, payload, options).await,
            Some(Fault::LostReply) => {
                self.objects.put_opts(location, payload, options).await?;
                Err(trouble("connection closed before the answer"))
            }
            Some(Fault::OwnEcho) => {
                self.objects.put_opts(location, payload, options).await?;
                Err(taken(location))
            }
            Some(Fault::Conflict) => Err(taken(location)),
            Some(Fault::Late(after)) => {
                let (objects, location) = (Arc::clone(&self.objects), location.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // Nobody waits for this answer any more.
                    drop(objects.put_opts(&location, payload, options).await);
                });
                Err(trouble("timed out"))
            }
            Some(fault) => fail(fault, location).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if let Some(fault) = self.meet_write().await {
            return fail(fault, location).await;
        }
        let upload = self.objects.put_multipart_opts(location, options).await?;
        Ok(Box::new(FaultyUpload { store: self.clone(), location: location.clone(), upload }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.meet_read().await;
        match fault {
            None => self.objects.get_opts(location, options).await,
            Some(Fault::Short | Fault::Wrong) => {
                let found = self.objects.get_opts(location, options).await?;
                damage(found, fault == Some(Fault::Wrong)).await
            }
            Some(fault) => fail(fault, location).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.meet_read().await {
            None => self.objects.get_ranges(location, ranges).await,
            Some(fault) => fail(fault, location).await,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let begun = async move {
            let fault = store.meet_write().await;
            match fault {
                None => Ok(store.objects.delete_stream(locations)),
                Some(Fault::LostReply) => {
                    store.objects.delete_stream(locations).try_collect::<Vec<_>>().await?;
                    Err(trouble("connection closed before the answer"))
                }
                Some(fault) => fail(fault, &Path::default()).await,
            }
        };
        stream::once(begun).try_flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let begun = async move {
            match store.meet_read().await {
                None => Ok(store.objects.list(prefix.as_ref())),
                Some(fault) => fail(fault, &prefix.unwrap_or_default()).await,
            }
        };
        stream::once(begun).try_flatten().boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.objects.rename_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    store: FaultyStore,
    location: Path,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, location) = (self.store.clone(), self.location.clone());
        let part = self.upload.put_part(data);
        Box::pin(async move {
            match store.meet_write().await {
                None => part.await,
                Some(fault) => fail(fault, &location).await,
            }
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        match self.store.meet_write().await {
            None => self.upload.complete().await,
            Some(Fault::LostReply | Fault::OwnEcho) => {
                self.upload.complete().await?;
                Err(trouble("connection closed before the answer"))
            }
            Some(fault) => fail(fault, &self.location).await,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// A fault that leaves the store as it was.
async fn fail<T>(fault: Fault, location: &Path) -> Result<T> {
    match fault {
        Fault::Busy => Err(trouble("503 SlowDown")),
        Fault::Hang => std::future::pending().await,
        Fault::Forbidden => {
            Err(Error::PermissionDenied { path: location.to_string(), source: "403".into() })
        }
        _ => Err(trouble("connection closed")),
    }
}

async fn damage(found: GetResult, flip: bool) -> Result<GetResult> {
    let (meta, range) = (found.meta.clone(), found.range.clone());
    let attributes = found.attributes.clone();
    let mut bytes = found.bytes().await?.to_vec();
    let middle = bytes.len() / 2;
    if flip {
        bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
    } else {
        bytes.truncate(middle);
    }
    let payload = GetResultPayload::Stream(stream::iter([Ok(Bytes::from(bytes))]).boxed());
    Ok(GetResult { payload, meta, range, attributes, extensions: object_store::Extensions::new() })
}

fn trouble(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

fn taken(location: &Path) -> Error {
    Error::AlreadyExists { path: location.to_string(), source: "412 or 409".into() }
}
