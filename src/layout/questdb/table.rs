//! What a table's own files say: `_txn`, and the beginning of its `_meta`. Little-endian.
//!
//! ```text
//! _txn    0 i64 version   8 i32 where the record is, even versions   32 i32 the same, odd ones
//!         record + 80 i64 the last commit that was applied
//! _meta   0 i32 columns   4 i32 partition by   8 i32 timestamp column   16 i32 table id
//!         128 columns, 32 bytes each:  0 i32 type   4 i64 flags   16 i32 symbol capacity
//!         then their names (i32 length, UTF-16)
//! ```
//!
//! (QuestDB: `TxReader`, `TableUtils.writeMetadata`.)

use super::bytes::{i32_at, i64_at, text_at, u64_of};

/// Where the columns begin.
const COLUMNS: usize = 128;
/// How long the account of a column is.
const COLUMN: usize = 32;
/// The type of a symbol column (`ColumnType.SYMBOL`).
const SYMBOL: i32 = 12;
/// The low byte of a type, which tells kinds apart.
const KIND: i32 = 0xff;
/// The flag of a symbol column whose values are cached (`META_FLAG_BIT_SYMBOL_CACHE`).
const CACHED: i64 = 4;

/// How far a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Changes when anything in the file does: read twice with the same version, it is whole.
    pub version: i64,
    /// The last commit that was applied.
    pub txn: u64,
}

impl Applied {
    /// What a `_txn` of these bytes says.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let version = i64_at(bytes, 0)?;
        let record = i32_at(bytes, if version % 2 == 0 { 8 } else { 32 })?;
        let txn = i64_at(bytes, usize::try_from(record).ok()?.checked_add(80)?)?;
        Some(Self { version, txn: u64_of(txn)? })
    }
}

/// A table as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Its partitions' unit (`PartitionBy`).
    pub partition_by: i32,
    /// Which column orders the rows; -1 if none does.
    pub timestamp: i32,
    /// Its id.
    pub id: i32,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: i32,
    /// For a symbol column: room for so many values, and whether they are cached.
    pub symbol: Option<(i32, bool)>,
}

impl Structure {
    /// What a table's `_meta` of these bytes says.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let count = usize::try_from(i32_at(bytes, 0)?).ok()?;
        let mut at = COLUMNS.checked_add(count.checked_mul(COLUMN)?)?;
        let mut columns = Vec::new();
        for index in 0..count {
            let column = COLUMNS + index * COLUMN;
            let kind = i32_at(bytes, column)?;
            let symbol = (i32_at(bytes, column + 16)?, i64_at(bytes, column + 4)? & CACHED != 0);
            let (name, next) = text_at(bytes, at)?;
            at = next;
            let symbol = (kind & KIND == SYMBOL).then_some(symbol);
            columns.push(Column { name, kind, symbol });
        }
        let number = |at| i32_at(bytes, at);
        Some(Self { partition_by: number(4)?, timestamp: number(8)?, id: number(16)?, columns })
    }

    /// How SQL calls the partitions' unit (`PartitionBy`).
    pub fn partition_unit(&self) -> Option<&'static str> {
        Some(match self.partition_by {
            0 => "DAY",
            1 => "MONTH",
            2 => "YEAR",
            4 => "HOUR",
            5 => "WEEK",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applied_commit_stands_in_the_record_that_the_version_names() {
        let mut bytes = vec![0; 400];
        bytes[8] = 64;
        bytes[64 + 80] = 7;
        bytes[32] = 200;
        bytes[200 + 80] = 8;
        assert_eq!(Applied::parse(&bytes), Some(Applied { version: 0, txn: 7 }));
        bytes[0] = 3;
        assert_eq!(Applied::parse(&bytes), Some(Applied { version: 3, txn: 8 }));
        assert_eq!(Applied::parse(&bytes[..250]), None);
    }
}
