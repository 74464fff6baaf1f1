//! What is mounted where, and how: reads `/proc/self/mountinfo`. Does not mount. A leaf: whoever
//! asks the system for its mounts asks here.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type that walfs mounts under.
pub const TYPE: &str = "fuse.walfs";

/// Something that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Over which directory.
    pub point: PathBuf,
    /// Which type of filesystem.
    pub kind: String,
    /// From where: of ours, the volume's URL.
    pub source: String,
    /// How: of this mount, and of the filesystem behind it.
    pub options: Vec<String>,
}

impl Mount {
    /// Whether it is one of ours, dead or alive.
    pub fn is_walfs(&self) -> bool {
        self.kind == TYPE
    }
}

/// What is mounted over exactly this directory, on top of all else.
pub fn at(point: &Path) -> io::Result<Option<Mount>> {
    Ok(all()?.into_iter().rev().find(|mount| mount.point == point))
}

/// The mount that this path is on: the deepest of those above it, and of these the last.
pub fn below(path: &Path) -> io::Result<Option<Mount>> {
    Ok(deepest(all()?, path))
}

fn deepest(mounts: Vec<Mount>, path: &Path) -> Option<Mount> {
    let above = mounts.into_iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

/// Everything that is mounted, in order of mounting.
pub fn all() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda rw`: fields up to the lone dash
/// vary in number.
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
    let own = text(fields.next()?);
    let mut after_dash = fields.skip_while(|field| *field != b"-").skip(1).map(text);
    let (kind, source) = (after_dash.next()?, after_dash.next()?);
    let all = [own, after_dash.next().unwrap_or_default()];
    let options = all.iter().flat_map(|some| some.split(',')).filter(|it| !it.is_empty());
    Some(Mount { point, kind, source, options: options.map(str::to_owned).collect() })
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = octal.and_then(|octal| u8::from_str_radix(octal, 8).ok());
        text.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_whatever_fields_stand_before_the_dash() {
        let table = b"22 1 8:1 / / rw - ext4 /dev/vda rw\n\
            36 22 0:50 / /var/my\\040wal rw,nosuid shared:9 master:1 - fuse.walfs s3://b/pg rw,user_id=0\n";
        let mounts = parse(table);
        let [root, ours] = mounts.as_slice() else { panic!("two mounts, not {mounts:?}") };
        assert_eq!((root.kind.as_str(), root.is_walfs()), ("ext4", false));
        assert_eq!(ours.point, Path::new("/var/my wal"));
        assert_eq!((ours.source.as_str(), ours.is_walfs()), ("s3://b/pg", true));
        assert_eq!(ours.options, ["rw", "nosuid", "rw", "user_id=0"]);
        let on = |path| deepest(mounts.clone(), Path::new(path)).map(|mount| mount.kind);
        assert_eq!(on("/var/my wal/x"), Some(TYPE.to_owned()));
        assert_eq!(on("/var/my wall"), Some("ext4".to_owned()));
    }

    #[test]
    fn a_lone_backslash_is_itself() {
        assert_eq!(unescape(b"a\\134b\\9\\"), b"a\\b\\9\\");
    }

    #[test]
    fn the_root_is_mounted() {
        let root = at(Path::new("/")).expect("there is a table");
        assert!(root.is_some_and(|mount| !mount.is_walfs()));
    }
}
