//! Small files that are shipped whole: structures, definitions, what walfs itself has to say.

use std::io;

use crate::layout::Step;
use crate::layout::questdb::names::{SequencerFile, Table};
use crate::layout::questdb::sequencer;
use crate::layout::shipped::Shipped;
use crate::volume::{About, RelPath};

use super::Capture;

impl Capture<'_> {
    /// Ships what is written once, when a table is made.
    pub(super) fn constants(&mut self, table: &Table) -> io::Result<()> {
        for file in [SequencerFile::FirstMeta, SequencerFile::MatView, SequencerFile::View] {
            let path = table.sequencer(file);
            if let Some(content) = sequencer::read_small(self.look.files, &path)? {
                self.set(path, content);
            }
        }
        Ok(())
    }

    /// Ships the table's structure, if it can be had in one piece and is that of the last commit.
    pub(super) fn meta(&mut self, table: &Table, structure: u64) -> io::Result<()> {
        let path = table.sequencer(SequencerFile::Meta);
        if sequencer::has_meta(self.look.shipped, &path, structure) {
            return Ok(());
        }
        if let Some(content) = sequencer::read_meta(self.look.files, &path, structure)? {
            self.set(path, content);
        }
        Ok(())
    }

    /// Ships what walfs itself has to say, if it is still here.
    pub(super) fn about(&mut self) -> io::Result<()> {
        let path = About::path();
        let content = sequencer::read_small(self.look.files, &path)?;
        if let Some(content) = content {
            self.set(path, content);
        } else if self.look.shipped.files.contains_key(&path) {
            self.steps.push(Step::Remove { path });
        }
        Ok(())
    }

    fn set(&mut self, path: RelPath, content: bytes::Bytes) {
        if Shipped::of(self.look.shipped, &path).pointer() != Some(&content) {
            self.steps.push(Step::Pointer { path, content });
        }
    }
}
