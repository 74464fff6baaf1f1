//! Books for the tests of layouts: what a store has after the plans of a layout were carried out,
//! kept as plain bytes beside the manifest that says so. Checks the promises of every plan.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::volume::edit::{BLOCK, Member};
use crate::volume::frames::{FRAME, seal_frame};
use crate::volume::{
    Batch, Checksum, Content, Digest, Edit, Epoch, Fence, Link, Manifest, NodeId, Position,
    RelPath, Seal, SegmentId, WallTime, Write, WriterId,
};

use super::recorded::Recorded;
use super::{Layout, Look, Plan, Scope, Step};

const WRITER: WriterId = WriterId([1; 16]);

/// What a store has.
#[derive(Debug)]
pub(super) struct Shipping {
    layout: Arc<dyn Layout>,
    pub(super) manifest: Manifest,
    /// What a replica reads.
    pub(super) view: BTreeMap<String, Vec<u8>>,
    /// What time it is, in microseconds.
    pub(super) now: i64,
}

impl Shipping {
    pub(super) fn new(layout: Arc<dyn Layout>) -> Self {
        let fence = Link::Fence(Fence {
            position: Position::first(Epoch::GENESIS),
            writer: WRITER,
            previous: Digest::GENESIS,
            time: WallTime(0),
            next: Epoch(1),
            node: NodeId([2; 16]),
            node_name: "test".into(),
        });
        let manifest = Manifest::empty().fold(&fence, Digest::of(b"fence")).unwrap();
        Self { layout, manifest, view: BTreeMap::new(), now: 0 }
    }

    /// What a look at everything would ship.
    pub(super) fn plan(&self, files: &Recorded) -> Plan {
        self.look(files, Scope::All)
    }

    /// Looks at everything and ships it.
    pub(super) fn all(&mut self, files: &Recorded) -> Plan {
        let plan = self.look(files, Scope::All);
        self.carry_out(files, &plan.steps);
        plan
    }

    /// Looks where something was touched and ships that.
    pub(super) fn only(&mut self, files: &Recorded, paths: &[&str]) -> Plan {
        let paths = paths.iter().map(|path| RelPath::new(path).unwrap()).collect();
        let plan = self.look(files, Scope::Only(&paths));
        self.carry_out(files, &plan.steps);
        plan
    }

    pub(super) fn owes(&self, files: &Recorded, path: &str) -> bool {
        self.layout.owes(files, &RelPath::new(path).unwrap(), &self.manifest).unwrap()
    }

    pub(super) fn is_sealed(&self, path: &str) -> bool {
        let file = self.manifest.files.get(path);
        file.is_some_and(|file| matches!(file.content, Content::Sealed { .. }))
    }

    fn look(&self, files: &Recorded, scope: Scope<'_>) -> Plan {
        let look = Look { files, shipped: &self.manifest, scope };
        let plan = self.layout.capture(&look).unwrap();
        assert_eq!(plan.backlog, plan.steps.iter().map(Step::bytes).sum::<u64>());
        plan
    }

    /// Publishes the steps, one batch each: every state between two of them is one, too.
    pub(super) fn carry_out(&mut self, files: &Recorded, steps: &[Step]) {
        for step in steps {
            if let Step::Rely { path } = step {
                assert!(files.bytes(path.as_str()).is_some(), "{path} is there");
                continue;
            }
            let (edit, payload) = self.edit(files, step);
            let link = Link::Batch(Batch {
                position: self.manifest.successor(),
                writer: WRITER,
                previous: self.manifest.digest,
                time: WallTime(self.now),
                database: None,
                edits: vec![edit],
                payload,
            });
            link.check().unwrap();
            let digest = Digest::of(link.position().to_string().as_bytes());
            self.manifest = self.manifest.fold(&link, digest).unwrap();
        }
    }

    fn edit(&mut self, files: &Recorded, step: &Step) -> (Edit, Bytes) {
        let edit = match step {
            Step::Tail { path, size, offset, len } => {
                return self.tail(files, path, *size, *offset..offset + len);
            }
            Step::Seal { files: members } => self.seal(files, members),
            Step::Pointer { path, content } => {
                self.view.insert(path.to_string(), content.to_vec());
                Edit::Set { path: path.clone(), content: content.clone() }
            }
            Step::Remove { path } => {
                assert!(self.view.remove(path.as_str()).is_some(), "{path} was there");
                Edit::Remove { path: path.clone() }
            }
            Step::Rename { .. } | Step::Rely { .. } => panic!("no layout renames"),
        };
        (edit, Bytes::new())
    }

    fn tail(
        &mut self,
        files: &Recorded,
        path: &RelPath,
        size: u64,
        range: Range<u64>,
    ) -> (Edit, Bytes) {
        let disk = files.bytes(path.as_str()).unwrap();
        let bytes = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let payload = Bytes::copy_from_slice(&disk[bytes.clone()]);
        let view = self.view.entry(path.to_string()).or_default();
        view.resize(usize::try_from(size).unwrap(), 0);
        view[bytes].copy_from_slice(&payload);
        let blocks = payload.chunks(usize::try_from(BLOCK).unwrap()).map(Checksum::of).collect();
        let (offset, len) = (range.start, range.end - range.start);
        (Edit::Write(Write { path: path.clone(), size, offset, at: 0, len, blocks }), payload)
    }

    fn seal(&mut self, files: &Recorded, members: &[(RelPath, u64)]) -> Edit {
        let mut stream = Vec::new();
        for (path, size) in members {
            let disk = files.bytes(path.as_str()).unwrap();
            assert_eq!(u64::try_from(disk.len()), Ok(*size));
            if let Some(view) = self.view.get(path.as_str()) {
                assert!(*view == disk, "the seal of {path} changes no byte that replicas see");
            }
            stream.extend_from_slice(&disk);
            self.view.insert(path.to_string(), disk);
        }
        let frames = stream.chunks(usize::try_from(FRAME).unwrap());
        let frames = frames.map(|raw| seal_frame(raw).1).collect();
        let position = self.manifest.successor();
        let segment = SegmentId { epoch: position.epoch, counter: position.number.0 };
        let members = members.iter().map(|(path, size)| Member { path: path.clone(), size: *size });
        Edit::Seal(Seal { segment, members: members.collect(), frames })
    }
}
