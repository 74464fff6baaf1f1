//! The names in `pg_wal` and what they say: timeline and place of a segment, for any
//! `wal_segment_size`. (PostgreSQL: `access/xlog_internal.h`, `access/xlogdefs.h`.)

use std::fmt;

use crate::volume::RelPath;

/// The sizes that a segment may have (`WalSegMinSize`, `WalSegMaxSize`): powers of two.
const SIZES: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 30);

/// How many bytes of WAL the first 16 digits of a name count: `0x100000000`.
const LOG_FILE: u64 = 1 << 32;

/// Whether `wal_segment_size` may have this value.
pub fn is_segment_size(size: u64) -> bool {
    size.is_power_of_two() && SIZES.contains(&size)
}

/// A place in the WAL: what PostgreSQL calls an LSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// So many bytes further on.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl std::str::FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |part: &str| u32::from_str_radix(part, 16).ok().map(u64::from);
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(parse(high)? << 32 | parse(low)?)))
            .ok_or_else(|| format!("`{text}` is not an LSN: write it like 0/16B3748"))
    }
}

/// What a name in `pg_wal` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `000000010000000A000000FE`: a segment.
    Segment(SegmentName),
    /// `000000010000000A000000FE.partial`: the last segment of a timeline that ended.
    Partial(SegmentName),
    /// `00000002.history`: where a timeline came from.
    History(u32),
    /// `000000010000000A000000FE.00000028.backup`: a note that a base backup left.
    Backup,
}

impl Name {
    /// The meaning of this path, if it has one for the volume.
    pub fn of(path: &RelPath) -> Option<Self> {
        let name = path.as_str();
        if let Some(timeline) = name.strip_suffix(".history") {
            return hex(timeline, 8).and_then(|value| u32::try_from(value).ok()).map(Self::History);
        }
        if let Some(segment) = name.strip_suffix(".partial") {
            return SegmentName::parse(segment).map(Self::Partial);
        }
        if let Some((segment, offset)) =
            name.strip_suffix(".backup").and_then(|rest| rest.split_once('.'))
        {
            return SegmentName::parse(segment).and(hex(offset, 8)).map(|_| Self::Backup);
        }
        SegmentName::parse(name).map(Self::Segment)
    }
}

/// The path of a timeline's history file.
pub fn history_path(timeline: u32) -> RelPath {
    RelPath::new(&format!("{timeline:08X}.history")).expect("digits are a path")
}

/// The name of a segment. Which bytes it holds depends on the size of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// On which timeline.
    pub timeline: u32,
    high: u32,
    low: u32,
}

impl SegmentName {
    /// The name in these 24 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let all = hex(text, 24)?;
        let digits = |shift: u32| u32::try_from((all >> shift) & 0xFFFF_FFFF).ok();
        Some(Self { timeline: digits(64)?, high: digits(32)?, low: digits(0)? })
    }

    /// The name of the segment with this number, counted from the beginning of the WAL.
    pub fn new(timeline: u32, number: u64, segment_size: u64) -> Self {
        let per_log_file = LOG_FILE / segment_size;
        let part = |value| u32::try_from(value).expect("the WAL has 2^64 bytes at most");
        Self { timeline, high: part(number / per_log_file), low: part(number % per_log_file) }
    }

    /// Which segment it is, counted from the beginning of the WAL; `None` if segments of this
    /// size never have this name.
    pub fn number(self, segment_size: u64) -> Option<u64> {
        let per_log_file = LOG_FILE / segment_size;
        let low = u64::from(self.low);
        (low < per_log_file).then(|| u64::from(self.high) * per_log_file + low)
    }

    /// The path.
    pub fn path(self) -> RelPath {
        RelPath::new(&self.to_string()).expect("digits are a path")
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}{:08X}{:08X}", self.timeline, self.high, self.low)
    }
}

/// A number in exactly so many upper-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let good = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    (text.len() == digits && text.bytes().all(good))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<Name> {
        Name::of(&RelPath::new(text).unwrap())
    }

    #[test]
    fn names_say_what_files_are() {
        let segment = SegmentName { timeline: 1, high: 10, low: 254 };
        assert_eq!(name("000000010000000A000000FE"), Some(Name::Segment(segment)));
        assert_eq!(name("000000010000000A000000FE.partial"), Some(Name::Partial(segment)));
        assert_eq!(name("0000000B.history"), Some(Name::History(11)));
        assert_eq!(name("000000010000000A000000FE.00000028.backup"), Some(Name::Backup));
        for other in [
            "000000010000000a000000FE",
            "000000010000000A000000F",
            "+00000010000000A000000FE",
            "xlogtemp.17",
            "archive_status/000000010000000A000000FE",
            "000000010000000A000000FE.backup",
            "00000002.history.tmp",
            "RECOVERYXLOG",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_and_names_agree_at_every_segment_size() {
        for size in [1 << 20, 16 << 20, 64 << 20, 1 << 30] {
            for number in [0, 1, 3, 4, 255, 256, 4095, 4096, 1 << 30] {
                let name = SegmentName::new(7, number, size);
                assert_eq!(name.number(size), Some(number));
                assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
            }
        }
        let name = SegmentName::parse("00000001000000000000FFFF").unwrap();
        assert_eq!(name.number(16 << 20), None);
    }

    #[test]
    fn an_lsn_is_written_as_postgresql_writes_it() {
        assert_eq!(Lsn(0x1_016B_3748).to_string(), "1/16B3748");
        assert_eq!("1/16B3748".parse(), Ok(Lsn(0x1_016B_3748)));
        assert!("16B3748".parse::<Lsn>().is_err());
    }
}
