//! The links of the chain: append with read-back, catch-up in parallel. Does not decide who is
//! primary: see [`super::election`].

use bytes::Bytes;
use futures::stream::{FuturesOrdered, StreamExt};

use crate::volume::codec::{EncodedLink, FormatError, decode_link};
use crate::volume::keys::Key;
use crate::volume::{Link, Manifest, Position};

use super::{Created, Store, StoreError};

/// At most so many links are on their way at once…
const AHEAD_MAX: usize = 32;
/// …and so many bytes of them, if the largest so far tells how large they are. Decoded they are
/// several times that.
const AHEAD_BYTES: usize = 12 << 20;

/// The chain of one volume.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(super) store: Store,
}

/// How an append ended, for certain.
#[derive(Clone, Debug)]
pub enum Appended {
    /// The link is in the chain and it is ours.
    Mine,
    /// The name is another writer's. Here is what it wrote.
    Theirs(Box<EncodedLink>),
}

impl Chain {
    /// The chain of this volume.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store that it lies in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The link at this position, decoded and checked; `None` if it is not written yet.
    pub async fn read(&self, at: Position) -> Result<Option<EncodedLink>, StoreError> {
        let key = Key::Link(at);
        let Some(bytes) = self.store.get(&key).await? else { return Ok(None) };
        if let Ok(link) = link_at(at, &bytes) {
            return Ok(Some(link));
        }
        // Damage on the way is not damage in the store: look once more before saying so.
        match self.store.get(&key).await? {
            Some(again) => link_at(at, &again).map(Some),
            None => Err(StoreError::Missing(key.to_string())),
        }
    }

    /// Creates the link's object, and reads it back until it is certain whose it is. Only `Err`
    /// leaves it open: then the same link, byte for byte, must be tried again, because an attempt
    /// that seemed to fail may still land.
    pub async fn append(&self, link: &EncodedLink) -> Result<Appended, StoreError> {
        let at = link.link.position();
        let key = Key::Link(at);
        let mut attempts = self.store.attempts();
        loop {
            let unclear = match self.store.create(&key, link.bytes.clone()).await? {
                Created::New => return Ok(Appended::Mine),
                Created::Unclear(why) => why,
            };
            match self.read(at).await? {
                Some(found) if found.bytes == link.bytes => return Ok(Appended::Mine),
                Some(found) if found.link.writer() == link.link.writer() => {
                    let reason = "this writer wrote two different links of this name".to_owned();
                    return Err(StoreError::Corrupt { key: key.to_string(), reason });
                }
                Some(found) => return Ok(Appended::Theirs(Box::new(found))),
                None => attempts.pause(format!("append {key}: {unclear}")).await?,
            }
        }
    }

    /// Folds everything that follows `from`, reading many links in parallel, up to the end of the
    /// chain as it is now. `each` sees every link after it was folded, with the manifest after it.
    /// At the end of the chain this costs one request.
    pub async fn catch_up(
        &self,
        from: Manifest,
        each: &mut (dyn FnMut(&EncodedLink, &Manifest) + Send),
    ) -> Result<Manifest, StoreError> {
        let mut manifest = from;
        // The chain of one epoch at a time: what lies beyond its fence is void, and whatever was
        // read of it ahead is dropped with the stream.
        let (mut window, mut largest) = (1, 1);
        loop {
            let epoch = manifest.epoch();
            let mut ahead = FuturesOrdered::new();
            let mut next = manifest.successor();
            while manifest.epoch() == epoch {
                while ahead.len() < window {
                    ahead.push_back(self.read(next));
                    next = next.next();
                }
                let Some(link) = ahead.next().await.transpose()?.flatten() else {
                    return Ok(manifest);
                };
                manifest = fold(&manifest, &link)?;
                each(&link, &manifest);
                largest = largest.max(link.bytes.len());
                window = widen(window, largest);
            }
        }
    }
}

/// The manifest after this link.
pub(super) fn fold(manifest: &Manifest, link: &EncodedLink) -> Result<Manifest, StoreError> {
    manifest.fold(&link.link, link.digest).map_err(|misfit| StoreError::Corrupt {
        key: Key::Link(link.link.position()).to_string(),
        reason: misfit.to_string(),
    })
}

/// What kind of trouble undecodable bytes are.
pub(super) fn misread(key: &Key, error: &FormatError) -> StoreError {
    let (key, reason) = (key.to_string(), error.to_string());
    match error {
        FormatError::Corrupt(_) => StoreError::Corrupt { key, reason },
        FormatError::Newer { .. } => StoreError::Unsupported { key, reason },
    }
}

fn link_at(at: Position, bytes: &Bytes) -> Result<EncodedLink, StoreError> {
    let key = Key::Link(at);
    let link = decode_link(bytes).map_err(|error| misread(&key, &error))?;
    let claims = Link::position(&link.link);
    if claims == at {
        return Ok(link);
    }
    let reason = format!("it says that it is link {claims}");
    Err(StoreError::Corrupt { key: key.to_string(), reason })
}

/// A reader at the end asks for one name only; one that finds links asks for more and more.
fn widen(window: usize, largest: usize) -> usize {
    (window * 2).min(AHEAD_MAX).min(AHEAD_BYTES / largest).max(1)
}

#[cfg(test)]
mod tests;
