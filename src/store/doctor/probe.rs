//! Single requests to a store, each with its limit and none sent again, and the names to clear
//! away. Judges nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attributes, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, Result,
};

use crate::store::Place;
use crate::store::retry::in_time;

/// How long the answer to one request may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A client and the folder that it works in.
#[derive(Debug)]
pub(super) struct Probe {
    objects: Arc<dyn ObjectStore>,
    pub(super) folder: Path,
    attributes: Attributes,
    limit: Duration,
    /// Guards: what was, or may have been, written.
    written: Mutex<BTreeSet<String>>,
}

impl Probe {
    pub(super) fn new(place: &Place, mark: u64) -> Self {
        Self {
            objects: Arc::clone(&place.objects),
            folder: place.prefix.clone().join(format!("doctor-{mark:016x}")),
            attributes: place.attributes.clone(),
            limit: place.timeout.unwrap_or(LIMIT),
            written: Mutex::default(),
        }
    }

    pub(super) async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        let attributes = self.attributes.clone();
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        let path = self.folder.clone().join(name);
        in_time(self.limit, self.objects.put_opts(&path, bytes.into(), options)).await.map(drop)
    }

    pub(super) async fn get(&self, name: &str) -> Result<Bytes> {
        self.fetch(name, GetOptions::new()).await
    }

    pub(super) async fn fetch(&self, name: &str, options: GetOptions) -> Result<Bytes> {
        let path = self.folder.clone().join(name);
        let answer = async { self.objects.get_opts(&path, options).await?.bytes().await };
        in_time(self.limit, answer).await
    }

    pub(super) async fn head(&self, name: &str) -> Result<ObjectMeta> {
        in_time(self.limit, self.objects.head(&self.folder.clone().join(name))).await
    }

    pub(super) async fn list(&self) -> Result<Vec<ObjectMeta>> {
        in_time(self.limit, self.objects.list(Some(&self.folder)).try_collect()).await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        in_time(self.limit, self.objects.delete(&self.folder.clone().join(name))).await
    }

    /// What was, or may have been, written so far.
    pub(super) fn written(&self) -> BTreeSet<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
