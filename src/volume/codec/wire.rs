//! Numbers, texts and paths as bytes, and back. Little-endian; lengths and counts as LEB128, of
//! which only the shortest form is accepted, so that equal values are equal bytes.

use bytes::Bytes;

use super::FormatError;
use crate::volume::{BatchNumber, Checksum, Epoch, Position, RelPath, SegmentId, WallTime};

/// Bytes that grow.
#[derive(Debug, Default)]
pub(super) struct Encoder(pub(super) Vec<u8>);

impl Encoder {
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub(super) fn time(&mut self, time: WallTime) {
        self.raw(&time.0.to_le_bytes());
    }

    pub(super) fn checksum(&mut self, checksum: Checksum) {
        self.u64(checksum.0);
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            let [low, ..] = value.to_le_bytes();
            self.0.push(low | 0x80);
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.0.push(low);
    }

    pub(super) fn count(&mut self, count: usize) {
        self.varint(u64::try_from(count).expect("a count fits"));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn path(&mut self, path: &RelPath) {
        self.bytes(path.as_str().as_bytes());
    }

    pub(super) fn position(&mut self, at: Position) {
        self.varint(at.epoch.0);
        self.varint(at.number.0);
    }

    pub(super) fn segment(&mut self, id: SegmentId) {
        self.varint(id.epoch.0);
        self.varint(id.counter);
    }

    /// What follows is there, or not: one byte, 1 or 0.
    pub(super) fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            encode(self, value);
        }
    }
}

/// Bytes that are used up from the front.
#[derive(Debug)]
pub(super) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Refuses bytes that nobody asked for.
    pub(super) fn finish(self) -> Result<(), FormatError> {
        match self.0 {
            [] => Ok(()),
            rest => Err(FormatError::corrupt(format!("{} bytes too many", rest.len()))),
        }
    }

    pub(super) fn raw(&mut self, len: u64) -> Result<&'a [u8], FormatError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (head, rest) = self.0.split_at_checked(len).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Result<WallTime, FormatError> {
        self.array().map(i64::from_le_bytes).map(WallTime)
    }

    pub(super) fn checksum(&mut self) -> Result<Checksum, FormatError> {
        self.u64().map(Checksum)
    }

    pub(super) fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let digit = u64::from(byte & 0x7f);
            let shifted = digit << shift;
            if shifted >> shift != digit || (byte == 0 && shift > 0) {
                break;
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::corrupt("a number is not in its shortest form"))
    }

    /// So many things, each at least `least` bytes long: `decode` makes one of them.
    pub(super) fn many<T>(
        &mut self,
        count: u64,
        least: usize,
        mut decode: impl FnMut(&mut Self) -> Result<T, FormatError>,
    ) -> Result<Vec<T>, FormatError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > self.0.len() / least {
            return Err(cut_short());
        }
        (0..count).map(|_| decode(self)).collect()
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], FormatError> {
        let len = self.varint()?;
        self.raw(len)
    }

    /// A copy: a slice would keep the whole object in memory.
    pub(super) fn content(&mut self) -> Result<Bytes, FormatError> {
        self.bytes().map(Bytes::copy_from_slice)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, FormatError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| FormatError::corrupt("a text is not UTF-8"))
    }

    pub(super) fn path(&mut self) -> Result<RelPath, FormatError> {
        let text = self.text()?;
        let bad = || FormatError::corrupt(format!("{text:?} is not a path inside a volume"));
        RelPath::new(text).ok_or_else(bad)
    }

    pub(super) fn position(&mut self) -> Result<Position, FormatError> {
        Ok(Position { epoch: Epoch(self.varint()?), number: BatchNumber(self.varint()?) })
    }

    pub(super) fn segment(&mut self) -> Result<SegmentId, FormatError> {
        Ok(SegmentId { epoch: Epoch(self.varint()?), counter: self.varint()? })
    }

    pub(super) fn option<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, FormatError>,
    ) -> Result<Option<T>, FormatError> {
        match self.u8()? {
            0 => Ok(None),
            1 => decode(self).map(Some),
            other => Err(FormatError::corrupt(format!("{other} is neither there nor absent"))),
        }
    }
}

fn cut_short() -> FormatError {
    FormatError::corrupt("cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form_only() {
        for value in [0, 1, 127, 128, 300, u64::MAX >> 1, u64::MAX] {
            let mut encoder = Encoder::default();
            encoder.varint(value);
            let mut decoder = Decoder::new(&encoder.0);
            assert_eq!(decoder.varint(), Ok(value));
            assert_eq!(decoder.finish(), Ok(()));
        }
        let overlong: [&[u8]; 4] = [&[0x80, 0], &[0xff, 0x80, 0], &[0xff; 10], &[0x80; 11]];
        for bytes in overlong {
            assert!(Decoder::new(bytes).varint().is_err(), "{bytes:?}");
        }
        assert!(Decoder::new(&[0x80]).varint().is_err());
    }

    #[test]
    fn a_count_that_the_bytes_cannot_hold_allocates_nothing() {
        let mut decoder = Decoder::new(&[0; 80]);
        assert!(decoder.many(u64::MAX, 8, Decoder::u64).is_err());
        assert!(decoder.many(11, 8, Decoder::u64).is_err());
        assert_eq!(decoder.many(10, 8, Decoder::u64).map(|it| it.len()), Ok(10));
    }
}
