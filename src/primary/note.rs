//! What a node keeps beside the files: who it is, and which reigns were its own. Written before an
//! election, so that a restart knows its own fence again, whenever that landed.

use std::io;

use serde::{Deserialize, Serialize};

use crate::volume::{NodeId, VolumeId, WriterId};

use super::disk::Home;

/// A process that stood for election so often without an answer need not remember them all.
const CANDIDATES_MAX: usize = 64;

/// What a node keeps beside the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who it is.
    pub node: NodeId,
    /// Whose files these are.
    pub volume: VolumeId,
    /// The writer of its last reign that it knows of.
    pub(super) reign: Option<WriterId>,
    /// The writers that stood for election since, outcome unknown.
    pub(super) candidates: Vec<WriterId>,
    /// A takeover began, and its files are not all in place yet.
    pub(super) unfinished: Option<Unfinished>,
}

/// A takeover whose files are not all in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unfinished {
    /// A local file that continues a shipped one is this node's own: it stays.
    KeepContinued,
    /// The local files were left behind by a reign that ended: the volume's count.
    KeepNothing,
}

/// A note as JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    node: String,
    volume: String,
    #[serde(default)]
    reign: Option<String>,
    #[serde(default)]
    candidates: Vec<String>,
    #[serde(default)]
    unfinished: Option<Unfinished>,
}

impl Note {
    /// The note of a node that was never primary.
    pub fn new(node: NodeId, volume: VolumeId) -> Self {
        Self { node, volume, reign: None, candidates: Vec::new(), unfinished: None }
    }

    /// The note that is kept on this disk.
    pub fn recall(home: &dyn Home) -> io::Result<Option<Self>> {
        let Some(bytes) = home.recall()? else { return Ok(None) };
        let written: Written = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        parse(&written).map(Some).map_err(io::Error::other)
    }

    /// Keeps it.
    pub(super) fn remember(&self, home: &dyn Home) -> io::Result<()> {
        let written = Written {
            node: self.node.to_string(),
            volume: self.volume.to_string(),
            reign: self.reign.as_ref().map(ToString::to_string),
            candidates: self.candidates.iter().map(ToString::to_string).collect(),
            unfinished: self.unfinished,
        };
        let bytes = serde_json::to_vec_pretty(&written).map_err(io::Error::other)?;
        home.remember(&bytes)
    }

    /// Whether this writer was of this node.
    pub(super) fn knows(&self, writer: WriterId) -> bool {
        self.reign == Some(writer) || self.candidates.contains(&writer)
    }

    /// This writer is about to stand for election.
    pub(super) fn stands(&mut self, writer: WriterId) {
        if !self.candidates.contains(&writer) {
            self.candidates.push(writer);
        }
        let surplus = self.candidates.len().saturating_sub(CANDIDATES_MAX);
        self.candidates.drain(..surplus);
    }

    /// This writer reigns.
    pub(super) fn reigns(&mut self, writer: WriterId) {
        self.reign = Some(writer);
        self.candidates.clear();
    }
}

fn parse(written: &Written) -> Result<Note, String> {
    Ok(Note {
        node: written.node.parse()?,
        volume: written.volume.parse()?,
        reign: written.reign.as_deref().map(str::parse).transpose()?,
        candidates: written.candidates.iter().map(|id| id.parse()).collect::<Result<_, _>>()?,
        unfinished: written.unfinished,
    })
}
