//! Single requests to a store, each with its limit and none sent again, and the names to clear
//! away. Judges nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Attributes, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, Result,
};

use crate::store::Place;
use crate::store::connect::Beyond;
use crate::store::retry::in_time;

/// How long the answer to one request may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A client and the folder that it works in.
#[derive(Debug)]
pub(super) struct Probe {
    objects: Arc<dyn ObjectStore>,
    parts: Arc<dyn ObjectStore>,
    pub(super) beyond: Beyond,
    pub(super) folder: Path,
    attributes: Attributes,
    pub(super) limit: Duration,
    /// Guards: what was, or may have been, written.
    written: Mutex<BTreeSet<String>>,
}

impl Probe {
    pub(super) fn new(place: &Place, mark: u64) -> Self {
        Self {
            objects: Arc::clone(&place.objects),
            parts: Arc::clone(&place.parts),
            beyond: place.beyond.clone(),
            folder: place.prefix.clone().join(format!("doctor-{mark:016x}")),
            attributes: place.attributes.clone(),
            limit: place.timeout.unwrap_or(LIMIT),
            written: Mutex::default(),
        }
    }

    pub(super) async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.create_version(name, bytes).await.map(drop)
    }

    /// Creates it, and tells what the store calls this version of it, if it keeps versions.
    pub(super) async fn create_version(&self, name: &str, bytes: Bytes) -> Result<Option<String>> {
        self.note(name);
        let attributes = self.attributes.clone();
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        let path = self.path(name);
        let put = self.objects.put_opts(&path, bytes.into(), options);
        in_time(self.limit, put).await.map(|put| put.version)
    }

    /// Puts it in these parts.
    pub(super) async fn put_parts(&self, name: &str, parts: &[Bytes]) -> Result<()> {
        self.note(name);
        let attributes = self.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let path = self.path(name);
        let begun = self.parts.put_multipart_opts(&path, options);
        let mut upload = in_time(self.limit, begun).await?;
        let sent = async {
            for part in parts {
                in_time(self.limit, upload.put_part(part.clone().into())).await?;
            }
            in_time(self.limit, upload.complete()).await.map(drop)
        };
        let sent = sent.await;
        if sent.is_err() {
            // The store's own rules clear away what cannot be taken back now.
            in_time(self.limit, upload.abort()).await.ok();
        }
        sent
    }

    pub(super) async fn get(&self, name: &str) -> Result<Bytes> {
        self.fetch(name, GetOptions::new()).await
    }

    pub(super) async fn fetch(&self, name: &str, options: GetOptions) -> Result<Bytes> {
        let path = self.path(name);
        let answer = async { self.objects.get_opts(&path, options).await?.bytes().await };
        in_time(self.limit, answer).await
    }

    pub(super) async fn head(&self, name: &str) -> Result<ObjectMeta> {
        in_time(self.limit, self.objects.head(&self.path(name))).await
    }

    pub(super) async fn list(&self) -> Result<Vec<ObjectMeta>> {
        in_time(self.limit, self.objects.list(Some(&self.folder)).try_collect()).await
    }

    /// The names below `folder` that come after `name`, in the store's order.
    pub(super) async fn names_after(&self, folder: &str, name: &str) -> Result<Vec<String>> {
        let (folder, offset) = (self.path(folder), self.path(name));
        let listed = self.objects.list_with_offset(Some(&folder), &offset).try_collect();
        let listed: Vec<_> = in_time(self.limit, listed).await?;
        Ok(self.names(&listed))
    }

    /// All names below `folder`, in the store's order.
    pub(super) async fn names_in(&self, folder: &str) -> Result<Vec<String>> {
        let folder = self.path(folder);
        let listed = self.objects.list(Some(&folder)).try_collect();
        let listed: Vec<_> = in_time(self.limit, listed).await?;
        Ok(self.names(&listed))
    }

    fn names(&self, listed: &[ObjectMeta]) -> Vec<String> {
        let name = |meta: &ObjectMeta| {
            let parts: Vec<_> = meta.location.prefix_match(&self.folder)?.collect();
            Some(parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/"))
        };
        listed.iter().filter_map(name).collect()
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        in_time(self.limit, self.objects.delete(&self.path(name))).await
    }

    /// Deletes these in one request, where the store can.
    pub(super) async fn delete_at_once(&self, names: &[&str]) -> Result<()> {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let deleted = self.objects.delete_stream(stream::iter(paths).boxed());
        in_time(self.limit, deleted.try_collect::<Vec<_>>()).await.map(drop)
    }

    pub(super) fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.folder.clone(), Path::join)
    }

    fn note(&self, name: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    /// What was, or may have been, written so far.
    pub(super) fn written(&self) -> BTreeSet<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
