//! Whether anything changed at all, by `stat` alone: what an idle primary does instead of reading.
//!
//! A stat is believed only after two looks round everything found nothing: file times are coarse
//! on some filesystems, and stores through `mmap` move them late.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::layout::{FileId, Files, Found, Kind, Layout, Role};
use crate::volume::RelPath;

/// So many looks that found nothing make a stat believable.
const QUIET_LOOKS: u32 = 2;

/// What the files looked like at the last glance.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: BTreeMap<RelPath, Stat>,
    quiet_looks: u32,
}

/// Identity, size, time, and whether somebody writes.
type Stat = (FileId, u64, i128, bool);

impl Watch {
    /// Whether a look round everything can be left out: nothing stirred since it was last in vain.
    pub(super) fn rests(&mut self, files: &dyn Files, layout: &dyn Layout) -> io::Result<bool> {
        let mut now = BTreeMap::new();
        glance_below(files, layout, None, &mut now)?;
        let same = now == self.seen;
        self.seen = now;
        if !same {
            self.quiet_looks = 0;
        }
        Ok(same && self.quiet_looks >= QUIET_LOOKS)
    }

    /// Which of these files stirred since the last glance.
    pub(super) fn stirred(
        &mut self,
        files: &dyn Files,
        paths: &BTreeSet<RelPath>,
    ) -> io::Result<Vec<RelPath>> {
        let mut stirred = Vec::new();
        for path in paths {
            let Some(file) = files.open(path)? else { continue };
            let stat = stat(&file.found()?);
            if self.seen.insert(path.clone(), stat) != Some(stat) {
                stirred.push(path.clone());
            }
        }
        Ok(stirred)
    }

    /// The files of the last glance at everything.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.seen.keys()
    }

    /// Whether the last glance at everything saw this file.
    pub(super) fn has(&self, path: &RelPath) -> bool {
        self.seen.contains_key(path)
    }

    /// A look round everything ended.
    pub(super) fn looked(&mut self, found_nothing: bool) {
        self.quiet_looks = if found_nothing { self.quiet_looks.saturating_add(1) } else { 0 };
    }

    /// Something is known to have happened.
    pub(super) fn disturb(&mut self) {
        self.quiet_looks = 0;
    }
}

fn stat(found: &Found) -> Stat {
    (found.id, found.size, found.modified, found.writers)
}

fn glance_below(
    files: &dyn Files,
    layout: &dyn Layout,
    directory: Option<&RelPath>,
    seen: &mut BTreeMap<RelPath, Stat>,
) -> io::Result<()> {
    for found in files.list(directory)? {
        match found.kind {
            Kind::Directory if layout.holds(&found.path) => {
                glance_below(files, layout, Some(&found.path), seen)?;
            }
            Kind::File if layout.role(&found.path) != Role::Local => {
                seen.insert(found.path.clone(), stat(&found));
            }
            Kind::Directory | Kind::File | Kind::Other => {}
        }
    }
    Ok(())
}
