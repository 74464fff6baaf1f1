//! Credentials from a file of sections and `name = value` lines, as the clouds' own tools write
//! them; read again when it changes, so that keys may be renewed under a running mount. Says
//! nothing of what they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::BadPlace;

const DEFAULT: &str = "default";

/// Keys of S3 in a file.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    profile: Option<String>,
    /// Guards: the keys and the time of the file that they were read from.
    last: Mutex<(SystemTime, Arc<AwsCredential>)>,
}

impl KeyFile {
    /// The keys of this section, which must be there.
    pub(super) fn open(path: PathBuf, profile: Option<&str>) -> Result<Self, BadPlace> {
        let first = (changed(&path)?, keys(&path, profile)?);
        Ok(Self { path, profile: profile.map(str::to_owned), last: Mutex::new(first) })
    }

    fn current(&self) -> Result<Arc<AwsCredential>, BadPlace> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(&self.path)?;
        if changed != last.0 {
            *last = (changed, keys(&self.path, self.profile.as_deref())?);
        }
        Ok(Arc::clone(&last.1))
    }
}

#[async_trait]
impl CredentialProvider for KeyFile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.current().map_err(|error| object_store::Error::Unauthenticated {
            path: self.path.display().to_string(),
            source: error.into(),
        })
    }
}

/// The lines of one section: `[default]` if none is named; lines before any section are of that.
pub(super) fn read(path: &Path, profile: Option<&str>) -> Result<Vec<(String, String)>, BadPlace> {
    let wanted = profile.unwrap_or(DEFAULT);
    let text = fs::read_to_string(path).map_err(|error| bad(path, &error.to_string()))?;
    let found = section(&text, wanted);
    if found.is_empty() {
        return Err(bad(path, &format!("there is nothing in its section [{wanted}]")));
    }
    Ok(found)
}

fn section(text: &str, wanted: &str) -> Vec<(String, String)> {
    let mut current = DEFAULT.to_owned();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.trim().trim_start_matches("profile ").trim().clone_into(&mut current);
        } else if let Some((name, value)) = line.split_once('=').filter(|_| current == wanted) {
            found.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

fn keys(path: &Path, profile: Option<&str>) -> Result<Arc<AwsCredential>, BadPlace> {
    let lines = read(path, profile)?;
    let value =
        |name: &str| lines.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let needed = |name| value(name).ok_or_else(|| bad(path, &format!("{name} is missing")));
    Ok(Arc::new(AwsCredential {
        key_id: needed("aws_access_key_id")?,
        secret_key: needed("aws_secret_access_key")?,
        token: value("aws_session_token"),
    }))
}

fn changed(path: &Path) -> Result<SystemTime, BadPlace> {
    let time = fs::metadata(path).and_then(|meta| meta.modified());
    time.map_err(|error| bad(path, &error.to_string()))
}

fn bad(path: &Path, why: &str) -> BadPlace {
    BadPlace(format!("option store.credentials_file: {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_name() {
        let text = "a=0\n[default]\nA = 1\n# x=y\n[profile other]\nb=2\n";
        let of = |name| section(text, name);
        assert_eq!(of("default"), [("a".into(), "0".into()), ("a".into(), "1".into())]);
        assert_eq!(of("other"), [("b".into(), "2".into())]);
        assert!(of("none").is_empty());
    }

    #[test]
    fn renewed_keys_are_taken_up_and_a_file_that_is_gone_is_told_without_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let write = |key: &str| {
            let text = format!("aws_access_key_id={key}\naws_secret_access_key=hunter2\n");
            fs::write(&path, text).unwrap();
        };
        write("first");
        let file = KeyFile::open(path.clone(), None).unwrap();
        assert_eq!(file.current().unwrap().key_id, "first");
        write("second");
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(5);
        fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(file.current().unwrap().key_id, "second");
        fs::write(&path, "aws_secret_access_key=hunter2\n").unwrap();
        let text = file.current().unwrap_err().to_string();
        assert!(text.contains("aws_access_key_id is missing") && !text.contains("hunter2"));
    }
}
