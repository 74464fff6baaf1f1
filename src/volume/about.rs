//! What replicas should know of the primary's database although its log does not say it: a
//! document that the primary's walfs keeps as a pointer of the volume. For people; nothing that a
//! replica shows depends on it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Content, Manifest, RelPath};

/// The document's name in walfs's own place, `.walfs`.
pub const NAME: &str = "about.json";
/// Its path in the volume.
const PATH: &str = ".walfs/about.json";

/// What replicas should know. Fields are added, never renamed or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The version of the primary's server, as it said; `None`: it was not asked.
    pub server: Option<String>,
    /// What the primary has and the volume has not.
    pub left_out: Vec<LeftOut>,
}

/// Something that the primary has and the volume has not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Of which table.
    pub table: String,
    /// The commit that brought it; `None`: it is so for as long as the table is as it is.
    pub commit: Option<u64>,
    /// What, and what to do about it.
    pub what: String,
}

impl About {
    /// Where it is in the volume.
    pub fn path() -> RelPath {
        RelPath::new(PATH).expect("it is a path")
    }

    /// What the volume has of it; `None` if it has none.
    pub fn of(manifest: &Manifest) -> Option<Self> {
        match &manifest.file(&Self::path())?.content {
            Content::Pointer(bytes) => Self::from_json(bytes),
            Content::Open(_) | Content::Sealed { .. } => None,
        }
    }

    /// What these bytes say; `None` if they are no such document.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The document.
    pub fn to_json(&self) -> Bytes {
        let text = serde_json::to_string_pretty(self).expect("plain text becomes JSON");
        Bytes::from(text + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_unknown_is_passed_over() {
        let left_out = LeftOut { table: "t".into(), commit: Some(7), what: "x".into() };
        let about = About { server: Some("9.3.4".into()), left_out: vec![left_out] };
        assert_eq!(About::from_json(&about.to_json()), Some(about));
        assert_eq!(About::from_json(b"{\"later\": 1}"), Some(About::default()));
        assert_eq!(About::from_json(b"{"), None);
    }
}
