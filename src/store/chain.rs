//! The links of the chain: append with read-back, catch-up in parallel, the election.

use crate::volume::codec::EncodedLink;
use crate::volume::{Manifest, Position};

use super::{Store, StoreError};

/// The chain of one volume.
#[derive(Clone, Debug)]
pub struct Chain {}

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
        let _ = store;
        todo!()
    }

    /// The link at this position, decoded and checked; `None` if it is not written yet.
    pub async fn read(&self, at: Position) -> Result<Option<EncodedLink>, StoreError> {
        let _ = at;
        todo!()
    }

    /// Creates the link's object, and reads it back until it is certain whose it is. Only `Err`
    /// leaves it open: then the same link, byte for byte, must be tried again.
    pub async fn append(&self, link: &EncodedLink) -> Result<Appended, StoreError> {
        let _ = link;
        todo!()
    }

    /// The newest checkpoint's manifest, or the empty one.
    pub async fn start(&self) -> Result<Manifest, StoreError> {
        todo!()
    }

    /// Folds everything that follows `from`, reading many links in parallel, up to the end of the
    /// chain as it is now. `each` sees every link after it was folded, with the manifest after it.
    pub async fn catch_up(
        &self,
        from: Manifest,
        each: &mut (dyn FnMut(&EncodedLink, &Manifest) + Send),
    ) -> Result<Manifest, StoreError> {
        let _ = (from, each);
        todo!()
    }
}
