//! Objects as files below one directory, as long as it is the one that was opened; [`placing`]
//! creates them. When a network
//! file system is unmounted, an empty directory is left: what is written there is not in the
//! store, and a name that is missing there is not the end of a chain.

mod placing;
mod unfinished;

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};

/// A directory that holds objects.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    files: LocalFileSystem,
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    identity: (u64, u64),
}

impl Directory {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let files = LocalFileSystem::new_with_prefix(&path)?.with_fsync(true);
        let identity = identify(&path).map_err(|error| gone(&path, Some(error)))?;
        Ok(Self { files, root: Arc::new(Root { path, identity }) })
    }

    async fn check(&self) -> Result<()> {
        let root = Arc::clone(&self.root);
        // A dead network file system blocks for long.
        tokio::task::spawn_blocking(move || match identify(&root.path) {
            Ok(identity) if identity == root.identity => Ok(()),
            outcome => Err(gone(&root.path, outcome.err())),
        })
        .await?
    }
}

fn identify(path: &std::path::Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

fn gone(path: &std::path::Path, cause: Option<io::Error>) -> Error {
    let cause = cause.map_or_else(|| "another one is in its place".to_owned(), |e| e.to_string());
    let path = path.display();
    let source =
        format!("the directory {path} is gone ({cause}): is its file system still mounted?");
    Error::Generic { store: "directory", source: source.into() }
}

impl std::fmt::Display for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Directory {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check().await?;
        if !matches!(options.mode, PutMode::Create) || !options.attributes.is_empty() {
            return self.files.put_opts(location, payload, options).await;
        }
        let path = self.files.path_to_filesystem(location)?;
        let (root, name) = (Arc::clone(&self.root), location.to_string());
        let parts: Vec<Bytes> = payload.into_iter().collect();
        let create = move || placing::create(&root.path, &path, &parts);
        match tokio::task::spawn_blocking(create).await? {
            Ok(()) => Ok(PutResult {
                e_tag: None,
                version: None,
                extensions: object_store::Extensions::new(),
            }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: name, source: error.into() })
            }
            Err(error) => Err(Error::Generic { store: "directory", source: error.into() }),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check().await?;
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.files.get_opts(location, options).await {
            Err(error @ Error::NotFound { .. }) => Err(self.check().await.err().unwrap_or(error)),
            answer => answer,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (directory, listed) = (self.clone(), self.files.list(prefix));
        let begun = async move { directory.check().await.map(|()| listed) };
        stream::once(begun).try_flatten().boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}
