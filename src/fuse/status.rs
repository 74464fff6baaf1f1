//! What a mount tells about itself: the content of `.walfs/status.json`, and what
//! `walfs status` prints. A stable shape: fields are added, never renamed or removed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The name of the whole account in `.walfs`.
pub const FILE: &str = "status.json";

/// A mount's own account of itself. Times are RFC 3339, durations seconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `primary` or `replica`.
    pub role: String,
    /// `running`, `fenced`, `store-away`, `diverged`, `stopping`.
    pub state: String,
    /// What is wrong and what to do about it, when something is.
    pub problem: Option<String>,
    /// The volume's id.
    pub volume: String,
    /// Where the volume is, without secrets.
    pub url: String,
    /// What the files mean.
    pub layout: String,
    /// This node's id.
    pub node: String,
    /// What people call this node.
    pub node_name: String,
    /// The daemon.
    pub pid: u32,
    /// The epoch.
    pub epoch: u64,
    /// Who is primary in this epoch.
    pub primary: Option<String>,
    /// Since when.
    pub primary_since: Option<String>,
    /// The newest published (primary) or shown (replica) position.
    pub position: Option<String>,
    /// When that batch was cut.
    pub position_time: Option<String>,
    /// What the database calls that point.
    pub database: Option<String>,
    /// Bytes on the primary's disk that the store lacks.
    pub backlog_bytes: Option<u64>,
    /// Age of the oldest of them.
    pub backlog_seconds: Option<f64>,
    /// Files held until they are shipped.
    pub held_files: Option<u64>,
    /// Replica: how long ago the store last answered.
    pub store_seconds: Option<f64>,
    /// Replica: from a batch's cut to its publication here, of the last one. Needs equal clocks.
    pub publish_lag_seconds: Option<f64>,
    /// Bytes in the cache.
    pub cache_bytes: Option<u64>,
    /// Their bound.
    pub cache_size: Option<u64>,
    /// I/O in the kernel where possible.
    pub passthrough: bool,
    /// Requests to the store by kind, since the daemon started.
    pub requests: BTreeMap<String, u64>,
    /// Bytes sent to and received from the store.
    pub bytes: BTreeMap<String, u64>,
}

impl Status {
    /// The files of `.walfs`: the whole account, and one value each for those who only want that.
    pub fn files(&self) -> Vec<(&'static str, Bytes)> {
        let line = |value: Option<String>| Bytes::from(value.unwrap_or_default() + "\n");
        let whole = serde_json::to_string_pretty(self).ok();
        vec![
            (FILE, line(whole)),
            ("role", line(Some(self.role.clone()))),
            ("state", line(Some(self.state.clone()))),
            ("epoch", line(Some(self.epoch.to_string()))),
            ("position", line(self.position.clone())),
            ("lag", line(self.publish_lag_seconds.map(|seconds| seconds.to_string()))),
            ("backlog", line(self.backlog_bytes.map(|bytes| bytes.to_string()))),
        ]
    }
}
