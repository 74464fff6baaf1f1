//! What a mount tells about itself: the content of `.walfs/status.json`, and what
//! `walfs status` prints. A stable shape: fields are added, never renamed or removed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::volume::LeftOut;

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
    /// The daemon. A signal to end the mount goes to it.
    pub pid: u32,
    /// The process that serves the mount, if the daemon is another, which holds it: killed, it is
    /// replaced.
    #[serde(default)]
    pub worker: Option<u32>,
    /// How many such processes died and were replaced.
    #[serde(default)]
    pub restarts: u32,
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
    /// Replica with `database=`: how the server takes in what is shown.
    #[serde(default)]
    pub delivery: Option<Delivery>,
    /// Primary: the version of the database's server, as it told; `null` if it was not asked.
    #[serde(default)]
    pub server_version: Option<String>,
    /// What the primary has and the volume has not.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Settings of the database's server that replication does not go with.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// With `max_lag` or `budget`: how well they are met.
    #[serde(default)]
    pub aims: Option<Aims>,
    /// I/O in the kernel where possible.
    pub passthrough: bool,
    /// Requests to the store by kind, since the daemon started.
    pub requests: BTreeMap<String, u64>,
    /// Bytes sent to and received from the store.
    pub bytes: BTreeMap<String, u64>,
    /// What the requests come to.
    #[serde(default)]
    pub cost: Option<Cost>,
}

/// How well `max_lag` and `budget` are met, and what they make of this mount's waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Aims {
    /// As it was set.
    pub max_lag_seconds: Option<f64>,
    /// As it was set.
    pub budget_dollars_per_month: Option<f64>,
    /// With a budget: what requests came to in the last hour.
    pub last_hour_dollars: Option<f64>,
    /// Primary: the interval now.
    pub interval_seconds: Option<f64>,
    /// Replica: how soon it looks again while data flows.
    pub poll_seconds: Option<f64>,
    /// Replica: how rarely it looks when nothing happens.
    pub poll_max_seconds: Option<f64>,
    /// What cannot be met, why, and what to do.
    pub missed: Vec<String>,
}

/// What a mount's requests come to, at the rate since it began. Without traffic and storage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// US dollars in 30 days.
    pub dollars_per_month: f64,
    /// When the prices were looked up.
    pub prices_as_of: String,
}

/// How a database's server on this host takes in what a replica shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `connected`, or why walfs cannot speak to the server.
    pub server: String,
    /// Its version, as it told.
    #[serde(default)]
    pub version: Option<String>,
    /// That of the primary's server, as the volume has it.
    #[serde(default)]
    pub primary_version: Option<String>,
    /// Tables that are delivered.
    pub tables: u64,
    /// Those of them that have not applied all that is shown.
    pub behind_tables: u64,
    /// How many of the database's commits they have not applied.
    pub behind_txns: u64,
    /// Bytes of segments that are in place for the server.
    pub window_bytes: u64,
    /// Their bound.
    pub window_size: u64,
    /// Tables that the database suspended, by name.
    pub suspended: Vec<String>,
    /// Tables that do not go on, why, and what to do.
    pub problems: Vec<TableProblem>,
    /// Tables of this server that the volume does not have.
    pub here_only: Vec<String>,
}

/// Why a table does not go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableProblem {
    /// Its directory.
    pub table: String,
    /// Why, and what to do.
    pub problem: String,
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
