//! `walfs status`: how a mount is, or what a volume contains.

use std::fs;
use std::io;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::fuse::hidden;
use crate::fuse::status::{Aims, Cost, Delivery, FILE, Status as Told, TableProblem};
use crate::mounts;
use crate::store::chain::Chain;
use crate::store::doctor::cost::MONTH_HOURS;
use crate::volume::info::VolumeInfo;
use crate::volume::{LeftOut, Manifest};

use super::failure::{Exit, Failure};
use super::output::{bytes, facts, print, print_json, seconds};
use super::reach::{HOW, Reached, Which};

/// Tell how a mount is, or what a volume contains
#[derive(Debug, Args)]
pub struct Status {
    /// A mount's directory, or a volume's URL.
    #[arg(value_name = "DIR|URL", help = "A mount's directory, or a volume's URL")]
    what: String,
    /// How to reach a URL.
    #[arg(short = 'o', value_name = "OPTIONS", help = HOW)]
    options: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Tells.
    pub fn run(self) -> Result<(), Failure> {
        if !self.what.contains("://") {
            let told = of_mount(Path::new(&self.what))?;
            return if self.json { print_json(&told) } else { print(&describe_mount(&told)) };
        }
        let json = self.json;
        let which = Which { url: self.what, options: self.options };
        which.reach(async |reached: Reached| {
            let manifest = reached.manifest().await?;
            let told = Contents::new(&reached.info, &reached.chain, &manifest);
            if json { print_json(&told) } else { print(&describe_volume(&told)) }
        })
    }
}

/// What a mount tells about itself.
pub fn of_mount(dir: &Path) -> Result<Told, Failure> {
    let shown = dir.display();
    let text = match read(dir) {
        Ok(text) => text,
        Err(error) if is_death(&error) => {
            return Err(Failure::error(format!(
                "{shown}: the mount's daemon is dead; unmount it with: walfs umount {shown}, and \
                 mount it again"
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Failure::new(Exit::Refused, format!("{shown}: {error}")));
        }
        Err(_) if dir.is_dir() => {
            return Err(Failure::error(format!(
                "{shown}: not a walfs mount; {}",
                match of_ours().as_slice() {
                    [] => "there is none on this host".to_owned(),
                    known => format!("there are: {}", known.join(", ")),
                }
            )));
        }
        Err(error) => {
            return Err(Failure::error(format!("{shown}: {error}; give a directory or a URL")));
        }
    };
    serde_json::from_slice(&text)
        .map_err(|error| Failure::error(format!("{shown}: its status cannot be read: {error}")))
}

/// Whether it is a mount without a daemon. Its root may look alive for a while: only what nobody
/// caches tells.
pub fn is_dead(dir: &Path) -> bool {
    read(dir).is_err_and(|error| is_death(&error))
}

fn read(dir: &Path) -> io::Result<Vec<u8>> {
    fs::read(dir.join(hidden::NAME).join(FILE))
}

fn is_death(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(libc::ENOTCONN) || code == Some(libc::ECONNABORTED)
}

fn of_ours() -> Vec<String> {
    let ours = mounts::all().unwrap_or_default().into_iter().filter(mounts::Mount::is_walfs);
    ours.map(|mount| mount.point.display().to_string()).collect()
}

/// What a volume contains. A stable shape: fields are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Contents {
    volume: String,
    url: String,
    layout: String,
    created: String,
    epoch: u64,
    primary: Option<String>,
    primary_since: Option<String>,
    position: Option<String>,
    position_time: Option<String>,
    database: Option<String>,
    files: usize,
    bytes: u64,
    segments: usize,
}

impl Contents {
    fn new(info: &VolumeInfo, chain: &Chain, manifest: &Manifest) -> Self {
        let reign = manifest.reign.as_ref();
        Self {
            volume: info.volume.to_string(),
            url: chain.store().url().to_owned(),
            layout: info.layout.clone(),
            created: info.created.to_string(),
            epoch: manifest.epoch().0,
            primary: reign.map(|fence| fence.node_name.clone()),
            primary_since: reign.map(|fence| fence.time.to_string()),
            position: manifest.position.map(|position| position.to_string()),
            position_time: manifest.position.map(|_| manifest.time.to_string()),
            database: manifest.database.clone(),
            files: manifest.file_count(),
            bytes: manifest.byte_count(),
            segments: manifest.segments.len(),
        }
    }
}

fn describe_volume(told: &Contents) -> String {
    facts([
        ("volume", Some(format!("{} (layout {})", told.volume, told.layout))),
        ("store", Some(told.url.clone())),
        ("created", Some(told.created.clone())),
        ("primary", primary(told.primary.as_deref(), told.primary_since.as_deref(), told.epoch)),
        ("position", position(told.position.as_deref(), told.position_time.as_deref())),
        ("database", told.database.clone()),
        ("files", Some(format!("{}, {}", told.files, bytes(told.bytes)))),
    ])
}

fn describe_mount(told: &Told) -> String {
    let backlog = told.backlog_bytes.map(|backlog| match told.backlog_seconds {
        Some(age) => format!("{}, the oldest {} old", bytes(backlog), seconds(age)),
        None => bytes(backlog),
    });
    let cache = told.cache_bytes.map(|used| match told.cache_size {
        Some(size) => format!("{} of {}", bytes(used), bytes(size)),
        None => bytes(used),
    });
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let some = counts.iter().filter(|(_, count)| **count > 0);
        some.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
    };
    facts([
        ("role", Some(format!("{}, {}", told.role, told.state))),
        ("problem", told.problem.clone()),
        ("volume", Some(format!("{} (layout {})", told.volume, told.layout))),
        ("store", Some(told.url.clone())),
        ("node", Some(format!("{} {}", told.node_name, told.node))),
        ("primary", primary(told.primary.as_deref(), told.primary_since.as_deref(), told.epoch)),
        ("position", position(told.position.as_deref(), told.position_time.as_deref())),
        ("database", told.database.clone()),
        ("backlog", backlog),
        ("held files", told.held_files.filter(|held| *held > 0).map(|held| held.to_string())),
        ("store answered", told.store_seconds.map(|age| format!("{} ago", seconds(age)))),
        ("publish lag", told.publish_lag_seconds.map(seconds)),
        ("cache", cache),
        ("server", told.delivery.as_ref().map(|delivery| delivery.server.clone())),
        ("version", version(told)),
        ("tables", told.delivery.as_ref().map(tables)),
        ("suspended", listed(told.delivery.as_ref().map(|delivery| &delivery.suspended))),
        ("only here", listed(told.delivery.as_ref().map(|delivery| &delivery.here_only))),
        ("stopped", told.delivery.as_ref().and_then(stopped)),
        ("not replicated", left_out(told)),
        ("settings", listed(Some(&told.warnings))),
        ("requests", Some(counts(&told.requests)).filter(|text| !text.is_empty())),
        ("bytes", Some(counts(&told.bytes)).filter(|text| !text.is_empty())),
        ("cost", told.cost.as_ref().map(cost)),
        ("max lag", told.aims.as_ref().and_then(max_lag)),
        ("budget", told.aims.as_ref().and_then(budget)),
        ("waits", told.aims.as_ref().map(waits)),
        ("missed", told.aims.as_ref().and_then(|aims| aims.missed.first().cloned())),
        ("missed too", told.aims.as_ref().and_then(|aims| others(&aims.missed))),
        ("passthrough", Some(if told.passthrough { "yes" } else { "no" }.to_owned())),
        ("pid", Some(told.pid.to_string())),
        ("restarts", Some(told.restarts).filter(|count| *count > 0).map(|count| count.to_string())),
    ])
}

