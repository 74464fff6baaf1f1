//! How objects are named. Fixed-width hexadecimal, so that names sort as numbers do.

use std::fmt;

use super::{Position, SegmentId};

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
