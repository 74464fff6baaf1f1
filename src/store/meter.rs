//! Requests and bytes by kind, and how long those of the chain take. Counts; decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many of the last requests tell how long they take.
const PACE_OF: usize = 128;

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

    /// What status and metrics call it.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(request, _)| *request == self);
        named.expect("every kind is named").1
    }
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
    /// Guards: how long the last creates of links took.
    creates: Mutex<VecDeque<Duration>>,
    /// Guards: how long the last gets of links took.
    gets: Mutex<VecDeque<Duration>>,
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

    /// A request for a link took so long.
    pub(super) fn took(&self, request: Request, time: Duration) {
        let Some(pace) = self.pace(request) else { return };
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.len() == PACE_OF {
            pace.pop_front();
        }
        pace.push_back(time);
    }

    /// All but one in a hundred of the last requests of this kind for links took no longer;
    /// `None` before the first one.
    pub fn hundredth(&self, request: Request) -> Option<Duration> {
        let pace = self.pace(request)?.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pace: Vec<_> = pace.iter().copied().collect();
        pace.sort_unstable();
        pace.get((pace.len() * 99).div_ceil(100).checked_sub(1)?).copied()
    }

    fn pace(&self, request: Request) -> Option<&Mutex<VecDeque<Duration>>> {
        match request {
            Request::Create => Some(&self.creates),
            Request::Get | Request::GetMiss => Some(&self.gets),
            Request::Put | Request::List | Request::Delete | Request::Error => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_request_in_a_hundred_is_passed_over() {
        let meter = Meter::default();
        assert_eq!(meter.hundredth(Request::Create), None);
        meter.took(Request::Create, Duration::from_secs(9));
        assert_eq!(meter.hundredth(Request::Create), Some(Duration::from_secs(9)));
        for _ in 0..99 {
            meter.took(Request::Create, Duration::from_millis(5));
        }
        assert_eq!(meter.hundredth(Request::Create), Some(Duration::from_millis(5)));
        assert_eq!(meter.hundredth(Request::Get), None);
    }
}
