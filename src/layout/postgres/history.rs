//! Where a timeline came from. A history file has one line per ancestor, the last one is the
//! parent: its timeline, the LSN at which it was left, and a reason, separated by tabs.
//! (PostgreSQL: `access/transam/timeline.c`.)

use std::io;

use crate::layout::Look;
use crate::layout::shipped::{Shipped, read_whole};

use super::names::{Lsn, Name, history_path};

/// A history file has a line per promotion: more than this is none.
const SIZE_MAX: u64 = 1 << 20;

/// The number of the segment in which this timeline begins, if the volume has segments of the
/// ancestors that lead there.
pub(super) fn fork(look: &Look<'_>, timeline: u32, segment_size: u64) -> io::Result<Option<u64>> {
    let path = history_path(timeline);
    let content = match Shipped::of(look.shipped, &path).pointer() {
        Some(content) => Some(content.clone()),
        None => match look.files.open(&path)? {
            Some(file) => read_whole(&*file, SIZE_MAX)?,
            None => None,
        },
    };
    let parent = content.as_deref().and_then(|text| parent(std::str::from_utf8(text).ok()?));
    Ok(parent.and_then(|(parent, at)| {
        let of_parent =
            |path| matches!(Name::of(path), Some(Name::Segment(it)) if it.timeline == parent);
        look.shipped.files.keys().any(of_parent).then_some(at.0 / segment_size)
    }))
}

/// The timeline that was left last, and where.
fn parent(text: &str) -> Option<(u32, Lsn)> {
    text.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_history_is_the_parent() {
        let text = "1\t0/2000110\tno recovery target specified\n\n\
                    2\t1/A0000F8\tno recovery target specified\n";
        assert_eq!(parent(text), Some((2, Lsn(0x1_0A00_00F8))));
        assert_eq!(parent("# nothing\n"), None);
    }
}
