//! One volume's objects: get, create, list, delete. Retries what may be retried within a deadline
//! and counts every request. Does not decide what a failed create means: see `chain`.

use std::ops::Range;

use bytes::Bytes;

use crate::volume::keys::Key;

/// One volume's objects. Cheap to clone; clones share the meter.
#[derive(Clone, Debug)]
pub struct Store {}

/// What the store answered to a create, when it answered clearly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The store says that the object is new and ours.
    New,
    /// The store says that the name was taken (perhaps by our own earlier attempt), or gave no
    /// clear answer: read it back.
    Unclear,
}

/// Why the store could not serve. One kind per reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Away, slow or overloaded: try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Wrong credentials, missing permission, missing bucket: fix the configuration.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// The object is not what it should be.
    #[error("{key}: {reason}")]
    Corrupt {
        /// Which object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An object that must exist does not.
    #[error("{0} is missing from the store")]
    Missing(String),
}

impl Store {
    /// The whole object; `None` if there is none.
    pub async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let _ = key;
        todo!()
    }

    /// A range of an object.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError> {
        let _ = (key, range);
        todo!()
    }

    /// Creates the object unless its name is taken. One attempt; never retried here.
    pub async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        let _ = (key, bytes);
        todo!()
    }
}
