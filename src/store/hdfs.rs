//! Objects as files of HDFS. Reading, listing and deleting are the client's; putting is ours, for
//! two reasons: the client waits half a second when the name node learns of a block a moment later
//! than it is asked to complete the file, which is always; and a create that loses would leave its
//! temporary file behind.
//!
//! An object is written as `.NAME.tmp.N` beside its place and renamed; the name node renames
//! without overwriting, atomically. What a dead writer leaves of that is [`Workshop`]'s.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use hdfs_native::file::FileWriter;
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};
use hdfs_native_object_store::HdfsObjectStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};
use url::Url;

use super::connect::BadPlace;
use super::leftovers::{Unfinished, Workshop, before_number};

/// How often to look whether the name node has taken note of a file's length.
const LOOK: Duration = Duration::from_millis(2);
/// After that, how long the client's own attempt may still end by itself, and how long a data
/// node takes to report a block.
const SETTLE: Duration = Duration::from_millis(5);
/// So many temporary files of one name mean that something is wrong.
const TEMPORARY_MAX: u32 = 1000;

/// A directory of a name node.
#[derive(Clone)]
pub struct Hdfs {
    client: Client,
    files: Arc<HdfsObjectStore>,
}

impl Hdfs {
    /// The name node, or logical name service, of this URL. Hadoop's own settings files are found
    /// by `HADOOP_CONF_DIR`, and Kerberos tickets as usual.
    pub(super) fn connect<'a>(
        url: &Url,
        settings: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> std::result::Result<Self, BadPlace> {
        let mut root = url.clone();
        root.set_path("");
        let mut builder = ClientBuilder::new().with_url(root.as_str().trim_end_matches('/'));
        let mut rest = Vec::new();
        for (name, value) in settings {
            if name == "user" {
                builder = builder.with_user(value);
            } else {
                rest.push((name.clone(), value.clone()));
            }
        }
        let built = builder.with_config(rest).build();
        let client =
            built.map_err(|error| BadPlace::new(format!("cannot use `{url}`: {error}")))?;
        Ok(Self { files: Arc::new(HdfsObjectStore::new(client.clone())), client })
    }

    /// Whether the name node refuses to rename one file to the name of another one.
    pub(super) async fn rename_is_refused(&self, one: &Path, other: &Path) -> Result<bool> {
        match self.client.rename(&format!("/{one}"), &format!("/{other}"), false).await {
            Ok(()) => Ok(false),
            Err(HdfsError::AlreadyExists(_)) => Ok(true),
            Err(HdfsError::RPCError(kind, _)) if kind.ends_with("FileAlreadyExistsException") => {
                Ok(true)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes a folder in which there is no file; leaves it if there is one.
    pub(super) async fn remove_empty(&self, folder: &Path) -> Result<()> {
        let path = format!("/{folder}");
        let found = self.client.list_status(&path, true).await.map_err(failed)?;
        if found.iter().all(|status| status.isdir) {
            self.client.delete(&path, true).await.map_err(failed)?;
        }
        Ok(())
    }

    /// A new file beside this one, for writing.
    async fn open_beside(&self, path: &str) -> Result<(String, FileWriter)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or_default();
        for number in 1..=TEMPORARY_MAX {
            let beside = format!("{directory}/.{name}.tmp.{number}");
            match self.client.create(&beside, WriteOptions::default()).await {
                Ok(writer) => return Ok((beside, writer)),
                Err(HdfsError::AlreadyExists(_)) => {}
                // Another writer is at it: its lease is what the name node names.
                Err(HdfsError::RPCError(kind, _)) if kind.ends_with(BEING_CREATED) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let source = format!("{path} has {TEMPORARY_MAX} temporary files: delete them").into();
        Err(Error::Generic { store: "hdfs", source })
    }

    async fn write(
        &self,
        writer: &mut FileWriter,
        path: &str,
        payload: PutPayload,
    ) -> hdfs_native::Result<()> {
        let len = payload.content_length();
        for bytes in payload {
            Box::pin(writer.write_bytes(bytes)).await?;
        }
        if len > 0 {
            // The client asks to complete the file, is told to come back later, and sleeps. That
            // it has asked shows in the length that the name node knows: then the sleep may be cut
            // short, and asking again is all that is left to do.
            let asked = async {
                self.wait_for_length(path, len).await;
                tokio::time::sleep(SETTLE).await;
            };
            tokio::select! {
                biased;
                closed = Box::pin(writer.close()) => return closed,
                () = asked => {}
            }
        }
        match Box::pin(writer.close()).await {
            // What was cut short was not the sleep: the name node had completed the file.
            Err(HdfsError::RPCError(kind, why)) if is_closed(&kind, &why) => Ok(()),
            closed => closed,
        }
    }

    async fn wait_for_length(&self, path: &str, len: usize) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.client.get_file_info(path).await.is_ok_and(|status| status.length == len) {
                return;
            }
        }
    }
}

/// What the name node says to who completes a file that is complete.
fn is_closed(kind: &str, why: &str) -> bool {
    kind.ends_with("LeaseExpiredException") && why.contains("not open for writing")
}

/// What the name node says of a file that somebody is writing.
const BEING_CREATED: &str = "AlreadyBeingCreatedException";

fn failed(error: HdfsError) -> Error {
    match error {
        HdfsError::FileNotFound(path) => Error::NotFound { path, source: "no such file".into() },
        HdfsError::AlreadyExists(path) => {
            Error::AlreadyExists { path, source: "the file exists".into() }
        }
        error => Error::Generic { store: "hdfs", source: error.into() },
    }
}

impl fmt::Debug for Hdfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hdfs").finish_non_exhaustive()
    }
}

