//! The fence that makes a node the primary. Does not ask whether the node should be: that is the
//! caller's, who knows whose reign it continues.

use crate::volume::codec::{EncodedLink, encode_link};
use crate::volume::{Fence, Link, Manifest, NodeId, WallTime, WriterId};

use super::StoreError;
use super::chain::{Appended, Chain, fold};

/// Who wants to be primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its writer id: new for every process.
    pub writer: WriterId,
    /// Its node.
    pub node: NodeId,
    /// What people call that node.
    pub node_name: String,
    /// When it stood for election.
    pub time: WallTime,
}

/// How an election ended, with the manifest after the fence.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// The candidate is the primary of the new epoch.
    Won(Manifest),
    /// Somebody else is. Who, says the manifest's reign.
    Lost(Manifest),
    /// The candidate slept so long that the volume went on and the place of its fence was swept.
    /// Nothing happened; it has to begin again from the newest checkpoint.
    Overtaken,
}

impl Chain {
    /// Ends the epoch with a fence of this candidate's. Batches of the old primary that were there
    /// first are folded, and `each` sees them, as it sees the fence. After an `Err` the same
    /// candidate may claim again: a fence of its own that landed meanwhile counts.
    pub async fn claim(
        &self,
        manifest: Manifest,
        candidate: &Candidate,
        each: &mut (dyn FnMut(&EncodedLink, &Manifest) + Send),
    ) -> Result<Claimed, StoreError> {
        let mut manifest = manifest;
        let epoch = manifest.epoch();
        while manifest.epoch() == epoch && !reigns(candidate, &manifest) {
            let fence = encode_link(Link::Fence(candidate.fence_after(&manifest)));
            let link = match self.append(&fence).await? {
                Appended::Mine => fence,
                Appended::Theirs(link) => *link,
            };
            manifest = fold(&manifest, &link)?;
            each(&link, &manifest);
        }
        if !reigns(candidate, &manifest) {
            return Ok(Claimed::Lost(manifest));
        }
        // Between its start and its fence a candidate may sleep for days. A fence in a place that
        // was swept meanwhile ends nothing, and only a newer checkpoint tells.
        let newest = self.checkpoints().await?.pop();
        let overtaken = newest > manifest.position;
        Ok(if overtaken { Claimed::Overtaken } else { Claimed::Won(manifest) })
    }
}

impl Candidate {
    fn fence_after(&self, manifest: &Manifest) -> Fence {
        Fence {
            position: manifest.successor(),
            writer: self.writer,
            previous: manifest.digest,
            time: self.time,
            next: manifest.epoch().next(),
            node: self.node,
            node_name: self.node_name.clone(),
        }
    }
}

fn reigns(candidate: &Candidate, manifest: &Manifest) -> bool {
    manifest.reign.as_ref().is_some_and(|fence| fence.writer == candidate.writer)
}
