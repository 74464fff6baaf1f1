//! After a takeover: puts the volume's files in place beneath the mount, so that the database
//! finds what the last primary had shipped. What stands in the way is set aside, never lost.

use std::io;
use std::sync::Arc;

use tracing::warn;

use crate::layout::{Found, Kind, Layout, Role};
use crate::store::Chain;
use crate::store::contents::{ReadError, read_file};
use crate::volume::{File, Manifest, RelPath};

use super::disk::Home;
use super::likeness::{Likeness, compare};
use super::note::Unfinished;
use super::reign::StartError;

/// Tells how far a takeover is.
pub type Tell = Box<dyn FnMut(Progress) + Send>;

/// Puts a volume's files in place where the database wants more than each file under its name.
/// Blocks. Begun afresh after an interruption.
pub type Settle = Box<dyn FnMut(&Manifest) -> io::Result<()> + Send>;

/// How a takeover puts the volume's files in place.
pub struct Means {
    /// Who is told how far it is.
    pub tell: Tell,
    /// How, if not file by file.
    pub settle: Option<Settle>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("settle", &self.settle.is_some()).finish_non_exhaustive()
    }
}

impl Means {
    /// File by file, and nobody is told.
    pub fn quiet() -> Self {
        Self { tell: Box::new(drop), settle: None }
    }
}

/// How far a takeover is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are in place.
    pub files: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes that are in place.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

/// Puts every file of the manifest in place that the former replica here had not removed.
pub(super) async fn materialise(
    chain: &Chain,
    home: &dyn Home,
    (layout, rule): (&dyn Layout, Unfinished),
    manifest: &Manifest,
    means: &mut Means,
) -> Result<(), StartError> {
    if let Some(settle) = &mut means.settle {
        if rule == Unfinished::KeepNothing {
            set_held_aside(home)?;
        }
        return Ok(settle(manifest)?);
    }
    let progress = &mut means.tell;
    if rule == Unfinished::KeepNothing {
        set_strays_aside(home, layout, manifest)?;
    }
    let removed = home.removed()?;
    let wanted: Vec<(&RelPath, &Arc<File>)> =
        manifest.files.iter().filter(|(path, _)| !removed.contains(*path)).collect();
    let mut done = Progress {
        files_total: count(wanted.len()),
        bytes_total: wanted.iter().map(|(_, file)| file.size).sum(),
        ..Progress::default()
    };
    for (path, file) in wanted {
        progress(done);
        match (compare(home, path, file, manifest)?, rule) {
            (Likeness::Same, _) | (Likeness::Continued, Unfinished::KeepContinued) => {}
            (Likeness::Missing, _) => make(chain, home, manifest, path, file).await?,
            (Likeness::Continued | Likeness::Different, _) => {
                let place = home.set_aside(path)?;
                warn!(%path, place, "the local file differed and was set aside");
                make(chain, home, manifest, path, file).await?;
            }
        }
        done.files += 1;
        done.bytes += file.size;
    }
    progress(done);
    Ok(())
}

/// What an ended reign left behind and never shipped is no part of the volume's history: held
/// files would hide what the database sees, and other files would be taken for what comes next.
fn set_strays_aside(home: &dyn Home, layout: &dyn Layout, manifest: &Manifest) -> io::Result<()> {
    set_held_aside(home)?;
    let mut directories = vec![None];
    while let Some(directory) = directories.pop() {
        for Found { path, kind, .. } in home.list(directory.as_ref())? {
            match kind {
                Kind::Directory if layout.holds(&path) => directories.push(Some(path)),
                Kind::File
                    if layout.role(&path) != Role::Local && manifest.file(&path).is_none() =>
                {
                    let place = home.set_aside(&path)?;
                    warn!(%path, place, "a file that was never shipped was set aside");
                }
                Kind::Directory | Kind::File | Kind::Other => {}
            }
        }
    }
    Ok(())
}

fn set_held_aside(home: &dyn Home) -> io::Result<()> {
    for place in home.set_held_aside()? {
        warn!(place, "a file that was never shipped was set aside");
    }
    Ok(())
}

async fn make(
    chain: &Chain,
    home: &dyn Home,
    manifest: &Manifest,
    path: &RelPath,
    file: &File,
) -> Result<(), StartError> {
    let mut new = home.create(path, file.size)?;
    let mut put = |offset: u64, bytes: &[u8]| new.write_at(offset, bytes);
    match read_file(chain, manifest, file, &mut put).await {
        Ok(()) => Ok(new.keep()?),
        Err(ReadError::Store(error)) => Err(error.into()),
        Err(ReadError::Put(error)) => Err(error.into()),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("memory is smaller than 2^64 bytes")
}
