//! How a reign begins: a node continues its own, begins the first one, or takes over when told to.
//! Anything else is refused, and says who is primary and since when. The election itself is the
//! store's: see `store::election`.

use std::io;

use rand::Rng;

use crate::layout::Layout;
use crate::store::{Candidate, Chain, Claimed, StoreError};
use crate::volume::{
    Clock, Content, Epoch, Fence, Manifest, NodeId, RelPath, VolumeId, WallTime, WriterId,
};

use super::disk::Home;
use super::likeness::{Likeness, compare};
use super::materialise::{Means, materialise};
use super::note::{Note, Unfinished};

/// So often an election that was decided while this node slept is begun afresh.
const ATTEMPTS: usize = 3;

/// Who wants to be primary of what.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The volume.
    pub volume: VolumeId,
    /// What people call this node.
    pub node_name: String,
    /// Whether it may end another node's reign.
    pub claim: Claim,
    writer: WriterId,
    /// Who the node is, if it does not know yet.
    new_node: NodeId,
}

/// What an applicant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Continue its own reign, or begin the first one.
    Continue,
    /// End another node's reign.
    TakeOver,
}

/// A reign that has begun.
#[derive(Clone, Debug)]
pub struct Reign {
    /// What the volume contains, up to the fence that began it.
    pub manifest: Manifest,
    /// The writer that the fence names.
    pub writer: WriterId,
}

/// Why there is no reign.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another node is primary.
    #[error(
        "`{name}` (node={node}) is primary since {since}, epoch={epoch}: mount as a replica, or, \
         if that node is gone for good, with the option `takeover`"
    )]
    NotPrimary {
        /// What people call that node.
        name: String,
        /// Its id.
        node: NodeId,
        /// When its reign began.
        since: WallTime,
        /// Its epoch.
        epoch: Epoch,
    },
    /// The local files are not those of the volume.
    #[error("{0}")]
    Diverged(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local disk failed.
    #[error("the local disk failed: {0}")]
    Disk(#[from] io::Error),
}

impl Applicant {
    /// Asks to be primary.
    pub fn new(rng: &mut impl Rng, volume: VolumeId, node_name: String, claim: Claim) -> Self {
        let (writer, new_node) = (WriterId::new(rng), NodeId::new(rng));
        Self { volume, node_name, claim, writer, new_node }
    }
}

/// Begins a reign: reads the volume, checks that this node may and that its files fit, fences, and
/// after a takeover puts the volume's files in place.
pub async fn begin(
    chain: &Chain,
    home: &dyn Home,
    layout: &dyn Layout,
    applicant: &Applicant,
    clock: &dyn Clock,
    means: &mut Means,
) -> Result<Reign, StartError> {
    let mut note =
        Note::recall(home)?.unwrap_or_else(|| Note::new(applicant.new_node, applicant.volume));
    if note.volume != applicant.volume {
        return Err(StartError::Diverged(format!(
            "the directory belongs to another volume ({}): mount an empty one, or remove its \
             `.walfs` if the files may be given to this volume ({})",
            note.volume, applicant.volume
        )));
    }
    let manifest = elect(chain, home, applicant, clock, &mut note).await?;
    if let Some(rule) = note.unfinished {
        materialise(chain, home, (layout, rule), &manifest, means).await?;
    }
    note.reigns(applicant.writer);
    note.unfinished = None;
    note.remember(home)?;
    Ok(Reign { manifest, writer: applicant.writer })
}

async fn elect(
    chain: &Chain,
    home: &dyn Home,
    applicant: &Applicant,
    clock: &dyn Clock,
    note: &mut Note,
) -> Result<Manifest, StartError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let manifest = chain.catch_up(chain.start().await?, &mut |_, _| {}).await?;
        prepare(home, applicant, note, &manifest)?;
        let candidate = Candidate {
            writer: applicant.writer,
            node: note.node,
            node_name: applicant.node_name.clone(),
            time: clock.now().max(manifest.time),
        };
        match chain.claim(manifest, &candidate, &mut |_, _| {}).await? {
            Claimed::Won(manifest) => return Ok(manifest),
            Claimed::Lost(manifest) => last = manifest.reign,
            Claimed::Overtaken => {}
        }
        // Only a fence of this node's own that landed late leads to another attempt.
        if let Some(winner) = last.take_if(|winner| !note.knows(winner.writer)) {
            return Err(not_primary(&winner));
        }
    }
    let error = "the volume's history went on faster than this node could follow".to_owned();
    Err(StoreError::Unavailable(error).into())
}

/// Checks that the applicant may stand, and notes that it will.
fn prepare(
    home: &dyn Home,
    applicant: &Applicant,
    note: &mut Note,
    manifest: &Manifest,
) -> Result<(), StartError> {
    let reign = manifest.reign.as_ref();
    if let Some(reign) = reign.filter(|reign| !note.knows(reign.writer)) {
        if applicant.claim == Claim::Continue {
            return Err(if reign.node == note.node { old_copy(reign) } else { not_primary(reign) });
        }
        note.unfinished = Some(match note.reign {
            Some(_) => Unfinished::KeepNothing,
            None => Unfinished::KeepContinued,
        });
    } else {
        if note.unfinished.is_none() {
            check(home, manifest)?;
        }
        note.reign = reign.map(|reign| reign.writer);
    }
    note.stands(applicant.writer);
    note.remember(home)?;
    Ok(())
}

/// Whether local files contradict what was sealed: their sizes, and the newest one's bytes.
fn check(home: &dyn Home, manifest: &Manifest) -> Result<(), StartError> {
    let sealed =
        manifest.files.iter().filter(|(_, file)| matches!(file.content, Content::Sealed { .. }));
    for (path, file) in sealed.clone() {
        if let Some(local) = home.open(path)?
            && local.found()?.size != file.size
        {
            return Err(diverged(path));
        }
    }
    let newest = sealed.max_by_key(|(path, file)| (file.changed, *path));
    if let Some((path, file)) = newest
        && compare(home, path, file, manifest)? == Likeness::Different
    {
        return Err(diverged(path));
    }
    Ok(())
}

fn diverged(path: &RelPath) -> StartError {
    StartError::Diverged(format!(
        "`{path}` differs from the one in the volume, which can no longer change: move it away if \
         the volume is right, or begin a new volume if this directory is"
    ))
}

fn not_primary(reign: &Fence) -> StartError {
    StartError::NotPrimary {
        name: reign.node_name.clone(),
        node: reign.node,
        since: reign.time,
        epoch: reign.next,
    }
}

fn old_copy(reign: &Fence) -> StartError {
    StartError::Diverged(format!(
        "this node has been primary with newer files than these (since {}, epoch={}): the directory \
         is an older copy. Bring back the newer one, or mount with the option `takeover`",
        reign.time, reign.next
    ))
}
