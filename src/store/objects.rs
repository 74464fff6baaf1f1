//! One volume's objects: get, create, put, list, delete. Retries what may be retried within the
//! caller's patience and counts every request. Does not decide what a failed create means: see
//! [`super::chain`].

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attributes, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions,
};
use tokio::time::Instant;

use super::Place;
use super::answers::{self, Answer};
use super::leftovers::Workshop;
use super::meter::{Meter, Request};
use super::retry::{Attempts, Jitter, Patience, in_time};
use crate::volume::keys::Key;

/// A list is told in pages of so many names, each a request.
const PAGE: usize = 1000;

/// One volume's objects. Cheap to clone; clones share the meter.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) objects: Arc<dyn ObjectStore>,
    parts: Arc<dyn ObjectStore>,
    pub(super) workshop: Option<Arc<dyn Workshop>>,
    pub(super) prefix: Path,
    attributes: Attributes,
    timeout: Option<Duration>,
    url: Arc<str>,
    meter: Arc<Meter>,
    pub(super) patience: Patience,
    jitter: Jitter,
}

/// What the store answered to a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The store says that the object is new and ours.
    New,
    /// The store says that the name was taken (perhaps by our own earlier attempt), or gave no
    /// clear answer: read it back. The text is what it said.
    Unclear(String),
}

/// An object that a list found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: Key,
    /// Its length.
    pub size: u64,
}

/// Why the store could not serve. One kind per reaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Away, slow or overloaded: try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Wrong credentials, missing permission, missing bucket: fix the configuration.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// The object is not what it should be: restore it, or start from another place.
    #[error("{key}: {reason}")]
    Corrupt {
        /// Which object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The object is whole, and not for this walfs: upgrade, or ask for what it is.
    #[error("{key}: {reason}")]
    Unsupported {
        /// Which object.
        key: String,
        /// Why not.
        reason: String,
    },
    /// An object that must exist does not.
    #[error("{0} is missing from the store")]
    Missing(String),
}

impl Store {
    /// The volume at this place. The seed is for the jitter of retries.
    pub fn new(place: Place, seed: u64) -> Self {
        Self {
            objects: place.objects,
            parts: place.parts,
            workshop: place.workshop,
            prefix: place.prefix,
            attributes: place.attributes,
            timeout: place.timeout,
            url: place.url.into(),
            meter: Arc::default(),
            patience: Patience::default(),
            jitter: Jitter::new(seed),
        }
        .with_patience(Patience::default())
    }

