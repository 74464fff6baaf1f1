//! `walfs ls`: the files of a volume.

use clap::Args;
use serde::Serialize;

use crate::volume::manifest::Node;
use crate::volume::{Content, File, Manifest, RelPath};

use super::failure::{Exit, Failure};
use super::output::{Align, bytes, columns, print, print_json};
use super::reach::{Reached, Which};

/// List a volume's files
#[derive(Debug, Args)]
pub struct Ls {
    #[command(flatten)]
    which: Which,
    /// A directory or file of the volume; its root if none is named
    path: Option<String>,
    /// Show state, size and time too
    #[arg(short = 'l', long)]
    long: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ls {
    /// Lists.
    pub fn run(self) -> Result<(), Failure> {
        let path = self.path.as_deref().map(parse_path).transpose()?.flatten();
        let entries = self
            .which
            .reach(async |reached: Reached| entries(&reached.manifest().await?, path.as_ref()))?;
        if self.json {
            print_json(&entries)
        } else if self.long {
            let rows: Vec<_> = entries.iter().map(Entry::cells).collect();
            print(&columns([Align::Left, Align::Right, Align::Left, Align::Left], &rows))
        } else {
            print(&entries.iter().map(Entry::line).collect::<String>())
        }
    }
}

/// A path of a volume as people write it: perhaps with slashes around; nothing means the root.
pub fn parse_path(text: &str) -> Result<Option<RelPath>, Failure> {
    match text.trim_matches('/') {
        "" | "." => Ok(None),
        trimmed => RelPath::new(trimmed).map(Some).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("`{text}` cannot be a path inside a volume"))
        }),
    }
}

/// There is no such path.
pub fn no_path(path: &RelPath) -> Failure {
    Failure::error(format!("{path}: the volume has no such file or directory; see walfs ls"))
}

/// One file or directory. A stable shape: fields are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    kind: &'static str,
    state: Option<&'static str>,
    size: Option<u64>,
    changed: Option<String>,
}

fn entries(manifest: &Manifest, path: Option<&RelPath>) -> Result<Vec<Entry>, Failure> {
    if let Some(path) = path {
        match manifest.node(path) {
            Some(Node::File(file)) => return Ok(vec![Entry::file(path.to_string(), file)]),
            Some(Node::Directory) => {}
            None => return Err(no_path(path)),
        }
    }
    let below = path.map_or_else(String::new, |path| format!("{path}/"));
    let listed = manifest.list(path).into_iter().map(|(name, node)| {
        let path = format!("{below}{name}");
        match node {
            Node::File(file) => Entry::file(path, file),
            Node::Directory => Entry::directory(path),
        }
    });
    Ok(listed.collect())
}

impl Entry {
    fn file(path: String, file: &File) -> Self {
        let state = match file.content {
            Content::Open(_) => "open",
            Content::Sealed { .. } => "sealed",
            Content::Pointer(_) => "pointer",
        };
        let changed = Some(file.changed.to_string());
        Self { path, kind: "file", state: Some(state), size: Some(file.size), changed }
    }

    fn directory(path: String) -> Self {
        Self { path, kind: "directory", state: None, size: None, changed: None }
    }

    fn line(&self) -> String {
        let slash = if self.kind == "directory" { "/" } else { "" };
        format!("{}{slash}\n", self.path)
    }

    fn cells(&self) -> [String; 4] {
        [
            self.state.unwrap_or(self.kind).to_owned(),
            self.size.map(bytes).unwrap_or_default(),
            self.changed.clone().unwrap_or_default(),
            self.line().trim_end().to_owned(),
        ]
    }
}
