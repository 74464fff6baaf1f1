//! What the replica shows, as one value that is swapped whole. Pure: holds no bytes of segments.

use std::sync::Arc;

use imbl::OrdMap;

use crate::volume::manifest::Segment;
use crate::volume::{Content, Edit, File, Link, Manifest, RelPath, SegmentId};

/// Which of the files that had this name, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Life(pub u64);

/// The volume at a position.
#[derive(Clone, Debug)]
pub struct View {
    /// The volume.
    pub manifest: Manifest,
    /// The files that began to exist while this replica followed; all others have life 0.
    lives: OrdMap<RelPath, Life>,
    /// How many links were folded: names the next life.
    folded: u64,
}

/// A file of a view, with all that is needed to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its name.
    pub path: RelPath,
    /// Which file of this name.
    pub life: Life,
    /// Its length and where its bytes are.
    pub file: Arc<File>,
    /// Its body, when it is sealed.
    pub body: Option<(SegmentId, Arc<Segment>)>,
}

/// What the kernel should not believe any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Length or bytes of this file.
    Content(RelPath, Life),
    /// What this name leads to.
    Name(RelPath),
}

impl View {
    /// The view at this position, by a replica that begins.
    pub fn new(manifest: Manifest) -> Self {
        Self { manifest, lives: OrdMap::new(), folded: 0 }
    }

    /// The file of this name.
    pub fn see(&self, path: &RelPath) -> Option<Seen> {
        let file = Arc::clone(self.manifest.files.get(path)?);
        let body = match &file.content {
            Content::Sealed { segment, .. } => {
                let body = self.manifest.segments.get(segment);
                Some((*segment, Arc::clone(body.expect("a manifest has the bodies it names"))))
            }
            Content::Open(_) | Content::Pointer(_) => None,
        };
        Some(Seen { path: path.clone(), life: self.life(path), file, body })
    }

    /// Which of the files that had this name is the present one.
    pub fn life(&self, path: &RelPath) -> Life {
        self.lives.get(path).copied().unwrap_or_default()
    }

    /// The view once this link counts, and what changes by it; `manifest` is the volume then.
    #[must_use]
    pub fn after(&self, link: &Link, manifest: Manifest) -> (Self, Vec<Change>) {
        let folded = self.folded + 1;
        let mut next = Self { manifest, lives: self.lives.clone(), folded };
        let mut changes = Vec::new();
        if let Link::Batch(batch) = link {
            let mut turn = Turn { before: self, next: &mut next, changes: &mut changes };
            batch.edits.iter().for_each(|edit| turn.edit(edit));
        }
        (next, changes)
    }
}

/// The edits of one batch, told as changes.
struct Turn<'a> {
    before: &'a View,
    next: &'a mut View,
    changes: &'a mut Vec<Change>,
}

impl Turn<'_> {
    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Write(write) => self.content(&write.path),
            Edit::Set { path, .. } => self.content(path),
            Edit::Seal(seal) => seal.members.iter().for_each(|member| self.content(&member.path)),
            Edit::Remove { path } => self.name(path),
            Edit::Rename { from, to } => {
                self.name(from);
                self.name(to);
            }
            Edit::SetPolicy { .. } => {}
        }
    }

    fn content(&mut self, path: &RelPath) {
        let life = self.next.life(path);
        if self.before.manifest.files.contains_key(path) || life.0 == self.next.folded {
            self.changes.push(Change::Content(path.clone(), life));
        } else {
            self.name(path);
        }
    }

    /// The file of this name ends, begins, or is another one.
    fn name(&mut self, path: &RelPath) {
        if self.next.manifest.files.contains_key(path) {
            self.next.lives.insert(path.clone(), Life(self.next.folded));
        } else {
            self.next.lives.remove(path);
        }
        self.changes.push(Change::Name(path.clone()));
    }
}
