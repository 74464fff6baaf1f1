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
    /// The key that is written so, and in no other way; `None` for the names of others.
    pub fn parse(name: &str) -> Option<Self> {
        let pair = |text: &str, separator| {
            let (epoch, number) = text.split_once(separator)?;
            Some((Epoch(parse_hex(epoch)?), parse_hex(number)?))
        };
        let position = |(epoch, number)| Position { epoch, number: BatchNumber(number) };
        let (folder, rest) = name.split_once('/').unwrap_or((name, ""));
        match folder {
            "volume" if name == "volume" => Some(Self::Volume),
            "log" => pair(rest, '/').map(position).map(Self::Link),
            "checkpoints" => pair(rest, '-').map(position).map(Self::Checkpoint),
            "segments" => {
                let (epoch, counter) = pair(rest, '/')?;
                Some(Self::Segment(SegmentId { epoch, counter }))
            }
            _ => None,
        }
    }
}

fn parse_hex(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == 16 && digits).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(epoch: u64, number: u64) -> [Key; 4] {
        let position = Position { epoch: Epoch(epoch), number: BatchNumber(number) };
        let segment = SegmentId { epoch: Epoch(epoch), counter: number };
        [Key::Volume, Key::Link(position), Key::Segment(segment), Key::Checkpoint(position)]
    }

    #[test]
    fn names_are_written_as_documented() {
        let names = keys(3, 0xabc).map(|key| key.to_string());
        let expected = [
            "volume",
            "log/0000000000000003/0000000000000abc",
            "segments/0000000000000003/0000000000000abc",
            "checkpoints/0000000000000003-0000000000000abc",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn names_of_others_are_no_keys() {
        let (long, short) = ("0".repeat(16), "0".repeat(15));
        let others = [
            String::new(),
            "volume/".into(),
            "Volume".into(),
            format!("log/{long}"),
            format!("log/{long}/{short}"),
            format!("log/{long}/{short}A"),
            format!("log/{long}/+{short}"),
            format!("log/{long}/{long}/"),
            format!("log/{long}-{long}"),
            format!("checkpoints/{long}/{long}"),
            format!("other/{long}/{long}"),
        ];
        for name in others {
            assert_eq!(Key::parse(&name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_found_again_in_its_name(epoch: u64, number: u64) {
            for key in keys(epoch, number) {
                prop_assert_eq!(Key::parse(&key.to_string()), Some(key));
            }
        }

        #[test]
        fn names_sort_as_positions_do(one: (u64, u64), other: (u64, u64)) {
            for (a, b) in keys(one.0, one.1).into_iter().zip(keys(other.0, other.1)).skip(1) {
                prop_assert_eq!(a.to_string().cmp(&b.to_string()), one.cmp(&other));
            }
        }
    }
}
