//! Books for the tests of layouts: what a store has after the plans of a layout were carried out,
//! kept as plain bytes beside the manifest that says so. Checks the promises of every plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::volume::edit::BLOCK;
use crate::volume::{Checksum, Content, Extent, File, Manifest, Position, RelPath, SegmentId};

use super::recorded::Recorded;
use super::{Layout, Look, Plan, Scope, Step};

/// What a store has.
#[derive(Debug)]
pub(super) struct Shipping {
    layout: Arc<dyn Layout>,
    pub(super) manifest: Manifest,
    /// What a replica reads.
    pub(super) view: BTreeMap<String, Vec<u8>>,
    covered: BTreeMap<String, BTreeSet<u64>>,
}

impl Shipping {
    pub(super) fn new(layout: Arc<dyn Layout>) -> Self {
        let manifest = Manifest::empty();
        Self { layout, manifest, view: BTreeMap::new(), covered: BTreeMap::new() }
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

    pub(super) fn carry_out(&mut self, files: &Recorded, steps: &[Step]) {
        self.manifest.time.0 += 1;
        for step in steps {
            match step {
                Step::Tail { path, size, offset, len } => {
                    self.tail(files, path, *size, *offset..offset + len);
                }
                Step::Seal { files: members } => {
                    for (path, size) in members {
                        self.seal(files, path, *size);
                    }
                }
                Step::Pointer { path, content } => {
                    self.view.insert(path.to_string(), content.to_vec());
                    let size = u64::try_from(content.len()).unwrap();
                    self.set(path, size, Content::Pointer(content.clone()));
                }
                Step::Remove { path } => {
                    assert!(self.manifest.files.remove(path).is_some(), "{path} was there");
                    self.view.remove(path.as_str());
                    self.covered.remove(path.as_str());
                }
                Step::Rename { .. } => unreachable!("no layout renames"),
            }
        }
    }

    fn tail(&mut self, files: &Recorded, path: &RelPath, size: u64, range: std::ops::Range<u64>) {
        assert!(range.start.is_multiple_of(BLOCK), "{path} {range:?} begins at a border");
        assert!(range.end.is_multiple_of(BLOCK) || range.end == size, "{path} {range:?} ends well");
        assert!(range.end <= size, "{path} {range:?} is in the file");
        let disk = files.bytes(path.as_str()).unwrap();
        let view = self.view.entry(path.to_string()).or_default();
        view.resize(usize::try_from(size).unwrap(), 0);
        let bytes = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        view[bytes.clone()].copy_from_slice(&disk[bytes]);
        let covered = self.covered.entry(path.to_string()).or_default();
        covered.extend((range.start / BLOCK)..range.end.div_ceil(BLOCK));
        covered.retain(|block| block * BLOCK < size);
        let view = self.view[path.as_str()].clone();
        let extents = self.covered[path.as_str()].iter().map(|block| {
            let block = usize::try_from(block * BLOCK).unwrap();
            let bytes = view[block..].chunks(usize::try_from(BLOCK).unwrap()).next().unwrap();
            Extent {
                offset: u64::try_from(block).unwrap(),
                len: u64::try_from(bytes.len()).unwrap(),
                position: Position::default(),
                at: 0,
                blocks: [Checksum::of(bytes)].into(),
            }
        });
        self.set(path, size, Content::Open(extents.collect()));
    }

    fn seal(&mut self, files: &Recorded, path: &RelPath, size: u64) {
        let disk = files.bytes(path.as_str()).unwrap();
        assert_eq!(u64::try_from(disk.len()), Ok(size));
        if let Some(view) = self.view.get(path.as_str()) {
            assert!(*view == disk, "the seal of {path} changes no byte that replicas see");
        }
        self.view.insert(path.to_string(), disk);
        let segment = SegmentId { epoch: crate::volume::Epoch(1), counter: 0 };
        self.set(path, size, Content::Sealed { segment, start: 0 });
    }

    fn set(&mut self, path: &RelPath, size: u64, content: Content) {
        let file = File { size, changed: self.manifest.time, content };
        self.manifest.files.insert(path.clone(), Arc::new(file));
    }
}
