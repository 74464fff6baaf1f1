//! What goes wrong with requests to a store, how often, and how long they take: chance from a
//! seed. Neither waits nor sends.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// What may go wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503: nothing was done.
    Busy,
    /// The connection broke before the request arrived.
    LostRequest,
    /// It was done; the connection broke before the answer came.
    LostReply,
    /// It was done, answered 500, and sent again: the answer says that the name is taken.
    OwnEcho,
    /// 409: nothing landed, and the answer says that the name is taken.
    Conflict,
    /// No answer ever; nothing was done.
    Hang,
    /// An error comes first, the object some time later.
    Late(Duration),
    /// 403.
    Forbidden,
    /// Fewer bytes than there are.
    Short,
    /// One bit is wrong.
    Wrong,
}

impl Fault {
    const OF_WRITES: [Self; 7] = [
        Self::Busy,
        Self::LostRequest,
        Self::LostReply,
        Self::OwnEcho,
        Self::Conflict,
        Self::Hang,
        Self::Late(Duration::from_secs(7)),
    ];
    const UNCLEAR: [Self; 3] = [Self::Busy, Self::OwnEcho, Self::Conflict];
    const OF_READS: [Self; 5] =
        [Self::Busy, Self::LostRequest, Self::Hang, Self::Short, Self::Wrong];
}

/// How the store behaves when nothing is scripted.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// Which part of all requests meets a fault.
    pub faults: f64,
    /// Which part of writes is answered with an error that proves nothing: the store is busy, or
    /// the name is taken, though by nobody or by this very write.
    pub errors: f64,
    /// Which part of writes is done and never answered.
    pub lost: f64,
    /// How long a write takes.
    pub writes: Latency,
    /// How long a read takes.
    pub reads: Latency,
}

/// How long requests of a kind take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Anything between these, as often.
    Between(Range<Duration>),
    /// As real stores do: half of them within the first, all but one in a hundred within the
    /// second; their logarithms are distributed normally.
    Percentiles {
        /// The median.
        half: Duration,
        /// What one in a hundred exceeds.
        hundredth: Duration,
    },
}

impl Weather {
    /// No fault, no wait.
    pub const CALM: Self = Self {
        faults: 0.0,
        errors: 0.0,
        lost: 0.0,
        writes: Latency::Between(Duration::ZERO..Duration::ZERO),
        reads: Latency::Between(Duration::ZERO..Duration::ZERO),
    };

    /// A fifth of all requests goes wrong, and none is fast.
    pub const STORM: Self = Self {
        faults: 0.2,
        writes: Latency::Between(Duration::from_millis(5)..Duration::from_millis(300)),
        reads: Latency::Between(Duration::from_millis(5)..Duration::from_millis(300)),
        ..Self::CALM
    };
}

/// What comes next.
#[derive(Debug)]
pub(super) struct Sky {
    rng: StdRng,
    pub(super) weather: Weather,
    pub(super) outage: bool,
    pub(super) writes: VecDeque<Option<Fault>>,
    pub(super) reads: VecDeque<Option<Fault>>,
}

impl Sky {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            weather,
            outage: false,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
        }
    }

    /// What the next write meets, and how long it takes.
    pub(super) fn write(&mut self) -> (Option<Fault>, Duration) {
        let by_chance = self.chance(self.weather.faults, &Fault::OF_WRITES);
        let by_chance = by_chance
            .or_else(|| self.chance(self.weather.errors, &Fault::UNCLEAR))
            .or_else(|| self.chance(self.weather.lost, &[Fault::LostReply]));
        let fault = self.writes.pop_front().unwrap_or(by_chance);
        let latency = self.weather.writes.draw(&mut self.rng);
        (self.fault(fault), latency)
    }

    /// What the next read meets, and how long it takes.
    pub(super) fn read(&mut self) -> (Option<Fault>, Duration) {
        let by_chance = self.chance(self.weather.faults, &Fault::OF_READS);
        let by_chance = by_chance.or_else(|| self.chance(self.weather.errors, &[Fault::Busy]));
        let fault = self.reads.pop_front().unwrap_or(by_chance);
        let latency = self.weather.reads.draw(&mut self.rng);
        (self.fault(fault), latency)
    }

    fn chance(&mut self, part: f64, faults: &[Fault]) -> Option<Fault> {
        if part <= 0.0 {
            return None;
        }
        let meets = self.rng.random_bool(part.min(1.0));
        let fault = faults.choose(&mut self.rng).copied();
        fault.filter(|_| meets)
    }

    fn fault(&self, fault: Option<Fault>) -> Option<Fault> {
        if self.outage { Some(Fault::LostRequest) } else { fault }
    }
}

impl Latency {
    /// By how many standard deviations the hundredth lies above the median.
    const HUNDREDTH: f64 = 2.326;

    fn draw(&self, rng: &mut StdRng) -> Duration {
        match self {
            Self::Between(range) => {
                let width = range.end.saturating_sub(range.start);
                range.start + width.mul_f64(rng.random())
            }
            Self::Percentiles { half, hundredth } => {
                let ratio = hundredth.as_secs_f64() / half.as_secs_f64().max(f64::MIN_POSITIVE);
                let deviation = ratio.max(1.0).ln() / Self::HUNDREDTH;
                // Two uniform numbers make a normal one (Box and Muller).
                let (radius, angle): (f64, f64) = (rng.random(), rng.random());
                let normal = (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos();
                half.mul_f64((deviation * normal).exp())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_what_was_asked_for() {
        let (half, hundredth) = (Duration::from_millis(65), Duration::from_millis(300));
        let latency = Latency::Percentiles { half, hundredth };
        let mut rng = StdRng::seed_from_u64(7);
        let mut drawn: Vec<_> = (0..20_000).map(|_| latency.draw(&mut rng)).collect();
        drawn.sort_unstable();
        let near = |got: Duration, wanted: Duration| {
            got > wanted.mul_f64(0.9) && got < wanted.mul_f64(1.1)
        };
        assert!(near(drawn[10_000], half) && near(drawn[19_800], hundredth));
    }

    #[test]
    fn errors_and_lost_answers_come_as_often_as_was_asked_for() {
        let weather = Weather { errors: 0.05, lost: 0.05, ..Weather::CALM };
        let mut sky = Sky::new(3, weather);
        let met: Vec<_> = (0..10_000).filter_map(|_| sky.write().0).collect();
        let lost = met.iter().filter(|fault| **fault == Fault::LostReply).count();
        assert!((350..650).contains(&lost) && (800..1200).contains(&met.len()), "{lost}");
    }
}
