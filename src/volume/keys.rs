//! How objects are named. Fixed-width hexadecimal, so that names sort as numbers do.

use std::fmt;

use super::{BatchNumber, Epoch, Position, SegmentId};

/// The name of an object below the volume's prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// What the volume is; written once.
    Volume,
    /// A link of the chain.
    Link(Position),
    /// The body of a sealed segment.
    Segment(SegmentId),
    /// A whole manifest.
    Checkpoint(Position),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume => write!(f, "volume"),
            Self::Link(at) => write!(f, "log/{:016x}/{:016x}", at.epoch.0, at.number.0),
            Self::Segment(id) => write!(f, "segments/{:016x}/{:016x}", id.epoch.0, id.counter),
            Self::Checkpoint(at) => {
                write!(f, "checkpoints/{:016x}-{:016x}", at.epoch.0, at.number.0)
            }
        }
    }
}

impl Key {
    /// The key of this name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
        let at = |epoch: &str, number_in: &str| {
            let number = BatchNumber(number(number_in)?);
            Some(Position { epoch: Epoch(u64::from_str_radix(epoch, 16).ok()?), number })
        };
        let parts: Vec<&str> = name.split('/').collect();
        let key = match parts[..] {
            ["volume"] => Self::Volume,
            ["log", epoch, number] => Self::Link(at(epoch, number)?),
            ["segments", epoch, counter] => {
                Self::Segment(SegmentId { epoch: Epoch(number(epoch)?), counter: number(counter)? })
            }
            ["checkpoints", position] => {
                let (epoch, number) = position.split_once('-')?;
                Self::Checkpoint(at(epoch, number)?)
            }
            _ => return None,
        };
        (key.to_string() == name).then_some(key)
    }
}
