//! One flight per thing: whoever wants what is already on its way waits for the same arrival.
//! A flight goes on when those who wait give up.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::store::StoreError;

/// What a flight brings.
pub type Landing<V> = Shared<BoxFuture<'static, Result<V, StoreError>>>;

/// What is on its way.
#[derive(Debug)]
pub struct Flights<K, V: Clone> {
    /// Guards: the flights that have not landed.
    flying: Arc<Mutex<HashMap<K, Landing<V>>>>,
    runtime: Handle,
}

impl<K, V> Flights<K, V>
where
    K: Copy + Debug + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Nothing yet. Flights run here.
    pub fn new(runtime: Handle) -> Self {
        Self { flying: Arc::default(), runtime }
    }

    /// Joins the flight for this thing, or sends one off.
    pub fn join<F>(&self, key: K, depart: impl FnOnce() -> F) -> Landing<V>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = flying.get(&key) {
            return landing.clone();
        }
        let (tell, told) = oneshot::channel();
        let landing = told.map(|brought| brought.unwrap_or_else(|_| Err(lost()))).boxed().shared();
        flying.insert(key, landing.clone());
        let (flight, landed) = (depart(), Landed { key, flying: Arc::clone(&self.flying) });
        self.runtime.spawn(async move {
            let brought = flight.await;
            drop(landed);
            let _nobody_waits_any_more = tell.send(brought);
        });
        landing
    }
}

/// Takes the flight off the board, however it ends.
struct Landed<K: Eq + Hash, V: Clone> {
    key: K,
    flying: Arc<Mutex<HashMap<K, Landing<V>>>>,
}

impl<K: Eq + Hash, V: Clone> Drop for Landed<K, V> {
    fn drop(&mut self) {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("the replica is stopping".to_owned())
}
