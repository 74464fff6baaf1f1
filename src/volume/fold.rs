//! How a link changes a manifest: all of it or nothing. Every rule of what may follow what is
//! here; whether a link is sound in itself, [`Link::check`](super::Link::check) says.

use std::sync::Arc;

use bytes::Bytes;

use super::edit::{Edit, Seal, Write};
use super::manifest::{Content, File, Manifest, Misfit, Segment};
use super::{Batch, Digest, Epoch, Extents, Fence, Link, Position, RelPath, SegmentId, WallTime};

impl Manifest {
    /// What the volume contains once this link counts. `digest` is the link's own.
    ///
    /// Whoever appends a link folds it first: a link in the chain that does not fit stops every
    /// replica for ever.
    pub fn fold(&self, link: &Link, digest: Digest) -> Result<Self, Misfit> {
        let misfit = |reason| Misfit { position: link.position(), reason };
        self.expect(link).map_err(misfit)?;
        let mut next = self.clone();
        match link {
            Link::Fence(fence) => next.begin(fence),
            Link::Batch(batch) => next.apply_batch(batch),
        }
        .map_err(misfit)?;
        next.position = Some(link.position());
        next.digest = digest;
        next.time = link.time();
        Ok(next)
    }

    fn expect(&self, link: &Link) -> Result<(), String> {
        let successor = self.successor();
        if link.position() != successor {
            return Err(format!("the next link stands at {successor}"));
        }
        if link.previous() != self.digest {
            return Err("it names another predecessor".into());
        }
        Ok(())
    }

    fn begin(&mut self, fence: &Fence) -> Result<(), String> {
        if Some(fence.next.0) != fence.position.epoch.0.checked_add(1) {
            return Err(format!("it names epoch {} as the next one", fence.next));
        }
        self.reign = Some(fence.clone());
        Ok(())
    }

    fn apply_batch(&mut self, batch: &Batch) -> Result<(), String> {
        let reign = self.reign.as_ref().ok_or("nobody reigns before the first fence")?;
        if batch.writer != reign.writer {
            return Err(format!("{} reigns, not {}", reign.writer, batch.writer));
        }
        for edit in &batch.edits {
            edit.check()?;
            self.apply(edit, batch.position, batch.time)?;
        }
        if batch.database.is_some() {
            self.database.clone_from(&batch.database);
        }
        Ok(())
    }

    fn apply(&mut self, edit: &Edit, position: Position, time: WallTime) -> Result<(), String> {
        match edit {
            Edit::Write(write) => self.write(write, position, time),
            Edit::Seal(seal) => self.seal(seal, position.epoch, time),
            Edit::Set { path, content } => self.set(path, content, time),
            Edit::Remove { path } => self.take(path).map(|file| self.release(&file)),
            Edit::Rename { from, to } => self.rename(from, to),
            Edit::SetPolicy { content } => {
                self.policy = Some(content.clone());
                Ok(())
            }
        }
    }

    fn write(&mut self, write: &Write, at: Position, changed: WallTime) -> Result<(), String> {
        let path = &write.path;
        let before = match self.file(path).map(|file| &file.content) {
            None => Extents::default(),
            Some(Content::Open(extents)) => extents.clone(),
            Some(Content::Sealed { .. } | Content::Pointer(_)) => {
                return Err(format!("{path} is not open: remove it first"));
            }
        };
        let extents = before.with(write, at).map_err(|flaw| format!("{path}: {flaw}"))?;
        self.put(path, File { size: write.size, changed, content: Content::Open(extents) })
    }

    fn seal(&mut self, seal: &Seal, epoch: Epoch, changed: WallTime) -> Result<(), String> {
        let segment = seal.segment;
        if segment.epoch != epoch {
            return Err(format!("body {segment} was uploaded in another reign"));
        }
        if self.segments.contains_key(&segment) {
            return Err(format!("body {segment} is named already"));
        }
        let len = seal.stream_len().ok_or("the body is larger than a file can be")?;
        let frames = seal.frames.clone();
        self.segments.insert(segment, Arc::new(Segment { len, frames }));
        let mut start = 0;
        for member in &seal.members {
            let path = &member.path;
            if self.file(path).is_some_and(|file| !matches!(file.content, Content::Open(_))) {
                return Err(format!("{path} is not open: remove it first"));
            }
            let content = Content::Sealed { segment, start };
            self.put(path, File { size: member.size, changed, content })?;
            start += member.size;
        }
        self.name(segment, seal.members.len());
        Ok(())
    }

    fn set(&mut self, path: &RelPath, content: &Bytes, changed: WallTime) -> Result<(), String> {
        if self.file(path).is_some_and(|file| !matches!(file.content, Content::Pointer(_))) {
            return Err(format!("{path} is not a pointer: remove it first"));
        }
        let size = u64::try_from(content.len()).map_err(|_| "the pointer is too long")?;
        self.put(path, File { size, changed, content: Content::Pointer(content.clone()) })
    }

    fn rename(&mut self, from: &RelPath, to: &RelPath) -> Result<(), String> {
        let file = self.take(from)?;
        if let Some(replaced) = self.files.remove(to) {
            self.release(&replaced);
        }
        self.check_place(to)?;
        self.files.insert(to.clone(), file);
        Ok(())
    }

    fn put(&mut self, path: &RelPath, file: File) -> Result<(), String> {
        if !self.files.contains_key(path) {
            self.check_place(path)?;
        }
        self.files.insert(path.clone(), Arc::new(file));
        Ok(())
    }

    fn take(&mut self, path: &RelPath) -> Result<Arc<File>, String> {
        self.files.remove(path).ok_or_else(|| format!("{path} does not exist"))
    }

    /// A path is a file or a directory, never both.
    fn check_place(&self, path: &RelPath) -> Result<(), String> {
        if self.is_directory(path) {
            return Err(format!("{path} is a directory"));
        }
        self.check_below_no_file(path)
    }

    pub(super) fn check_below_no_file(&self, path: &RelPath) -> Result<(), String> {
        let above = std::iter::successors(path.parent(), RelPath::parent);
        match above.into_iter().find(|dir| self.files.contains_key(dir)) {
            Some(file) => Err(format!("{path} lies below {file}, which is a file")),
            None => Ok(()),
        }
    }

    /// This body has so many more files that name it.
    pub(super) fn name(&mut self, segment: SegmentId, files: usize) {
        *self.names.entry(segment).or_default() += files;
    }

    /// A file is gone; so is its body, if it was the last one that named it.
    fn release(&mut self, file: &File) {
        let Content::Sealed { segment, .. } = file.content else { return };
        let left = self.names.get(&segment).map_or(0, |files| files.saturating_sub(1));
        if left > 0 {
            self.names.insert(segment, left);
        } else {
            self.names.remove(&segment);
            self.segments.remove(&segment);
        }
    }
}

#[cfg(test)]
mod tests;
