//! Follows the chain: asks for the next link, shows it, tells the kernel. One request per round
//! when nothing is new, many in parallel while behind. An error changes nothing of what is shown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::store::{Chain, Steering, StoreError};
use crate::volume::Clock;

use super::curve::Curve;
use super::health::Health;
use super::polling::Polling;
use super::shown::Shown;
use super::view::Change;

/// Shows link after link.
#[derive(Debug)]
pub struct Follower {
    chain: Chain,
    shown: Arc<Shown>,
    health: Arc<Health>,
    polling: Curve,
    clock: Arc<dyn Clock>,
    rng: StdRng,
    news: News,
    fresh: Instant,
    failures: u32,
}

/// Who is told what the kernel should not believe any longer.
pub struct News(Box<Tell>);

type Tell = dyn Fn(Vec<Change>) + Send + Sync;

impl News {
    /// This function.
    pub fn new(tell: impl Fn(Vec<Change>) + Send + Sync + 'static) -> Self {
        Self(Box::new(tell))
    }

    /// Nobody.
    pub fn nobody() -> Self {
        Self::new(drop)
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("News")
    }
}

/// What a follower takes time and chance from.
#[derive(Debug)]
pub struct Chance {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub rng: StdRng,
}

impl Follower {
    /// A follower of this chain, which shows what it reads here, and says there how it is doing.
    pub fn new(
        chain: Chain,
        (shown, health): (Arc<Shown>, Arc<Health>),
        polling: Polling,
        chance: Chance,
    ) -> Self {
        Self {
            chain,
            shown,
            health,
            polling: Curve::new(polling),
            clock: chance.clock,
            rng: chance.rng,
            news: News::nobody(),
            fresh: Instant::now(),
            failures: 0,
        }
    }

    /// Tells this news from now on.
    #[must_use]
    pub fn telling(self, news: News) -> Self {
        Self { news, ..self }
    }

    /// Is steered from now on.
    #[must_use]
    pub fn steered(mut self, steering: Option<Steering>) -> Self {
        self.polling.steering = steering;
        self
    }

    /// Shows the volume as it is now: the newest checkpoint, and every link after it.
    pub async fn start(&mut self) -> Result<(), StoreError> {
        let checkpoint = self.chain.start().await?;
        // A start that failed half-way may have shown more than the checkpoint has.
        if checkpoint.position > self.shown.view().manifest.position {
            self.shown.begin(checkpoint);
        }
        self.follow().await?;
        self.fresh = Instant::now();
        Ok(())
    }

    /// Shows what came since. Returns how long to wait before the next step.
    pub async fn step(&mut self) -> Duration {
        let followed = self.follow().await;
        self.polling.steer(&self.health, self.clock.now());
        match followed {
            Ok(links) => {
                self.failures = 0;
                if links > 0 {
                    self.fresh = Instant::now();
                }
                self.polling.now.wait(self.fresh.elapsed())
            }
            Err(error) => {
                self.health.failed(&error);
                self.failures = self.failures.saturating_add(1);
                self.polling.now.back_off(self.failures, &mut self.rng)
            }
        }
    }

    /// Follows for ever.
    pub async fn run(mut self) {
        loop {
            let wait = self.step().await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Shows every link that is there; returns how many.
    async fn follow(&self) -> Result<u64, StoreError> {
        let mut links = 0;
        let now = self.shown.view().manifest.clone();
        let followed = self
            .chain
            .catch_up(now, &mut |link, manifest| {
                let changes = self.shown.apply(link, manifest);
                self.health.shown(manifest.time, self.clock.now());
                (self.news.0)(changes);
                links += 1;
            })
            .await;
        if followed.is_ok() {
            self.health.answered(self.clock.now());
        }
        followed.map(|_| links)
    }
}
