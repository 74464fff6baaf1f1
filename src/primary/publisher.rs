//! From a cut to a link of the chain. What a refused name means is decided here: another link of
//! ours is a bug, a fence is the end.

use tracing::debug;

use crate::store::{Appended, Chain};
use crate::volume::codec::{EncodedLink, encode_link};
use crate::volume::manifest::Misfit;
use crate::volume::{Batch, Link, Manifest, WallTime, WriterId};

use super::capture::Cut;
use super::durable::Durable;
use super::outage::{Backoff, Outage};

/// A batch on its way: its bytes, fixed once for every attempt, and what the volume contains
/// once they count.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The batch.
    pub(super) link: EncodedLink,
    /// The manifest after it.
    pub(super) manifest: Manifest,
}

/// The batch that has these edits and follows this manifest. `Err` if they do not fit: a bug.
pub(super) fn outgoing(
    cut: Durable<Cut>,
    shipped: &Manifest,
    writer: WriterId,
    now: WallTime,
) -> Result<Outgoing, Misfit> {
    let Cut { edits, payload, database, .. } = cut.into_inner();
    let batch = Batch {
        position: shipped.successor(),
        writer,
        previous: shipped.digest,
        // A host's clock may be set back; the history of a volume does not follow it.
        time: now.max(shipped.time),
        database,
        edits,
        payload,
    };
    let link = encode_link(Link::Batch(batch));
    let manifest = shipped.fold(&link.link, link.digest)?;
    Ok(Outgoing { link, manifest })
}

/// Appends the link, however long it takes: until then nothing else may take its place. Returns
/// what stands there in the end, if it is not ours.
pub(super) async fn append(
    chain: &Chain,
    link: &EncodedLink,
    outage: &Outage,
) -> Option<Box<EncodedLink>> {
    let mut backoff = Backoff::default();
    loop {
        match chain.append(link).await {
            Ok(appended) => {
                outage.is_over();
                debug!(position = %link.link.position(), bytes = link.bytes.len(), "appended");
                return match appended {
                    Appended::Mine => None,
                    Appended::Theirs(theirs) => Some(theirs),
                };
            }
            Err(error) => outage.goes_on("append a batch", &error),
        }
        backoff.pause().await;
    }
}
