//! Numbers and names that must not mix, each with a type of its own.

use std::fmt;

use rand::Rng;

/// The reign of one primary. Epoch 0 is the time before the first one: its chain holds a single
/// fence, so that the first election works like every other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first primary.
    pub const GENESIS: Self = Self(0);

    /// The epoch that a fence in this one names.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a volume outlives no 2^64 primaries"))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a link in the chain of its epoch, from 0, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNumber(pub u64);

impl BatchNumber {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a chain is shorter than 2^64 batches"))
    }
}

impl fmt::Display for BatchNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A point in the volume's history. Ordered: a later position contains every earlier one.
/// Written `epoch-number`, both in decimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Whose reign.
    pub epoch: Epoch,
    /// Which link of its chain.
    pub number: BatchNumber,
}

impl Position {
    /// The first link of an epoch's chain.
    pub const fn first(epoch: Epoch) -> Self {
        Self { epoch, number: BatchNumber(0) }
    }

    /// The name of the next link of the same chain.
    #[must_use]
    pub fn next(self) -> Self {
        Self { epoch: self.epoch, number: self.number.next() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |part: &str| part.parse().map_err(|_| bad_position(text));
        let (epoch, number) = text.split_once('-').ok_or_else(|| bad_position(text))?;
        Ok(Self { epoch: Epoch(parse(epoch)?), number: BatchNumber(parse(number)?) })
    }
}

fn bad_position(text: &str) -> String {
    format!("`{text}` is not a position: write epoch-number, for example 3-1041")
}

/// The name of a sealed segment's body: the epoch that uploaded it and a counter within it.
/// Unique for ever, because an epoch has one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// Whose reign uploaded it.
    pub epoch: Epoch,
    /// Counts from 0 within the epoch; gaps are uploads that no batch ever named.
    pub counter: u64,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.counter)
    }
}

macro_rules! random_id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A new one. Randomness is an argument, so that a simulation can repeat itself.
            pub fn new(rng: &mut impl Rng) -> Self {
                let mut id = [0; 16];
                rng.fill_bytes(&mut id);
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let value = u128::from_str_radix(text, 16)
                    .ok()
                    .filter(|_| text.len() == 32)
                    .ok_or_else(|| format!("`{text}` is not an id of 32 hexadecimal digits"))?;
                Ok(Self(value.to_be_bytes()))
            }
        }
    };
}

random_id!(
    WriterId,
    "One process that writes a chain. It stands in every link, so that a writer can recognise its own."
);
random_id!(
    NodeId,
    "One host's copy of the volume's directory. Kept beside the files, so that a restart is known from a rival."
);
random_id!(VolumeId, "One volume, from its creation to its end.");

/// Wall time in microseconds since 1970-01-01 UTC. Informs people; decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

/// What time it is. Passed in, so that a simulation has its own.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall time.
    fn now(&self) -> WallTime;
}