impl fmt::Display for Hdfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hdfs")
    }
}

#[async_trait]
impl Workshop for Hdfs {
    async fn unfinished(&self, folder: &Path) -> Result<Vec<Unfinished>> {
        let root = rooted(folder, "");
        let found = match self.client.list_status(&root, true).await {
            Err(HdfsError::FileNotFound(_)) => Vec::new(),
            found => found.map_err(failed)?,
        };
        let found = found.iter().filter(|status| !status.isdir).filter_map(|status| {
            let path = status.path.strip_prefix(&root)?.trim_start_matches('/');
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let name = before_number(name.strip_prefix('.')?, ".tmp.")?;
            let object = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let modified = i64::try_from(status.modification_time).ok()?;
            Some(Unfinished { path: path.to_owned(), object, modified })
        });
        Ok(found.collect())
    }

    async fn remove(&self, folder: &Path, path: &str) -> Result<()> {
        match self.client.delete(&rooted(folder, path), false).await {
            Err(HdfsError::FileNotFound(_)) | Ok(_) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A path below a folder as the name node writes it.
fn rooted(folder: &Path, path: &str) -> String {
    let joined = format!("/{folder}/{path}");
    format!("/{}", joined.trim_matches('/'))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Hdfs {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let overwrite = match options.mode {
            PutMode::Create => false,
            PutMode::Overwrite => true,
            PutMode::Update(_) => return self.files.put_opts(location, payload, options).await,
        };
        let path = format!("/{location}");
        if !overwrite && self.client.get_file_info(&path).await.is_ok() {
            return Err(failed(HdfsError::AlreadyExists(path)));
        }
        let (beside, mut writer) = self.open_beside(&path).await?;
        let written = Box::pin(self.write(&mut writer, &beside, payload)).await;
        let renamed = match written {
            Ok(()) => self.client.rename(&beside, &path, overwrite).await,
            failed => failed,
        };
        if let Err(error) = renamed {
            drop(writer);
            // After a rename whose answer was lost there is nothing to delete.
            self.client.delete(&beside, false).await.ok();
            return Err(failed(error));
        }
        Ok(PutResult { e_tag: None, version: None, extensions: object_store::Extensions::new() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
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
        self.files.list(prefix)
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
