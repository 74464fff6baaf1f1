//! Numbers as QuestDB stores them: little-endian, not aligned.

/// The number at this offset; `None` beyond the end.
pub fn i32_at(bytes: &[u8], offset: usize) -> Option<i32> {
    let end = offset.checked_add(4)?;
    Some(i32::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// The number at this offset; `None` beyond the end.
pub fn i64_at(bytes: &[u8], offset: usize) -> Option<i64> {
    let end = offset.checked_add(8)?;
    Some(i64::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// A count or an offset, which is never below zero.
pub fn u64_of(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

/// A length and so many UTF-16 units: the text, and where it ends.
pub fn text_at(bytes: &[u8], offset: usize) -> Option<(String, usize)> {
    let units = usize::try_from(i32_at(bytes, offset)?).ok()?;
    let start = offset.checked_add(4)?;
    let end = start.checked_add(units.checked_mul(2)?)?;
    let units = bytes.get(start..end)?.chunks_exact(2);
    let units: Vec<u16> =
        units.filter_map(|unit| unit.try_into().ok().map(u16::from_le_bytes)).collect();
    Some((String::from_utf16(&units).ok()?, end))
}
