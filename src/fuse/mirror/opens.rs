//! The opens that the kernel was given, by their handles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::nodes::Open;
use crate::fuse::errno::RELEASED;
use crate::fuse::filesystem::{Answer, Handle};

#[derive(Debug, Default)]
pub(super) struct Opens {
    last: AtomicU64,
    /// Guards: what is open.
    open: RwLock<HashMap<Handle, Arc<Open>>>,
}

impl Opens {
    pub(super) fn add(&self, open: Open) -> Handle {
        let handle = Handle(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let mut opens = self.open.write().unwrap_or_else(PoisonError::into_inner);
        opens.insert(handle, Arc::new(open));
        handle
    }

    pub(super) fn get(&self, handle: Handle) -> Answer<Arc<Open>> {
        let opens = self.open.read().unwrap_or_else(PoisonError::into_inner);
        opens.get(&handle).cloned().ok_or(RELEASED)
    }

    pub(super) fn remove(&self, handle: Handle) {
        let mut opens = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let removed = opens.remove(&handle);
        drop(opens);
        // Closing may take long: not under the lock.
        drop(removed);
    }
}
