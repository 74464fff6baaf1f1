//! Requests and bytes by kind. Counts; decides nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted. The text is what status and metrics show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// An object or a range of it was asked for and came.
    Get,
    /// An object was asked for and there is none.
    GetMiss,
    /// A create-if-absent was sent.
    Create,
    /// A body, or a part of one, was sent.
    Put,
    /// A list was asked for.
    List,
    /// An object was deleted.
    Delete,
    /// Any of the above failed or gave no clear answer.
    Error,
}

impl Request {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Get, "get"),
        (Self::GetMiss, "get_miss"),
        (Self::Create, "create"),
        (Self::Put, "put"),
        (Self::List, "list"),
        (Self::Delete, "delete"),
        (Self::Error, "error"),
    ];
}

/// Counters of one store's traffic since the daemon started.
#[derive(Debug, Default)]
pub struct Meter {
    get: AtomicU64,
    get_miss: AtomicU64,
    create: AtomicU64,
    put: AtomicU64,
    list: AtomicU64,
    delete: AtomicU64,
    error: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Meter {
    /// One more of these.
    pub fn count(&self, request: Request) {
        self.counter(request).fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes went out.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes came in.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The requests so far, by kind.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let counted = |(request, name): (Request, &str)| {
            (name.to_owned(), self.counter(request).load(Ordering::Relaxed))
        };
        Request::ALL.into_iter().map(counted).collect()
    }

    /// The bytes so far, by direction.
    pub fn bytes(&self) -> BTreeMap<String, u64> {
        let counted = |(name, counter): (&str, &AtomicU64)| {
            (name.to_owned(), counter.load(Ordering::Relaxed))
        };
        [("sent", &self.sent), ("received", &self.received)].into_iter().map(counted).collect()
    }

    fn counter(&self, request: Request) -> &AtomicU64 {
        match request {
            Request::Get => &self.get,
            Request::GetMiss => &self.get_miss,
            Request::Create => &self.create,
            Request::Put => &self.put,
            Request::List => &self.list,
            Request::Delete => &self.delete,
            Request::Error => &self.error,
        }
    }
}
