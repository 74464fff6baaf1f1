//! What the server remembers and never makes durable, and what is shipped counts on.

use std::io;

use crate::layout::Step;
use crate::layout::questdb::names::Table;
use crate::layout::questdb::sequencer::{self, Log};
use crate::volume::RelPath;

use super::{Capture, invalid};

impl Capture<'_> {
    /// What follows counts on what the server remembers of this table's writers. Of one that ended
    /// there will be no others.
    pub(super) fn rely_on_writers(&mut self, table: &Table, log: &Log) -> io::Result<()> {
        let is_over = sequencer::is_over(self.look.files, table, log)?;
        if is_over { Ok(()) } else { self.rely(sequencer::last_wal(table)) }
    }

    /// What follows counts on what the server remembers in this file.
    pub(super) fn rely(&mut self, path: RelPath) -> io::Result<()> {
        if self.look.files.open(&path)?.is_none() {
            return Err(invalid(format!("{path} is not there")));
        }
        self.steps.push(Step::Rely { path });
        Ok(())
    }
}
