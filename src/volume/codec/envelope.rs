//! What every object begins and ends with: magic, kind, version in front, a checksum over
//! everything behind.

use super::FormatError;
use crate::volume::Checksum;

/// The format's version: of links, checkpoints, bodies and the `volume` object alike. A reader
/// refuses newer ones and opens every older one, for ever.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 5] = *b"WALFS";

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Batch,
    Fence,
    Checkpoint,
    Segment,
}

impl ObjectKind {
    const ALL: [Self; 4] = [Self::Batch, Self::Fence, Self::Checkpoint, Self::Segment];

    const fn letter(self) -> u8 {
        match self {
            Self::Batch => b'B',
            Self::Fence => b'F',
            Self::Checkpoint => b'C',
            Self::Segment => b'S',
        }
    }

    /// Eight bytes that say what an object is.
    pub(super) fn mark(self) -> [u8; 8] {
        let [low, high] = VERSION.to_le_bytes();
        let mut mark = [0; 8];
        let parts = MAGIC.into_iter().chain([self.letter(), low, high]);
        mark.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        mark
    }

    /// What an object is that has this mark.
    pub(super) fn of_mark(mark: [u8; 8]) -> Result<Self, FormatError> {
        let [magic @ .., letter, low, high] = mark;
        if magic != MAGIC {
            return Err(FormatError::corrupt("not an object of walfs"));
        }
        match u16::from_le_bytes([low, high]) {
            0 => return Err(FormatError::corrupt("format version 0 does not exist")),
            VERSION => (),
            found => return Err(FormatError::Newer { found, known: VERSION }),
        }
        let kind = Self::ALL.into_iter().find(|kind| kind.letter() == letter);
        kind.ok_or_else(|| FormatError::corrupt("an object of a kind that does not exist"))
    }
}

/// Adds the checksum of everything so far.
pub(super) fn close(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = Checksum::of(&bytes);
    bytes.extend_from_slice(&checksum.0.to_le_bytes());
    bytes
}

/// What an object is, and what it holds between its mark and its checksum.
pub(super) fn open(bytes: &[u8]) -> Result<(ObjectKind, &[u8]), FormatError> {
    let short = || FormatError::corrupt("cut short");
    let (mark, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    let kind = ObjectKind::of_mark(*mark)?;
    let (inside, _) = rest.split_last_chunk::<8>().ok_or_else(short)?;
    let (checked, checksum) = bytes.split_last_chunk().ok_or_else(short)?;
    if Checksum::of(checked) != Checksum(u64::from_le_bytes(*checksum)) {
        return Err(FormatError::corrupt("the checksum does not match: damaged or cut short"));
    }
    Ok((kind, inside))
}
