//! What stands in the `volume` object: what kind of volume this is, for as long as it exists.

use serde::{Deserialize, Serialize};

use super::codec::{FormatError, VERSION};
use super::{VolumeId, WallTime};

/// What kind of volume this is. Written once, read at each mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Which one.
    pub volume: VolumeId,
    /// What its files mean: the value of `layout=`.
    pub layout: String,
    /// When it was created, by the creator's clock.
    pub created: WallTime,
}

/// How bytes are compressed; format 1 knows no other way.
const COMPRESSION: &str = "zstd";

/// As it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u16,
    volume: String,
    layout: String,
    compression: String,
    encryption: Option<String>,
    created: String,
}

/// What of it is read first: a newer document may have any other form.
#[derive(Debug, Deserialize)]
struct Version {
    format: u16,
}

impl VolumeInfo {
    /// The object.
    pub fn to_json(&self) -> String {
        let document = Document {
            format: VERSION,
            volume: self.volume.to_string(),
            layout: self.layout.clone(),
            compression: COMPRESSION.to_owned(),
            encryption: None,
            created: precise(self.created),
        };
        let text = serde_json::to_string_pretty(&document).expect("plain text becomes JSON");
        text + "\n"
    }

    /// What this object says. Refuses what this walfs does not understand.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FormatError> {
        let corrupt = |error: serde_json::Error| FormatError::Corrupt(error.to_string());
        let Version { format } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if format > VERSION {
            return Err(FormatError::Newer { found: format, known: VERSION });
        }
        let document: Document = serde_json::from_slice(bytes).map_err(corrupt)?;
        document.understood().map_err(FormatError::Corrupt)
    }
}

impl Document {
    fn understood(self) -> Result<VolumeInfo, String> {
        if self.format != VERSION {
            return Err(format!("format version {} does not exist", self.format));
        }
        if self.compression != COMPRESSION {
            return Err(format!("compression `{}` is unknown to this walfs", self.compression));
        }
        if let Some(encryption) = self.encryption {
            return Err(format!("encryption `{encryption}` is unknown to this walfs"));
        }
        let created: jiff::Timestamp =
            self.created.parse().map_err(|_| format!("`{}` is not a time", self.created))?;
        Ok(VolumeInfo {
            volume: self.volume.parse()?,
            layout: self.layout,
            created: WallTime(created.as_microsecond()),
        })
    }
}

/// A time that is beyond what can be written is no use to anyone: it becomes 1970.
fn precise(time: WallTime) -> String {
    jiff::Timestamp::from_microsecond(time.0).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> VolumeInfo {
        let volume = VolumeId(*b"0123456789abcdef");
        let created = WallTime(1_790_000_000_123_456);
        VolumeInfo { volume, layout: "postgres".into(), created }
    }

    fn changed(from: &str, to: &str) -> Result<VolumeInfo, FormatError> {
        let json = info().to_json();
        assert!(json.contains(from), "{json}");
        VolumeInfo::from_json(json.replace(from, to).as_bytes())
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(VolumeInfo::from_json(info().to_json().as_bytes()), Ok(info()));
        let fixture = include_bytes!("../../tests/fixtures/format-v1/volume.json");
        assert_eq!(VolumeInfo::from_json(fixture), Ok(info()));
    }

    #[test]
    fn a_newer_volume_is_refused_whatever_its_form() {
        let newer = FormatError::Newer { found: 2, known: 1 };
        assert_eq!(changed("\"format\": 1", "\"format\": 2, \"x\": 0"), Err(newer.clone()));
        assert_eq!(VolumeInfo::from_json(b"{\"format\":2}"), Err(newer));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refused = |result| matches!(result, Err(FormatError::Corrupt(_)));
        assert!(refused(changed("\"zstd\"", "\"lzma\"")));
        assert!(refused(changed("null", "\"aes\"")));
        assert!(refused(changed("\"format\": 1", "\"format\": 0")));
        assert!(refused(changed("\"format\": 1", "\"format\": 1, \"extra\": 0")));
        assert!(refused(changed("3031", "31")));
        assert!(refused(changed("2026", "some day")));
        assert!(refused(VolumeInfo::from_json(b"")));
    }
}
