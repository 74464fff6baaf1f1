//! `walfs log`: the links of a volume's history.

use std::collections::VecDeque;

use clap::Args;
use serde::Serialize;

use crate::store::{Chain, StoreError};
use crate::volume::codec::EncodedLink;
use crate::volume::{Edit, Link, Manifest, Position};

use super::failure::Failure;
use super::output::{Align, bytes, columns, print, print_json};
use super::reach::{Reached, Which};

/// Show a volume's history: batches, and the fences between epochs
///
/// The newest ones, the last one at the end; or those from a position on.
#[derive(Debug, Args)]
pub struct Log {
    #[command(flatten)]
    which: Which,
    /// Begin at this position, written epoch-number
    #[arg(long, value_name = "POSITION")]
    from: Option<Position>,
    /// Show at most so many; 0: all of them
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Log {
    /// Shows.
    pub fn run(self) -> Result<(), Failure> {
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let entries = self.which.reach(async |reached: Reached| {
            let chain = &reached.chain;
            match self.from {
                Some(from) => Ok(following(chain, from, limit).await?),
                None if limit == usize::MAX => {
                    Ok(following(chain, Manifest::empty().successor(), limit).await?)
                }
                None => Ok(newest(chain, limit).await?),
            }
        })?;
        if self.json { print_json(&entries) } else { print(&describe(&entries)) }
    }
}

/// One link. A stable shape: fields are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Entry {
    position: String,
    kind: &'static str,
    time: String,
    writer: String,
    database: Option<String>,
    edits: Option<usize>,
    tail_bytes: Option<u64>,
    sealed_bytes: Option<u64>,
    sealed_files: Option<usize>,
    object_bytes: usize,
    next_epoch: Option<u64>,
    primary: Option<String>,
    node: Option<String>,
}

async fn following(
    chain: &Chain,
    from: Position,
    limit: usize,
) -> Result<VecDeque<Entry>, StoreError> {
    let mut entries = VecDeque::new();
    let mut at = from;
    while entries.len() < limit {
        let Some(link) = chain.read(at).await? else { break };
        at = link.link.successor();
        entries.push_back(Entry::of(&link));
    }
    Ok(entries)
}

/// What follows the newest checkpoint, and before it as much as is needed: back to the beginning
/// of its epoch, and of the epoch before.
async fn newest(chain: &Chain, limit: usize) -> Result<VecDeque<Entry>, StoreError> {
    let start = chain.start().await?;
    let mut fence = start.reign.as_ref().map(|reign| reign.position);
    let mut before = start.position;
    let mut entries = VecDeque::new();
    let mut each = |link: &EncodedLink, _: &Manifest| {
        if entries.len() == limit {
            entries.pop_front();
        }
        entries.push_back(Entry::of(link));
    };
    chain.catch_up(start, &mut each).await?;
    while let Some(at) = before.filter(|_| entries.len() < limit) {
        let Some(link) = chain.read(at).await? else { break };
        entries.push_front(Entry::of(&link));
        before = match at.number.0.checked_sub(1) {
            Some(number) => Some(Position { number: crate::volume::BatchNumber(number), ..at }),
            None => fence.take_if(|fence| fence.epoch < at.epoch),
        };
    }
    Ok(entries)
}

impl Entry {
    fn of(encoded: &EncodedLink) -> Self {
        let link = &encoded.link;
        let mut entry = Self {
            position: link.position().to_string(),
            kind: "batch",
            time: String::new(),
            writer: link.writer().to_string(),
            database: None,
            edits: None,
            tail_bytes: None,
            sealed_bytes: None,
            sealed_files: None,
            object_bytes: encoded.bytes.len(),
            next_epoch: None,
            primary: None,
            node: None,
        };
        match link {
            Link::Batch(batch) => {
                let sealed = batch.edits.iter().filter_map(|edit| match edit {
                    Edit::Seal(seal) => Some(&seal.members),
                    _ => None,
                });
                let sealed: Vec<_> = sealed.flatten().collect();
                entry.time = batch.time.to_string();
                entry.database.clone_from(&batch.database);
                entry.edits = Some(batch.edits.len());
                entry.tail_bytes = u64::try_from(batch.payload.len()).ok();
                entry.sealed_bytes = Some(sealed.iter().map(|member| member.size).sum());
                entry.sealed_files = Some(sealed.len());
            }
            Link::Fence(fence) => {
                entry.kind = "fence";
                entry.time = fence.time.to_string();
                entry.next_epoch = Some(fence.next.0);
                entry.primary = Some(fence.node_name.clone());
                entry.node = Some(fence.node.to_string());
            }
        }
        entry
    }

    fn cells(&self) -> [String; 6] {
        let what = match (&self.primary, &self.database) {
            (Some(name), _) => {
                format!("fence: {name} is primary of epoch {}", self.next_epoch.unwrap_or(0))
            }
            (None, database) => database.clone().unwrap_or_default(),
        };
        let sealed = self.sealed_bytes.filter(|sealed| *sealed > 0);
        [
            self.position.clone(),
            self.time.clone(),
            self.edits.map(|edits| edits.to_string()).unwrap_or_default(),
            self.tail_bytes.map(bytes).unwrap_or_default(),
            sealed.map(bytes).unwrap_or_default(),
            what,
        ]
    }
}

fn describe(entries: &VecDeque<Entry>) -> String {
    let heading = ["POSITION", "TIME", "EDITS", "TAIL", "SEALED", "DATABASE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heading).chain(entries.iter().map(Entry::cells)).collect();
    let aligns = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Left];
    columns(aligns, &rows)
}
