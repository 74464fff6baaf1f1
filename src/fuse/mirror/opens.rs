//! The opens that the kernel was given, by their handles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::nodes::Open;
use crate::fuse::errno::RELEASED;
use crate::fuse::estate::{self, Estate};
use crate::fuse::filesystem::{Answer, Handle, Ino};

#[derive(Debug, Default)]
pub(super) struct Opens {
    last: AtomicU64,
    /// Where it is kept what the kernel was given.
    estate: Option<Arc<Estate>>,
    /// Guards: what is open.
    open: RwLock<HashMap<Handle, Arc<Open>>>,
}

impl Opens {
    /// None yet.
    pub(super) fn new(estate: Option<Arc<Estate>>) -> Self {
        Self { estate, ..Self::default() }
    }

    /// The kernel is about to be given this open of the file, which answers this request. An open
    /// that outlives us has the request's number: asked again, it is the same one.
    pub(super) fn add(&self, request: u64, ino: Ino, flags: i32, open: Open) -> Handle {
        let handle = match &self.estate {
            Some(_) => Handle(request),
            None => Handle(self.last.fetch_add(1, Ordering::Relaxed) + 1),
        };
        if let Some(estate) = &self.estate {
            estate.opened(estate::Open { handle, ino, flags });
        }
        self.inherit(handle, open);
        handle
    }

    /// The kernel was given this open by another worker.
    pub(super) fn inherit(&self, handle: Handle, open: Open) {
        let mut opens = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = opens.insert(handle, Arc::new(open));
        drop(opens);
        drop(replaced);
    }

    pub(super) fn get(&self, handle: Handle) -> Answer<Arc<Open>> {
        let opens = self.open.read().unwrap_or_else(PoisonError::into_inner);
        opens.get(&handle).cloned().ok_or(RELEASED)
    }

    pub(super) fn remove(&self, handle: Handle) {
        if let Some(estate) = &self.estate {
            estate.closed(handle);
        }
        let mut opens = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let removed = opens.remove(&handle);
        drop(opens);
        // Closing may take long: not under the lock.
        drop(removed);
    }
}
