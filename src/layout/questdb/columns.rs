//! The types of columns as SQL says them. A type's low byte tells its kind; what else it needs to
//! know stands above.
//!
//! ```text
//! timestamp  bit 18: nanoseconds        geohash  bits 8-15: how many bits
//! array      bits 8-13: element, from 14: dimensions less one
//! decimal    bits 8-15: precision, from 18: scale
//! ```
//!
//! (QuestDB: `ColumnType`.)

/// How SQL says this type; `None` if this walfs does not know it.
pub fn sql_type(kind: i32) -> Option<String> {
    let upper = kind >> 8;
    let plain = match kind & 0xff {
        8 if kind == 8 => "TIMESTAMP",
        8 if kind == 1 << 18 | 8 => "TIMESTAMP_NS",
        14..=17 => return geohash(upper & 0xff),
        27 => return array(upper & 0x3f, kind >> 14),
        28..=33 => return Some(format!("DECIMAL({}, {})", upper & 0xff, kind >> 18)),
        _ if upper != 0 => return None,
        1 => "BOOLEAN",
        2 => "BYTE",
        3 => "SHORT",
        4 => "CHAR",
        5 => "INT",
        6 => "LONG",
        7 => "DATE",
        9 => "FLOAT",
        10 => "DOUBLE",
        11 => "STRING",
        12 => "SYMBOL",
        13 => "LONG256",
        18 => "BINARY",
        19 => "UUID",
        24 => "LONG128",
        25 => "IPV4",
        26 => "VARCHAR",
        _ => return None,
    };
    Some(plain.to_owned())
}

fn geohash(bits: i32) -> Option<String> {
    (1..=60).contains(&bits).then(|| format!("GEOHASH({bits}b)"))
}

fn array(element: i32, more: i32) -> Option<String> {
    let dimensions = usize::try_from(more).ok()?.checked_add(1).filter(|count| *count <= 32)?;
    Some(format!("{}{}", sql_type(element)?, "[]".repeat(dimensions)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_said_as_they_were_declared() {
        for (kind, said) in [
            (8, "TIMESTAMP"),
            (262_152, "TIMESTAMP_NS"),
            (12, "SYMBOL"),
            (66_830, "GEOHASH(5b)"),
            (80_913, "GEOHASH(60b)"),
            (18_971, "DOUBLE[][]"),
            (791_071, "DECIMAL(18, 3)"),
        ] {
            assert_eq!(sql_type(kind).as_deref(), Some(said));
        }
        assert_eq!(sql_type(77), None);
        assert_eq!(sql_type(-12), None, "a dropped column");
    }
}