    /// The same store for a caller who waits longer or less long. What the operator said of one
    /// answer wins.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        let attempt = self.timeout.unwrap_or(patience.attempt);
        let patience = Patience { attempt, ..patience };
        Self { patience, ..self.clone() }
    }

    /// What the traffic was so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Where the volume is, without secrets.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The whole object; `None` if there is none.
    pub async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let mut attempts = self.attempts();
        loop {
            match self.fetch(key, GetOptions::new()).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(Answer::Absent) => return Ok(None),
                Err(Answer::Refused(why)) => return Err(StoreError::Refused(why)),
                Err(Answer::Unclear(why)) => attempts.pause(format!("get {key}: {why}")).await?,
            }
        }
    }

    /// A range of an object, which must have it.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mut attempts = self.attempts();
        loop {
            let options = GetOptions::new().with_range(Some(range.clone()));
            match self.fetch(key, options).await {
                Ok(bytes) if fits(&bytes, &range) => return Ok(bytes),
                Ok(bytes) => {
                    let (got, wanted) = (bytes.len(), range.end - range.start);
                    let reason = format!("{got} of {wanted} bytes at {}: cut short", range.start);
                    return Err(StoreError::Corrupt { key: key.to_string(), reason });
                }
                Err(Answer::Unclear(why)) => attempts.pause(format!("get {key}: {why}")).await?,
                Err(answer) => return Err(answer.into_error(&key.to_string())),
            }
        }
    }

    /// Creates the object unless its name is taken. One attempt; never retried here.
    pub async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        match self.send(key, bytes, PutMode::Create, Request::Create).await {
            Ok(()) => Ok(Created::New),
            Err(Answer::Unclear(why)) => Ok(Created::Unclear(why)),
            Err(Answer::Refused(why)) => Err(StoreError::Refused(why)),
            Err(Answer::Absent) => Err(no_place(key)),
        }
    }

    /// Puts an object whose name only this writer ever uses, and only for these bytes: whatever
    /// attempt lands last, the object is the same.
    pub async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let mut attempts = self.attempts();
        loop {
            match self.send(key, bytes.clone(), PutMode::Overwrite, Request::Put).await {
                Ok(()) => return Ok(()),
                Err(Answer::Unclear(why)) => attempts.pause(format!("put {key}: {why}")).await?,
                Err(Answer::Refused(why)) => return Err(StoreError::Refused(why)),
                Err(Answer::Absent) => return Err(no_place(key)),
            }
        }
    }

    /// The objects whose names begin with this folder (`log`, `log/<epoch>`, `segments`,
    /// `checkpoints`), in the order of their names. What is not named as ours is left out.
    pub async fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let under = self.locate(folder);
        let mut attempts = self.attempts();
        loop {
            self.meter.count(Request::List);
            match self.list_once(&under).await {
                Ok(found) => {
                    (0..found.len() / PAGE).for_each(|_| self.meter.count(Request::List));
                    let mut listed: Vec<_> =
                        found.iter().filter_map(|meta| self.recognise(meta)).collect();
                    listed.sort_by_cached_key(|object| object.key.to_string());
                    return Ok(listed);
                }
                Err(error) => match self.answer(&error) {
                    Answer::Absent => return Ok(Vec::new()),
                    Answer::Refused(why) => return Err(StoreError::Refused(why)),
                    Answer::Unclear(why) => attempts.pause(format!("list {folder}: {why}")).await?,
                },
            }
        }
    }

    /// Deletes the object; no error if there is none.
    pub async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let path = self.locate(&key.to_string());
        let mut attempts = self.attempts();
        loop {
            self.meter.count(Request::Delete);
            let Err(error) = in_time(self.patience.attempt, self.objects.delete(&path)).await
            else {
                return Ok(());
            };
            match self.answer(&error) {
                Answer::Absent => return Ok(()),
                Answer::Refused(why) => return Err(StoreError::Refused(why)),
                Answer::Unclear(why) => attempts.pause(format!("delete {key}: {why}")).await?,
            }
        }
    }

    /// Puts an object that is too large for one request, part by part. The name must have one
    /// writer for ever and one content: completing replaces what is there. Not retried as a whole.
    pub(super) async fn put_parts(&self, key: &Key) -> Result<Parts, StoreError> {
        self.meter.count(Request::Put);
        let path = self.locate(&key.to_string());
        let attributes = self.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let begun =
            in_time(self.patience.attempt, self.parts.put_multipart_opts(&path, options)).await;
        let upload = begun.map_err(|error| self.answer(&error).into_error(&key.to_string()))?;
        Ok(Parts { store: self.clone(), key: key.to_string(), upload })
    }

    pub(super) fn attempts(&self) -> Attempts {
        Attempts::new(self.patience, self.jitter.clone())
    }

    async fn fetch(&self, key: &Key, options: GetOptions) -> Result<Bytes, Answer> {
        let begun = Instant::now();
        let path = self.locate(&key.to_string());
        let answer = async {
            let patience = self.patience;
            let found = in_time(patience.attempt, self.objects.get_opts(&path, options)).await?;
            let expected = found.range.end - found.range.start;
            let bytes = in_time(patience.to_transfer(expected), found.bytes()).await?;
            if u64::try_from(bytes.len()) == Ok(expected) {
                return Ok(bytes);
            }
            let source = format!("{} of {expected} bytes came", bytes.len()).into();
            Err(object_store::Error::Generic { store: "length", source })
        };
        let answer = answer.await;
        if matches!(key, Key::Link(_)) {
            self.meter.took(Request::Get, begun.elapsed());
        }
        match answer {
            Ok(bytes) => {
                self.meter.count(Request::Get);
                self.meter.received(length(&bytes));
                Ok(bytes)
            }
            Err(error) => match answers::read(&error) {
                Answer::Absent => {
                    self.meter.count(Request::GetMiss);
                    Err(Answer::Absent)
                }
                _ => Err(self.answer(&error)),
            },
        }
    }

    async fn send(
        &self,
        key: &Key,
        bytes: Bytes,
        mode: PutMode,
        request: Request,
    ) -> Result<(), Answer> {
        self.meter.count(request);
        let path = self.locate(&key.to_string());
        let attributes = self.attributes.clone();
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let (len, limit) = (length(&bytes), self.patience.to_transfer(length(&bytes)));
        let begun = Instant::now();
        let answer = in_time(limit, self.objects.put_opts(&path, bytes.into(), options)).await;
        if matches!(key, Key::Link(_)) {
            self.meter.took(request, begun.elapsed());
        }
        match answer {
            Ok(_) => {
                self.meter.sent(len);
                Ok(())
            }
            Err(error) => Err(self.answer(&error)),
        }
    }

    async fn list_once(&self, under: &Path) -> object_store::Result<Vec<ObjectMeta>> {
        let mut stream = self.objects.list(Some(under));
        let mut found = Vec::new();
        while let Some(meta) = in_time(self.patience.attempt, stream.try_next()).await? {
            found.push(meta);
        }
        Ok(found)
    }

    pub(super) fn answer(&self, error: &object_store::Error) -> Answer {
        self.meter.count(Request::Error);
        answers::read(error)
    }

    fn recognise(&self, meta: &ObjectMeta) -> Option<Listed> {
        let parts: Vec<_> = meta.location.prefix_match(&self.prefix)?.collect();
        let name: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        Some(Listed { key: Key::parse(&name.join("/"))?, size: meta.size })
    }

    pub(super) fn locate(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), Path::join)
    }
}

