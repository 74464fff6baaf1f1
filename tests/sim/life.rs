//! Processes that die: what a process does to a disk or a store is counted, and after the k-th
//! effect it does nothing any more. Its disk calls fail, its requests are never answered; what
//! was on its way to the store may still land.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tokio::sync::Notify;
use walfs::layout::{FileId, Files, Found, OpenFile};
use walfs::primary::disk::{Disk, Home, NewFile};
use walfs::volume::RelPath;

use crate::disk::SimDisk;

/// How long a process lives, in effects.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    left: Arc<AtomicI64>,
    over: Arc<Notify>,
}

impl Life {
    /// Dies after so many effects.
    pub(crate) fn of(effects: i64) -> Self {
        Self { left: Arc::new(AtomicI64::new(effects)), over: Arc::default() }
    }

    /// Lives until it is ended.
    pub(crate) fn long() -> Self {
        Self::of(i64::MAX)
    }

    /// Dies after so many effects more.
    pub(crate) fn doom(&self, effects: i64) {
        if self.goes_on() {
            self.left.store(effects, Ordering::SeqCst);
            if effects == 0 {
                self.end();
            }
        }
    }

    /// Ends it now.
    pub(crate) fn end(&self) {
        self.left.store(0, Ordering::SeqCst);
        self.over.notify_waiters();
        self.over.notify_one();
    }

    /// Whether it goes on.
    pub(crate) fn goes_on(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    /// Returns when it is over.
    pub(crate) async fn over(&self) {
        while self.goes_on() {
            self.over.notified().await;
        }
    }

    /// One more effect; `false` if the process did not live to see it.
    fn spend(&self) -> bool {
        let alive = self.left.fetch_sub(1, Ordering::SeqCst) > 0;
        if !alive {
            self.end();
        }
        alive
    }
}

/// A disk as one process has it.
#[derive(Clone, Debug)]
pub(crate) struct MortalDisk {
    /// The disk.
    pub(crate) disk: SimDisk,
    /// The process.
    pub(crate) life: Life,
}

impl MortalDisk {
    fn alive(&self) -> io::Result<&SimDisk> {
        if self.life.goes_on() { Ok(&self.disk) } else { Err(io::Error::other("killed")) }
    }

    fn effect(&self) -> io::Result<&SimDisk> {
        if self.life.spend() { Ok(&self.disk) } else { Err(io::Error::other("killed")) }
    }
}

impl Files for MortalDisk {
    fn list(&self, dir: Option<&RelPath>) -> io::Result<Vec<Found>> {
        self.alive()?.list(dir)
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn OpenFile>>> {
        self.alive()?.open(path)
    }
}

impl Disk for MortalDisk {
    fn sync(&self, path: &RelPath) -> io::Result<Option<FileId>> {
        self.effect()?.sync(path)
    }

    fn sync_names(&self, dir: Option<&RelPath>) -> io::Result<()> {
        self.effect()?.sync_names(dir)
    }

    fn unseen(&self) -> BTreeSet<RelPath> {
        self.disk.unseen()
    }

    fn held(&self) -> io::Result<BTreeSet<RelPath>> {
        self.alive()?.held()
    }

    fn release(&self, path: &RelPath) -> io::Result<()> {
        self.effect()?.release(path)
    }
}

impl Home for MortalDisk {
    fn recall(&self) -> io::Result<Option<Bytes>> {
        self.alive()?.recall()
    }

    fn remember(&self, note: &[u8]) -> io::Result<()> {
        self.effect()?.remember(note)
    }

    fn removed(&self) -> io::Result<BTreeSet<RelPath>> {
        self.alive()?.removed()
    }

    fn create(&self, path: &RelPath, size: u64) -> io::Result<Box<dyn NewFile>> {
        let file = self.alive()?.create(path, size)?;
        Ok(Box::new(MortalFile { file, life: self.life.clone() }))
    }

    fn set_held_aside(&self) -> io::Result<Vec<String>> {
        self.effect()?.set_held_aside()
    }

    fn set_aside(&self, path: &RelPath) -> io::Result<String> {
        self.effect()?.set_aside(path)
    }
}

#[derive(Debug)]
struct MortalFile {
    file: Box<dyn NewFile>,
    life: Life,
}

impl NewFile for MortalFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn keep(self: Box<Self>) -> io::Result<()> {
        if self.life.spend() { self.file.keep() } else { Err(io::Error::other("killed")) }
    }
}

/// A store as one process reaches it.
#[derive(Clone, Debug)]
pub(crate) struct MortalStore {
    /// The store.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The process.
    pub(crate) life: Life,
}

impl MortalStore {
    /// The answer, if the process lives to hear it.
    async fn heard<T>(&self, answer: impl Future<Output = T>) -> T {
        let answer = answer.await;
        if !self.life.goes_on() {
            std::future::pending::<()>().await;
        }
        answer
    }

    async fn effect(&self) {
        if !self.life.spend() {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Display for MortalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MortalStore({})", self.objects)
    }
}

#[async_trait]
impl ObjectStore for MortalStore {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.effect().await;
        self.heard(self.objects.put_opts(at, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.effect().await;
        self.heard(self.objects.put_multipart_opts(at, opts)).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.heard(self.objects.get_opts(at, options)).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.heard(self.objects.get_ranges(at, ranges)).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        if self.life.spend() { self.objects.delete_stream(at) } else { stream::pending().boxed() }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.heard(self.objects.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.objects.rename_opts(from, to, options).await
    }
}
