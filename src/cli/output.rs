//! What people and scripts read: aligned columns, or JSON of a stable shape (`docs/json.md`).

use std::io::{self, Write};

use indicatif::HumanBytes;
use serde::Serialize;

use super::failure::Failure;

/// Prints this text, if somebody still reads.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::output(&error))
}

/// Prints this value as JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print(&(text.map_err(|error| Failure::output(&error.into()))? + "\n"))
}

/// Where the text of a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// These rows as columns, two spaces apart.
pub fn columns<const N: usize>(aligns: [Align; N], rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), align) in row.iter().zip(widths).zip(aligns) {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => line.extend([cell, padding.as_str(), "  "]),
                Align::Right => line.extend([padding.as_str(), cell, "  "]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and their values, those without a value left out.
pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let known = facts.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    columns([Align::Left, Align::Left], &known.collect::<Vec<_>>())
}

/// So many bytes, for people.
pub fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

/// So many seconds, for people.
pub fn seconds(count: f64) -> String {
    match count {
        count if count.abs() < 1.0 => format!("{:.0} ms", count * 1000.0),
        count if count.abs() < 120.0 => format!("{count:.1} s"),
        count => format!("{:.0} min", count / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |name: &str, size: &str| [name.to_owned(), size.to_owned()];
        let text = columns([Align::Left, Align::Right], &[row("a", "1"), row("long", "100")]);
        assert_eq!(text, "a       1\nlong  100\n");
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        assert_eq!(facts([("a", Some("1".to_owned())), ("b", None)]), "a  1\n");
    }
}
