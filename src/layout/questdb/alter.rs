//! What a change of structure is, as far as a replica must know before it is applied: whether it
//! gives the table another name. Little-endian.
//!
//! ```text
//! _txnlog.meta.i   i64 each: where the change to structure version n ends in _txnlog.meta.d
//! _txnlog.meta.d   changes   0 i32 length
//! change           0 i16 command   2 i32   6 i32 numbers   i64 each   i32 texts   texts
//! ```
//!
//! (QuestDB: `AlterOperation.serializeBody`, `TableTransactionLogV1.beginMetadataChangeEntry`.)

use super::bytes::{i32_at, i64_at, text_at};

/// The command that renames a table: the old name, the new one (`AlterOperation.RENAME_TABLE`).
const RENAME_TABLE: i16 = 14;

/// Where the change to this structure version begins and ends in the log of changes.
pub fn bounds(index: &[u8], structure: u64) -> Option<(usize, usize)> {
    let entry = |version: u64| {
        let at = usize::try_from(version.checked_mul(8)?).ok()?;
        usize::try_from(i64_at(index, at)?).ok()
    };
    Some((entry(structure.checked_sub(1)?)?, entry(structure)?))
}

/// The name that this change gives the table; `None` if it gives none.
pub fn new_name(change: &[u8]) -> Option<String> {
    let body = change.get(4..)?;
    if i16::from_le_bytes(body.get(..2)?.try_into().ok()?) != RENAME_TABLE {
        return None;
    }
    let numbers = usize::try_from(i32_at(body, 6)?).ok()?;
    let texts = numbers.checked_mul(8)?.checked_add(10)?;
    let (_old, next) = text_at(body, texts.checked_add(4)?)?;
    (i32_at(body, texts)? == 2).then(|| text_at(body, next))?.map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&i32::try_from(text.len()).unwrap().to_le_bytes()[..], &units].concat()
    }

    fn change(command: u8, numbers: u8, texts: &[&str]) -> Vec<u8> {
        let count = u8::try_from(texts.len()).unwrap();
        let mut body = vec![command, 0, 0, 0, 0, 0, numbers, 0, 0, 0];
        body.resize(10 + usize::from(numbers) * 8, 7);
        body.extend([count, 0, 0, 0]);
        for it in texts {
            body.extend(text(it));
        }
        [&i32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
    }

    #[test]
    fn only_a_rename_gives_another_name() {
        assert_eq!(new_name(&change(14, 0, &["ren", "ren2"])), Some("ren2".into()));
        assert_eq!(new_name(&change(1, 6, &["q"])), None);
        assert_eq!(new_name(&change(14, 0, &["ren"])), None);
        assert_eq!(new_name(&change(14, 0, &["ren", "ren2"])[..20]), None);
    }

    #[test]
    fn a_change_stands_between_the_ends_of_two() {
        let index = [0_i64, 72, 112].map(i64::to_le_bytes).concat();
        assert_eq!(bounds(&index, 2), Some((72, 112)));
        assert_eq!(bounds(&index, 3), None);
        assert_eq!(bounds(&index, 0), None);
    }
}
