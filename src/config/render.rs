//! The table of options as people read it: in `--help`, in the man page, in the README.

use std::fmt::Write as _;

use super::options::{Mounts, Row, TABLE};

/// What stands before and after the section that is rendered into the README.
pub const MARKERS: (&str, &str) = ("<!-- options -->", "<!-- /options -->");

/// For `--help`: one line or two for each option, aligned.
pub fn help() -> String {
    let width = TABLE.iter().map(|row| row.usage().len()).max().unwrap_or(0);
    let mut text = String::from("Options after -o, separated by commas:\n");
    for (mounts, heading) in SECTIONS {
        let _ = writeln!(text, "\n  {heading}:");
        for row in TABLE.iter().filter(|row| row.mounts == *mounts) {
            let default = match row.default_words() {
                "" => String::new(),
                words => format!(" [{words}]"),
            };
            let _ = writeln!(text, "    {:width$}  {}{default}", row.usage(), row.help);
        }
    }
    text.push_str(
        "\nfstab's own words (defaults, _netdev, nofail, x-systemd.*, ...) are accepted.",
    );
    text
}

/// For the README: a table in Markdown, markers included.
pub fn markdown() -> String {
    let mut text = format!("{}\n| option | default | mount | what it does |\n", MARKERS.0);
    text.push_str("|---|---|---|---|\n");
    for row in TABLE {
        let mount = match row.mounts {
            Mounts::All => "both",
            Mounts::Primary => "primary",
            Mounts::Replica => "replica",
        };
        let usage = row.usage().replace('|', "\\|");
        let _ = writeln!(text, "| `{usage}` | {} | {mount} | {} |", row.default_words(), row.help);
    }
    text.push_str(MARKERS.1);
    text
}

/// For the man pages: a section in roff.
pub fn roff() -> String {
    let mut text = String::from(".SH \"MOUNT OPTIONS\"\n");
    for (mounts, heading) in SECTIONS {
        let _ = writeln!(text, ".SS \"{heading}\"");
        for row in TABLE.iter().filter(|row| row.mounts == *mounts) {
            roff_row(&mut text, row);
        }
    }
    text
}

/// Text as roff shows it literally.
pub fn roff_escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace("\n.", "\n\\&.")
}

const SECTIONS: &[(Mounts, &str)] = &[
    (Mounts::All, "On every mount"),
    (Mounts::Primary, "On a primary"),
    (Mounts::Replica, "On a replica"),
];

fn roff_row(text: &mut String, row: &Row) {
    let sentence = |text: &str| {
        let mut chars = text.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    };
    let default = match row.default_words() {
        "" => String::new(),
        words => format!(" Default: {words}."),
    };
    let body = format!("{}.{default} {}", sentence(row.help), row.more);
    let _ = writeln!(
        text,
        ".TP\n\\fB{}\\fR\n{}",
        roff_escape(&row.usage()),
        roff_escape(body.trim_end())
    );
}
