//! `_meta` of a segment, and how long the files of its columns are for so many rows.
//! Little-endian.
//!
//! ```text
//! _meta   0 i32 length   4 i32 format   8 i64 structure version   16 i32 columns
//!        20 i32 which is the designated timestamp   24 i32 table id   28 i8 suspended
//!        29 per column: i32 type, below 0 if dropped · i32 length · name in UTF-16
//! ```
//!
//! | column | `<name>.d` | `<name>.i` |
//! |---|---|---|
//! | fixed width | a value per row | - |
//! | designated timestamp | 16 bytes per row: time, row | - |
//! | string, binary | the values | i64 per row where it begins, and one where the last ends |
//! | varchar, array | the values that do not fit in `.i` | 16 bytes per row |
//!
//! (QuestDB: `SequencerMetadata`, `ColumnType`, `VarcharTypeDriver`, `ArrayTypeDriver`.)

use std::io;

use super::super::OpenFile;
use super::bytes::{i32_at, i64_at, text_at, u64_of};

/// The columns of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// How many bytes of the file count.
    pub len: u64,
    /// Those that are there, in order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, which its files have, too.
    pub name: String,
    /// How its values are stored.
    pub width: Width,
}

/// How the values of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// So many bytes each.
    Fixed(u64),
    /// Offsets in `.i`, values in `.d`.
    Offsets,
    /// Varchars.
    Varchar,
    /// Arrays.
    Array,
}

/// Why the columns of a segment are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// These bytes are no `_meta`, or not all of it.
    Torn,
    /// A column of a type that this walfs does not know.
    Type {
        /// The column.
        column: String,
        /// Its type.
        tag: i32,
    },
}

/// Bytes of a `.i` entry of varchars and arrays.
const AUX: u64 = 16;
/// The low 48 bits of a value: an offset into `.d`.
const OFFSET_BITS: u64 = (1 << 48) - 1;

impl Meta {
    /// What these bytes say.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unknown> {
        let len =
            i32_at(bytes, 0).and_then(|len| usize::try_from(len).ok()).ok_or(Unknown::Torn)?;
        let bytes = bytes.get(..len).ok_or(Unknown::Torn)?;
        let count = i32_at(bytes, 16).ok_or(Unknown::Torn)?;
        let timestamp = i32_at(bytes, 20).ok_or(Unknown::Torn)?;
        let (mut at, mut columns) = (29_usize, Vec::new());
        for index in 0..count {
            let kind = i32_at(bytes, at).ok_or(Unknown::Torn)?;
            let (name, end) = text_at(bytes, at + 4).ok_or(Unknown::Torn)?;
            at = end;
            if kind < 0 {
                continue;
            }
            let tag = kind & 0xff;
            let width = if index == timestamp { Some(Width::Fixed(16)) } else { Width::of(tag) };
            let width = width.ok_or_else(|| Unknown::Type { column: name.clone(), tag })?;
            columns.push(Column { name, width });
        }
        Ok(Self { len: u64::try_from(len).map_err(|_| Unknown::Torn)?, columns })
    }
}

impl Width {
    /// Of a type (`ColumnType`, the low byte).
    fn of(tag: i32) -> Option<Self> {
        Some(match tag {
            1 | 2 | 14 | 28 => Self::Fixed(1),
            3 | 4 | 15 | 29 => Self::Fixed(2),
            5 | 9 | 12 | 16 | 25 | 30 => Self::Fixed(4),
            6..=8 | 10 | 17 | 31 => Self::Fixed(8),
            19 | 24 | 32 => Self::Fixed(16),
            13 | 33 => Self::Fixed(32),
            11 | 18 => Self::Offsets,
            26 => Self::Varchar,
            27 => Self::Array,
            _ => return None,
        })
    }

    /// How long `.i` is for so many rows; `None` if there is no such file.
    pub fn index_len(self, rows: u64) -> Option<u64> {
        match self {
            Self::Fixed(_) => None,
            Self::Offsets => Some((rows + 1) * 8),
            Self::Varchar | Self::Array => Some(rows * AUX),
        }
    }

    /// How long `.d` is for so many rows, of which `index` tells. `None` if it does not.
    pub fn data_len(self, rows: u64, index: Option<&dyn OpenFile>) -> io::Result<Option<u64>> {
        let entry = |offset: u64, bytes: &mut [u8]| -> io::Result<Option<()>> {
            let Some(index) = index else { return Ok(None) };
            Ok((index.read_at(offset, bytes)? == bytes.len()).then_some(()))
        };
        match self {
            Self::Fixed(width) => Ok(Some(rows * width)),
            _ if rows == 0 => Ok(Some(0)),
            Self::Offsets => {
                let mut end = [0; 8];
                Ok(entry(rows * 8, &mut end)?.and_then(|()| i64_at(&end, 0)).and_then(u64_of))
            }
            Self::Varchar | Self::Array => {
                let mut last = [0; 16];
                let read = entry((rows - 1) * AUX, &mut last)?;
                Ok(read.and_then(|()| self.end_of(&last)))
            }
        }
    }

    /// Where the value ends in `.d` of which this is the entry.
    fn end_of(self, entry: &[u8]) -> Option<u64> {
        let word = |at| i64_at(entry, at).map(i64::cast_unsigned);
        match self {
            Self::Varchar => {
                // Two flags, inlined and null: then nothing of it is in `.d`.
                let head = i32_at(entry, 0)?.cast_unsigned();
                let start = (word(8)? >> 16) & OFFSET_BITS;
                let len = if head & 0b101 == 0 { (head >> 4) & 0x0fff_ffff } else { 0 };
                Some(start + u64::from(len))
            }
            Self::Array => {
                let start = word(0)? & OFFSET_BITS;
                Some(start + u64::from(i32_at(entry, 8)?.cast_unsigned()))
            }
            Self::Fixed(_) | Self::Offsets => None,
        }
    }
}
