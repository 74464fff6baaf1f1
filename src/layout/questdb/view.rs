//! What a view selects, and the SQL that makes it again. Little-endian.
//!
//! ```text
//! _mv, _view   0 i64 version   8 i64 region a, 16 i64 its length   24 i64 region b, 32 i64 its length
//!              40 regions; the version is odd: a, even: b
//! region       0 i32 checksum   4 i32 blocks   8 blocks
//! block        0 i32 length   4 i16 type   6 i8 version   7 i8 flags   8 what the type has
//! _mv    0     i32 refresh, below 0 if deferred · base · i64, i16 sampling · zone · offset · query
//! _mv    1     i32 limit · i32, i16 timer · i64 start · zone · i32, i16 period · i32, i16 delay
//! _view  0     query · what it depends on
//! ```
//!
//! (QuestDB: `BlockFileUtils`, `MatViewDefinition`, `ViewDefinition`.)

use std::fmt::Write as _;

use super::bytes::{i32_at, i64_at, text_at};

/// Where the regions begin.
const REGIONS: usize = 40;

/// What a materialized view is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatView {
    /// The table that it condenses.
    pub base: String,
    /// How.
    pub query: String,
    /// When it is refreshed, as SQL says it.
    refresh: String,
}

impl MatView {
    /// What a `_mv` of these bytes says.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let blocks = blocks(bytes)?;
        let first = blocks.iter().find(|(kind, _)| *kind == 0).map(|(_, block)| *block)?;
        let refresh = i32_at(first, 0)?;
        let (base, at) = text_at(first, 4)?;
        let (_zone, at) = nullable(first, at.checked_add(10)?)?;
        let (_offset, at) = nullable(first, at)?;
        let (query, _) = text_at(first, at)?;
        let extra = blocks.iter().find(|(kind, _)| *kind == 1).map(|(_, block)| *block);
        let refresh = refresh_words(refresh, extra)?;
        Some(Self { base, query, refresh })
    }

    /// The statement that makes it.
    pub fn create(&self, name: &str, partitions: &str) -> String {
        let Self { base, query, refresh } = self;
        let (name, base) = (quoted(name), quoted(base));
        format!(
            "CREATE MATERIALIZED VIEW {name} WITH BASE {base} {refresh} AS ({query}) PARTITION BY \
             {partitions}"
        )
    }
}

/// What a `_view` of these bytes selects.
pub fn query(bytes: &[u8]) -> Option<String> {
    let blocks = blocks(bytes)?;
    let (_, first) = blocks.iter().find(|(kind, _)| *kind == 0)?;
    text_at(first, 0).map(|(query, _)| query)
}

/// A name as SQL has it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn refresh_words(refresh: i32, extra: Option<&[u8]>) -> Option<String> {
    let (kind, deferred) = if refresh < 0 { (-(refresh + 1), true) } else { (refresh, false) };
    let mut words = String::from("REFRESH ");
    let unit = |at| extra.and_then(|extra| unit_at(extra, at));
    let number = |at| extra.and_then(|extra| i32_at(extra, at)).unwrap_or(0);
    words.push_str(match kind {
        0 => "IMMEDIATE",
        1 if number(4) > 0 => "EVERY ",
        _ => "MANUAL",
    });
    if kind == 1 && number(4) > 0 {
        let _ = write!(words, "{}{}", number(4), unit(8)?);
    }
    if deferred {
        words.push_str(" DEFERRED");
    }
    let Some(extra) = extra else { return Some(words) };
    let (zone, at) = nullable(extra, 18)?;
    let start = i64_at(extra, 10)?;
    let zone = zone.map(|zone| format!(" TIME ZONE '{}'", zone.replace('\'', "''")));
    let (length, delay) = (i32_at(extra, at)?, i32_at(extra, at.checked_add(6)?)?);
    if kind == 1 && start != i64::MIN {
        // The statement takes no number here; where it stands is in the file that follows.
        let _ = write!(words, " START '1970-01-01T00:00:00.000000Z'");
    }
    if length > 0 {
        let _ = write!(words, " PERIOD (LENGTH {length}{}", unit_at(extra, at + 4)?);
        words.push_str(zone.as_deref().unwrap_or_default());
        if delay > 0 {
            let _ = write!(words, " DELAY {delay}{}", unit_at(extra, at + 10)?);
        }
        words.push(')');
    } else if kind == 1 {
        words.push_str(zone.as_deref().unwrap_or_default());
    }
    Some(words)
}

fn unit_at(bytes: &[u8], at: usize) -> Option<char> {
    let unit = u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?);
    char::from_u32(u32::from(unit)).filter(char::is_ascii_alphabetic)
}

/// A text that may be none (a length of -1), and where it ends.
fn nullable(bytes: &[u8], at: usize) -> Option<(Option<String>, usize)> {
    match i32_at(bytes, at)? {
        -1 => Some((None, at + 4)),
        _ => text_at(bytes, at).map(|(text, end)| (Some(text), end)),
    }
}

/// The blocks of the region that counts.
fn blocks(bytes: &[u8]) -> Option<Vec<(i16, &[u8])>> {
    let version = i64_at(bytes, 0).filter(|version| *version > 0)?;
    let header = if version % 2 == 1 { 8 } else { 24 };
    let number = |at| i64_at(bytes, at).and_then(|value| usize::try_from(value).ok());
    let start = REGIONS.checked_add(number(header)?)?;
    let region = bytes.get(start..start.checked_add(number(header + 8)?)?)?;
    let mut rest = region.get(8..)?;
    let mut blocks = Vec::new();
    for _ in 0..i32_at(region, 4)? {
        let len = usize::try_from(i32_at(rest, 0)?).ok().filter(|len| *len >= 8)?;
        let kind = i16::from_le_bytes(rest.get(4..6)?.try_into().ok()?);
        blocks.push((kind, rest.get(8..len)?));
        rest = rest.get(len..)?;
    }
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Definitions that QuestDB 9.3.4 wrote: without the zeros at the end.
    const MADE: &str = include_str!("view/definitions.txt");

    fn made(name: &str) -> Vec<u8> {
        let line = MADE.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        let hex = line.unwrap();
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
        bytes.resize(4096, 0);
        bytes
    }

    #[test]
    fn a_materialized_view_is_made_again_as_it_was() {
        let create = |name| MatView::parse(&made(name)).unwrap().create(name, "DAY");
        assert_eq!(
            create("mv1"),
            "CREATE MATERIALIZED VIEW \"mv1\" WITH BASE \"plain\" REFRESH IMMEDIATE AS (select ts, \
             sum(v) sv from plain sample by 1h) PARTITION BY DAY"
        );
        assert!(create("mv2").contains(
            "REFRESH EVERY 1h START '1970-01-01T00:00:00.000000Z' TIME ZONE 'Europe/Berlin' AS (sel"
        ));
        assert!(create("mv3").contains(
            "REFRESH MANUAL DEFERRED PERIOD (LENGTH 1d TIME ZONE 'Europe/London' DELAY 2h) AS ("
        ));
        assert!(create("mv4").contains("REFRESH IMMEDIATE PERIOD (LENGTH 1d) AS ("));
    }

    #[test]
    fn a_view_tells_its_query() {
        assert_eq!(query(&made("v1")).unwrap(), "select ts, v*2 w from plain where v > 1");
        assert_eq!(query(&made("v1")[..100]), None);
    }
}