fn cost(cost: &Cost) -> String {
    let Cost { dollars_per_month, prices_as_of } = cost;
    format!("${dollars_per_month:.2} per month for requests, at prices of {prices_as_of}")
}

fn max_lag(aims: &Aims) -> Option<String> {
    aims.max_lag_seconds.map(seconds)
}

fn budget(aims: &Aims) -> Option<String> {
    let (month, hour) = (aims.budget_dollars_per_month?, aims.last_hour_dollars?);
    let each = month / MONTH_HOURS;
    Some(format!("${month:.2} per month, ${each:.4} an hour; the last hour came to ${hour:.4}"))
}

/// What the mount makes of its aims.
fn waits(aims: &Aims) -> String {
    let wait = |name, wait: Option<f64>| wait.map(|wait| format!("{name}={}", seconds(wait)));
    let all = [
        wait("interval", aims.interval_seconds),
        wait("poll", aims.poll_seconds),
        wait("poll_max", aims.poll_max_seconds),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn others(missed: &[String]) -> Option<String> {
    missed.get(1..).filter(|rest| !rest.is_empty()).map(|rest| rest.join("; "))
}

/// How far the tables are that a server takes in.
fn tables(delivery: &Delivery) -> String {
    match delivery.behind_tables {
        0 => format!("{}, all applied", delivery.tables),
        behind => {
            format!("{}, {behind} of them {} commits behind", delivery.tables, delivery.behind_txns)
        }
    }
}

/// Which version the database's server is, where somebody is there to be asked.
fn version(told: &Told) -> Option<String> {
    let known =
        |version: &Option<String>| version.clone().unwrap_or_else(|| "not known".to_owned());
    match &told.delivery {
        None => told.server_version.clone(),
        Some(delivery) => Some(format!(
            "{}, the primary's {}",
            known(&delivery.version),
            known(&delivery.primary_version)
        )),
    }
}

fn left_out(told: &Told) -> Option<String> {
    let words = |it: &LeftOut| match it.commit {
        None => format!("{} {}", it.table, it.what),
        Some(commit) => format!("{} commit {commit}: {}", it.table, it.what),
    };
    let all: Vec<_> = told.left_out.iter().map(words).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn listed(names: Option<&Vec<String>>) -> Option<String> {
    names.filter(|names| !names.is_empty()).map(|names| names.join(", "))
}

fn stopped(delivery: &Delivery) -> Option<String> {
    let problem = |it: &TableProblem| format!("{}: {}", it.table, it.problem);
    let problems: Vec<_> = delivery.problems.iter().map(problem).collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

fn primary(name: Option<&str>, since: Option<&str>, epoch: u64) -> Option<String> {
    Some(format!("{} since {}, epoch {epoch}", name?, since.unwrap_or("the beginning")))
}

fn position(position: Option<&str>, time: Option<&str>) -> Option<String> {
    Some(format!("{} at {}", position?, time.unwrap_or("an unknown time")))
}
