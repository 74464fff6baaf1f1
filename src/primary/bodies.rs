//! Uploads of sealed segments, beside the loop: a few at a time, tried again until they succeed.
//! What is finished waits here as a proof until a batch names it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::layout::Found;
use crate::store::body::UploadError;
use crate::store::{Source, Store, Uploaded, upload};
use crate::volume::edit::Member;
use crate::volume::{Epoch, RelPath, SegmentId};

use super::disk::Disk;
use super::durable::{Durable, Reads};
use super::outage::{Backoff, Outage};

/// The files of a segment and their sizes.
type Files = Vec<(RelPath, u64)>;

/// The uploads of one reign.
#[derive(Debug)]
pub(super) struct Bodies {
    tools: Tools,
    at_once: usize,
    queue: VecDeque<Files>,
    running: BTreeSet<Files>,
    uploads: FuturesUnordered<BoxFuture<'static, Ended>>,
    proofs: BTreeMap<Files, Proof>,
}

/// How an upload ended.
#[derive(Debug)]
pub(super) struct Ended {
    files: Files,
    outcome: io::Result<Option<Proof>>,
}

/// A body in the store, and what its files looked like when it was read.
#[derive(Clone, Debug)]
struct Proof {
    body: Durable<Uploaded>,
    found: Vec<Found>,
}

/// What every upload needs.
#[derive(Clone, Debug)]
struct Tools {
    store: Store,
    disk: Arc<dyn Disk>,
    outage: Arc<Outage>,
    epoch: Epoch,
    counter: Arc<AtomicU64>,
}

impl Bodies {
    /// No uploads yet.
    pub(super) fn new(
        store: Store,
        disk: Arc<dyn Disk>,
        outage: Arc<Outage>,
        epoch: Epoch,
        at_once: usize,
    ) -> Self {
        let tools = Tools { store, disk, outage, epoch, counter: Arc::default() };
        Self {
            tools,
            at_once: at_once.max(1),
            queue: VecDeque::new(),
            running: BTreeSet::new(),
            uploads: FuturesUnordered::new(),
            proofs: BTreeMap::new(),
        }
    }

    /// Uploads these segments, in this order, unless that happens or happened already.
    pub(super) fn ask<'a>(&mut self, seals: impl Iterator<Item = &'a [(RelPath, u64)]>) {
        for files in seals {
            if self.is_coming(files) || matches!(self.proof(files), Ok(Some(_))) {
                continue;
            }
            self.proofs.remove(files);
            self.queue.push_back(files.to_vec());
        }
        self.start();
    }

    /// These are all the segments that are to be sealed: what is not among them is forgotten.
    pub(super) fn ask_only<'a>(&mut self, seals: impl Iterator<Item = &'a [(RelPath, u64)]>) {
        let wanted: Vec<Files> = seals.map(<[_]>::to_vec).collect();
        self.queue.clear();
        self.proofs.retain(|files, _| wanted.contains(files));
        self.ask(wanted.iter().map(Vec::as_slice));
    }

    /// The proof that this segment's body is in the store, if its files are still those that were
    /// read.
    pub(super) fn proof(&self, files: &[(RelPath, u64)]) -> io::Result<Option<&Durable<Uploaded>>> {
        let Some(proof) = self.proofs.get(files) else { return Ok(None) };
        let same = unchanged(&*self.tools.disk, &proof.found)?;
        Ok(same.then_some(&proof.body))
    }

    /// These bodies were named by a batch that was published.
    pub(super) fn named(&mut self, bodies: &[SegmentId]) {
        self.proofs
            .retain(|_, proof| !bodies.contains(&proof.body.get().clone().into_seal().segment));
    }

    /// Whether this segment is being uploaded, or is about to be.
    pub(super) fn is_coming(&self, files: &[(RelPath, u64)]) -> bool {
        self.running.contains(files) || self.queue.iter().any(|queued| queued == files)
    }

    /// Whether this path is part of an upload.
    pub(super) fn concern(&self, path: &RelPath) -> bool {
        let has = |files: &Files| files.iter().any(|(member, _)| member == path);
        self.queue.iter().any(has) || self.running.iter().any(has)
    }

    /// The next upload that ends; `None` while none runs.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        self.uploads.next().await
    }

    /// Takes note of it. Returns the paths that a batch may seal now.
    pub(super) fn settle(&mut self, ended: Ended) -> io::Result<Vec<RelPath>> {
        self.running.remove(&ended.files);
        self.start();
        let Some(proof) = ended.outcome? else { return Ok(Vec::new()) };
        let paths = ended.files.iter().map(|(path, _)| path.clone()).collect();
        self.proofs.insert(ended.files, proof);
        Ok(paths)
    }

    fn start(&mut self) {
        while self.uploads.len() < self.at_once {
            let Some(files) = self.queue.pop_front() else { return };
            self.running.insert(files.clone());
            self.uploads.push(Box::pin(run(self.tools.clone(), files)));
        }
    }
}

