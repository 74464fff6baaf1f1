//! Our deadlines and back-off. The clients' own retries are off, so that every attempt is counted
//! and nothing waits longer than its caller can. Does not know what is retried; a create is tried
//! again only after it was read back: see `chain`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The slowest transfer that is worth waiting for, in bytes per second.
const SLOWEST: u64 = 128 << 10;

/// How long a caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the answer to one request, its bytes not counted.
    pub attempt: Duration,
    /// After so long no other attempt begins; the one that runs may still end.
    pub total: Duration,
}

impl Default for Patience {
    /// Bears what a store does on a bad day: a slow answer, half a minute of overload.
    fn default() -> Self {
        Self { attempt: Duration::from_secs(10), total: Duration::from_secs(45) }
    }
}

impl Patience {
    /// For a request that carries so many bytes.
    pub(super) fn to_transfer(self, bytes: u64) -> Duration {
        self.attempt + Duration::from_secs(bytes / SLOWEST)
    }
}

/// Chance for pauses, so that those who failed together do not come back together.
#[derive(Clone, Debug)]
pub(super) struct Jitter {
    /// Guards: the generator. Held for one draw.
    rng: Arc<Mutex<StdRng>>,
}

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// Between half of this and all of it.
    fn spread(&self, pause: Duration) -> Duration {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        pause.mul_f64(rng.random_range(0.5..=1.0))
    }
}

/// The attempts at one thing: pauses between them, and gives up in time.
#[derive(Debug)]
pub(super) struct Attempts {
    jitter: Jitter,
    began: Instant,
    total: Duration,
    pause: Duration,
    made: u32,
}

impl Attempts {
    pub(super) fn new(patience: Patience, jitter: Jitter) -> Self {
        let began = Instant::now();
        Self { jitter, began, total: patience.total, pause: FIRST_PAUSE, made: 0 }
    }

    /// Waits before the next attempt; the error comes back if there is no time for one.
    pub(super) async fn pause(&mut self, because: String) -> Result<(), StoreError> {
        self.made += 1;
        let pause = self.jitter.spread(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let elapsed = self.began.elapsed();
        if elapsed + pause > self.total {
            let (made, seconds) = (self.made, elapsed.as_secs_f32());
            return Err(StoreError::Unavailable(format!(
                "{because} (attempts={made} seconds={seconds:.1})"
            )));
        }
        tracing::debug!(%because, ?pause, "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let source = format!("no answer within {limit:?}").into();
        Err(object_store::Error::Generic { store: "deadline", source })
    })
}
