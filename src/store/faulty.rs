//! For tests, the simulation and the lab: a store with every fault that real ones have, between
//! whoever uses it and another store that holds the objects. Deterministic from a seed; waits on
//! tokio's clock, which a simulation pauses. Which faults there are and how often they come:
//! [`super::weather`].

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};

use super::weather::Sky;
pub use super::weather::{Fault, Latency, Weather};

/// The store. Cheap to clone; clones share weather, script and chance.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    objects: Arc<dyn ObjectStore>,
    /// Guards: what comes next. Never held across a wait.
    sky: Arc<Mutex<Sky>>,
}

impl FaultyStore {
    /// These objects, reached in this weather.
    pub fn new(objects: Arc<dyn ObjectStore>, seed: u64, weather: Weather) -> Self {
        Self { objects, sky: Arc::new(Mutex::new(Sky::new(seed, weather))) }
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
