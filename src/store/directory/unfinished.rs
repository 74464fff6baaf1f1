//! The files beside the objects: `NAME#N`, which is to become `NAME`. Does not decide which of them
//! nobody will finish: see `store::leftovers`.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, Result};

use crate::store::leftovers::{Unfinished, Workshop, before_number};

use super::Directory;
use super::placing::forgive_absence;

/// How deep objects lie below a volume's folder.
const DEPTH: usize = 3;

#[async_trait]
impl Workshop for Directory {
    async fn unfinished(&self, folder: &Path) -> Result<Vec<Unfinished>> {
        self.check().await?;
        let root = self.root.path.join(folder.as_ref());
        let walk = move || {
            let mut found = Vec::new();
            walk(&root, "", DEPTH, &mut found).map(|()| found)
        };
        tokio::task::spawn_blocking(walk).await?.map_err(failed)
    }

    async fn remove(&self, folder: &Path, path: &str) -> Result<()> {
        self.check().await?;
        let path = self.root.path.join(folder.as_ref()).join(path);
        let remove = move || forgive_absence(fs::remove_file(path));
        tokio::task::spawn_blocking(remove).await?.map_err(failed)
    }
}

fn walk(
    root: &std::path::Path,
    below: &str,
    depth: usize,
    found: &mut Vec<Unfinished>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        // The names of objects are text.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            if depth > 1 {
                walk(root, &path, depth - 1, found)?;
            }
        } else if let Some(object) = before_number(&path, "#").map(str::to_owned) {
            match entry.metadata() {
                Ok(meta) => {
                    let modified = meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000;
                    found.push(Unfinished { path, object, modified });
                }
                // It was finished meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn failed(error: io::Error) -> Error {
    Error::Generic { store: "directory", source: error.into() }
}