/// An upload in parts.
#[derive(Debug)]
pub(super) struct Parts {
    store: Store,
    key: String,
    upload: Box<dyn MultipartUpload>,
}

impl Parts {
    /// The next part.
    pub(super) async fn put(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let (len, limit) = (length(&bytes), self.store.patience.to_transfer(length(&bytes)));
        self.store.meter.count(Request::Put);
        let sent = in_time(limit, self.upload.put_part(bytes.into())).await;
        sent.map_err(|error| self.failed(&error))?;
        self.store.meter.sent(len);
        Ok(())
    }

    /// The object exists from here on.
    pub(super) async fn complete(&mut self) -> Result<(), StoreError> {
        self.store.meter.count(Request::Put);
        let done = in_time(self.store.patience.attempt, self.upload.complete()).await;
        done.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Lets the store forget the parts. What it does not forget now, its own rules clear away.
    pub(super) async fn abort(&mut self) {
        if let Err(error) = in_time(self.store.patience.attempt, self.upload.abort()).await {
            tracing::debug!(key = self.key, %error, "parts of an unfinished upload stay behind");
        }
    }

    fn failed(&self, error: &object_store::Error) -> StoreError {
        self.store.answer(error).into_error(&self.key)
    }
}

fn no_place(key: &Key) -> StoreError {
    StoreError::Refused(format!("there is no place to put {key}: does the bucket exist?"))
}

fn fits(bytes: &Bytes, range: &Range<u64>) -> bool {
    length(bytes) == range.end - range.start
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).expect("memory is smaller than 2^64")
}

#[cfg(test)]
mod tests;
