//! What real servers left in their directories, step by step: the fixtures that `scripts/record-traces`
//! and `scripts/record-questdb-traces` make. A new trace is a new file in `tests/fixtures`.

use std::collections::BTreeMap;
use std::io::Read;

use super::recorded::Recorded;

/// One step: the files as they were.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Recording {
    /// Takes out what the recording says beside the files.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.files.remove(name).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Makes the disk what the recording has. Returns the names that were touched.
    pub(super) fn put(&self, disk: &mut Recorded) -> Vec<String> {
        let gone: Vec<_> = disk.paths().map(ToString::to_string).collect();
        let gone: Vec<_> = gone.into_iter().filter(|path| !self.files.contains_key(path)).collect();
        for path in &gone {
            disk.remove(path);
        }
        let mut touched = gone;
        for (path, bytes) in &self.files {
            if disk.bytes(path).as_ref() != Some(bytes) {
                disk.write(path, 0, bytes);
                disk.resize(path, u64::try_from(bytes.len()).unwrap());
                touched.push(path.clone());
            }
        }
        touched
    }
}

/// The traces whose names begin so.
pub(super) fn traces(prefix: &str) -> Vec<Vec<Recording>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut found: Vec<_> = found
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "there are fixtures");
    let read = |path| {
        let file = std::fs::File::open(path).unwrap();
        let mut tar = Vec::new();
        zstd::stream::read::Decoder::new(file).unwrap().read_to_end(&mut tar).unwrap();
        untar(&tar)
    };
    found.into_iter().map(read).collect()
}

/// The steps in a tar of plain files with short names.
fn untar(mut tar: &[u8]) -> Vec<Recording> {
    let mut steps: Vec<Recording> = Vec::new();
    while let Some((header, rest)) = tar.split_at_checked(512) {
        let text = |from: usize, to: usize| {
            let field = header[from..to].split(|byte| *byte == 0).next().unwrap();
            std::str::from_utf8(field).unwrap().trim().to_owned()
        };
        let (name, size) = (text(0, 100), text(124, 136));
        if name.is_empty() {
            break;
        }
        let size = usize::from_str_radix(&size, 8).unwrap();
        let content = rest[..size].to_vec();
        tar = &rest[size.next_multiple_of(512)..];
        let Some((step, file)) = name.trim_start_matches("./").split_once('/') else { continue };
        if steps.last().is_none_or(|last| last.name != step) {
            steps.push(Recording { name: step.to_owned(), files: BTreeMap::new() });
        }
        if !file.is_empty() && !file.ends_with('/') {
            steps.last_mut().unwrap().files.insert(file.to_owned(), content);
        }
    }
    steps
}