async fn run(tools: Tools, files: Files) -> Ended {
    let outcome = upload_until_certain(&tools, &files).await;
    Ended { files, outcome }
}

async fn upload_until_certain(tools: &Tools, files: &Files) -> io::Result<Option<Proof>> {
    let members: Vec<Member> =
        files.iter().map(|(path, size)| Member { path: path.clone(), size: *size }).collect();
    let mut backoff = Backoff::default();
    loop {
        let Some(found) = stats(&*tools.disk, files)? else { return Ok(None) };
        let mut source = Reading { disk: Arc::clone(&tools.disk), found };
        let counter = tools.counter.fetch_add(1, Ordering::Relaxed);
        let id = SegmentId { epoch: tools.epoch, counter };
        match upload(&tools.store, id, members.clone(), &mut source).await {
            Ok(None) => return Ok(None),
            Ok(Some(uploaded)) => {
                tools.outage.is_over();
                return prove(tools, uploaded, source.found);
            }
            Err(UploadError::Disk(error)) => return Err(error),
            Err(UploadError::Store(error)) => tools.outage.goes_on("upload a segment", &error),
        }
        backoff.pause().await;
    }
}

fn prove(tools: &Tools, uploaded: Uploaded, found: Vec<Found>) -> io::Result<Option<Proof>> {
    let mut reads = Reads::default();
    for found in &found {
        reads.file(&found.path, found.id);
        reads.name(&found.path);
    }
    let body = Durable::prove(uploaded, &reads, &*tools.disk)?;
    Ok(body.map(|body| Proof { body, found }))
}

/// What the files look like; `None` if one of them is not what it should be.
fn stats(disk: &dyn Disk, files: &Files) -> io::Result<Option<Vec<Found>>> {
    let mut all = Vec::with_capacity(files.len());
    for (path, size) in files {
        let Some(file) = disk.open(path)? else { return Ok(None) };
        let found = file.found()?;
        if found.size != *size {
            return Ok(None);
        }
        all.push(found);
    }
    Ok(Some(all))
}

fn unchanged(disk: &dyn Disk, before: &[Found]) -> io::Result<bool> {
    for before in before {
        let Some(file) = disk.open(&before.path)? else { return Ok(false) };
        if !same(&file.found()?, before) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same(now: &Found, before: &Found) -> bool {
    (now.id, now.size, now.modified) == (before.id, before.size, before.modified)
}

/// The files of a segment while they are uploaded.
#[derive(Debug)]
struct Reading {
    disk: Arc<dyn Disk>,
    found: Vec<Found>,
}

impl Source for Reading {
    fn read_at(&mut self, member: usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(before) = self.found.get(member) else { return Ok(0) };
        let Some(file) = self.disk.open(&before.path)? else { return Ok(0) };
        if file.found()?.id == before.id { file.read_at(offset, buffer) } else { Ok(0) }
    }

    fn unchanged(&mut self) -> io::Result<bool> {
        unchanged(&*self.disk, &self.found)
    }
}
