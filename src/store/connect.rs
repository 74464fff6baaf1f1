//! URL to client. Sends nothing: the first request tells whether the credentials hold.
//!
//! | file | idea |
//! |---|---|
//! | `settings` | what may be said of the way to a store, after the URL or as options |
//! | `clouds` | the clients of the clouds: the only file that names one |
//! | [`bucket`](Bucket) | what an S3 bucket does to objects by itself |
//! | `keyfile` | credentials from a file, read again when it changes |
//!
//! Credentials come from each cloud's usual chain (environment, files, instance or workload
//! identity) or from a file that an option names, never from a URL or an option.
//!
//! A client's connections are driven by the runtime that opened them: a thread with a runtime of
//! its own connects by itself.

mod bucket;
mod clouds;
mod keyfile;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attributes, ObjectStore, RetryConfig};
use url::Url;

use super::directory::Directory;
use super::hdfs::Hdfs;
use super::lab;
use super::leftovers::Workshop;
use settings::Settings;

pub use bucket::{Bucket, Told};
pub use settings::NAMES;

/// Where a volume is, and the client that reaches it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The client. It sends a request once.
    pub objects: Arc<dyn ObjectStore>,
    /// A client that sends again by itself, for uploads in parts: a part that failed cannot be
    /// sent again through another's hands.
    pub parts: Arc<dyn ObjectStore>,
    /// Where unfinished files lie, if the store is a file system.
    pub workshop: Option<Arc<dyn Workshop>>,
    /// What every name of the volume begins with.
    pub prefix: Path,
    /// What the store is told of every object: its storage class.
    pub attributes: Attributes,
    /// How long the answer to one request may take, if the operator said.
    pub timeout: Option<Duration>,
    /// What can be asked of the store besides objects.
    pub beyond: Beyond,
    /// The URL, for people.
    pub url: String,
}

/// What is behind a client, for who examines the store.
#[derive(Clone, Debug)]
pub enum Beyond {
    /// Objects are all there is.
    Nothing,
    /// A bucket that names each write, whether it keeps what was there or not.
    Generations,
    /// A directory on this host.
    Directory(PathBuf),
    /// A bucket that answers questions.
    Bucket(Bucket),
    /// A name node.
    NameNode(Hdfs),
}

impl Place {
    /// A place behind one client that serves for everything.
    pub fn behind(objects: Arc<dyn ObjectStore>, prefix: Path, url: String) -> Self {
        Self {
            parts: Arc::clone(&objects),
            objects,
            workshop: None,
            prefix,
            attributes: Attributes::new(),
            timeout: None,
            beyond: Beyond::Nothing,
            url,
        }
    }
}

/// The URL or an option cannot be used. Says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPlace(String);

impl BadPlace {
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

/// The client for this URL. A `file` directory is created if the one above it exists.
pub fn connect(url: &str, options: &BTreeMap<String, String>) -> Result<Place, BadPlace> {
    let mut parsed = parse(url)?;
    let lab = lab::Lab::of(&mut parsed)?;
    let settings = Settings::of(&mut parsed, options)?;
    let prefix = Path::from_url_path(parsed.path())
        .map_err(|error| BadPlace(format!("`{url}` has an unusable path: {error}")))?;
    let client = |retry: RetryConfig| client(&parsed, &settings, retry);
    let prefix = if parsed.scheme() == "file" { Path::default() } else { prefix };
    let Client { objects, beyond, workshop } = client(no_retries())?;
    let parts = client(few_retries())?.objects;
    let place = Place {
        objects,
        parts,
        workshop,
        prefix,
        attributes: settings.attributes(),
        timeout: settings.timeout,
        beyond,
        url: url.to_owned(),
    };
    Ok(match lab {
        Some(lab) => lab.around(place),
        None => place,
    })
}

/// A client, and what else there is behind it.
struct Client {
    objects: Arc<dyn ObjectStore>,
    beyond: Beyond,
    workshop: Option<Arc<dyn Workshop>>,
}

impl Client {
    fn of(objects: Arc<dyn ObjectStore>, beyond: Beyond) -> Self {
        Self { objects, beyond, workshop: None }
    }
}

fn client(url: &Url, settings: &Settings, retry: RetryConfig) -> Result<Client, BadPlace> {
    Ok(match url.scheme() {
        "file" => {
            let (directory, path) = open_directory(url)?;
            let workshop: Arc<dyn Workshop> = Arc::<Directory>::clone(&directory);
            let client = Client::of(directory, Beyond::Directory(path));
            Client { workshop: Some(workshop), ..client }
        }
        "memory" => Client::of(shared_memory(host(url)?), Beyond::Nothing),
        "hdfs" => {
            let files = Hdfs::connect(url, &settings.cloud)?;
            let client = Client::of(Arc::new(files.clone()), Beyond::NameNode(files.clone()));
            Client { workshop: Some(Arc::new(files)), ..client }
        }
        "s3" => {
            let (objects, beyond) = clouds::s3(host(url)?, settings, retry)?;
            Client::of(objects, beyond)
        }
        "gs" => Client::of(clouds::gcs(host(url)?, settings, retry)?, Beyond::Generations),
        "az" | "abfs" | "abfss" => {
            Client::of(clouds::azure(url, settings, retry)?, Beyond::Nothing)
        }
        scheme => return Err(unknown(scheme)),
    })
}

fn parse(url: &str) -> Result<Url, BadPlace> {
    let parsed = Url::parse(url).map_err(|error| {
        // What stands before an `@` may be a secret.
        let shown = if url.contains('@') { "this" } else { &format!("`{url}`") };
        BadPlace(format!("{shown} is not a URL ({error}): write for example s3://bucket/pg"))
    })?;
    let container_at_account = matches!(parsed.scheme(), "abfs" | "abfss");
    if parsed.password().is_some() || (!parsed.username().is_empty() && !container_at_account) {
        let scheme = parsed.scheme();
        return Err(BadPlace(format!(
            "the {scheme} URL contains credentials: remove them, and give them by the cloud's \
             usual environment variables or files"
        )));
    }
    if parsed.fragment().is_some() {
        let scheme = parsed.scheme();
        return Err(BadPlace(format!("the {scheme} URL has a `#`: end it before")));
    }
    Ok(parsed)
}

fn unknown(scheme: &str) -> BadPlace {
    let why = match scheme {
        "http" | "https" => "plain web servers cannot create an object only if it is absent",
        _ => "walfs does not know it",
    };
    BadPlace(format!(
        "a volume cannot be at {scheme}:// because {why}: use s3://, gs://, az://, abfss://, \
         hdfs:// or file://"
    ))
}

fn host(url: &Url) -> Result<&str, BadPlace> {
    url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| {
        let scheme = url.scheme();
        BadPlace(format!("`{url}` names no bucket: write {scheme}://bucket/path"))
    })
}

fn open_directory(url: &Url) -> Result<(Arc<Directory>, PathBuf), BadPlace> {
    let bad = |why: String| BadPlace(format!("cannot use `{url}`: {why}"));
    let path: PathBuf = match (url.host_str(), url.to_file_path()) {
        (None, Ok(path)) => path,
        _ => return Err(bad("write file:// and an absolute path: file:///srv/walfs".to_owned())),
    };
    match fs::create_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(bad(format!("{}: {error}: create it first", path.display())));
        }
        _ => {}
    }
    let directory = Directory::open(path.clone()).map_err(|error| bad(error.to_string()))?;
    Ok((Arc::new(directory), path))
}

/// Several mounts in one process meet at the same name.
fn shared_memory(name: &str) -> Arc<InMemory> {
    static SHARED: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(shared.entry(name.to_owned()).or_default())
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

fn few_retries() -> RetryConfig {
    let retry_timeout = Duration::from_secs(20);
    RetryConfig { max_retries: 4, retry_timeout, ..RetryConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        connect(url, &BTreeMap::new()).unwrap_err().to_string()
    }

    #[test]
    fn a_url_that_cannot_hold_a_volume_is_refused_with_the_reason() {
        assert!(refusal("https://host/dav").contains("only if it is absent"));
        assert!(refusal("ftp://host/x").contains("does not know"));
        assert!(refusal("relative/path").contains("not a URL"));
        assert!(refusal("s3:///path").contains("names no bucket"));
        assert!(refusal("file://relative/dir").contains("absolute"));
        assert!(refusal("file:///no/such/parent/here").contains("create it first"));
        assert!(refusal("s3://bucket/a#b").contains("`#`"));
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let text = refusal("s3://AKIA:hunter2@bucket/pg");
        assert!(text.contains("credentials") && !text.contains("hunter2"), "{text}");
        assert!(!refusal("gs://hunter2@bucket/pg").contains("hunter2"));
        assert!(!refusal("s3://AKIA:hunter2/x@bucket/pg").contains("hunter2"));
    }

    #[test]
    fn secrets_are_not_options() {
        let options = BTreeMap::from([("secret_access_key".to_owned(), "x".to_owned())]);
        let text = connect("s3://bucket/pg", &options).unwrap_err().to_string();
        assert!(text.contains("`secret_access_key` is not an option"), "{text}");
        let text = refusal("s3://bucket/pg?secret_access_key=hunter2");
        assert!(text.contains("is not an option") && !text.contains("hunter2"), "{text}");
        let text = refusal("s3://bucket/pg?proxy=http://me:hunter2@proxy:3128");
        assert!(text.contains("HTTPS_PROXY") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_directory_is_created_below_one_that_exists() {
        let above = tempfile::tempdir().unwrap();
        let url = format!("file://{}/volume", above.path().display());
        let place = connect(&url, &BTreeMap::new()).unwrap();
        assert!(above.path().join("volume").is_dir());
        assert_eq!(place.prefix, Path::default());
    }

    #[test]
    fn clouds_are_told_apart_by_the_scheme() {
        let region = BTreeMap::from([("region".to_owned(), "eu-west-1".to_owned())]);
        let place = connect("s3://bucket/deep/er", &region).unwrap();
        assert_eq!(
            (place.prefix.as_ref(), place.objects.to_string().as_str()),
            ("deep/er", "AmazonS3(bucket)")
        );
        let url = "abfss://container@account.dfs.core.windows.net/pg";
        assert!(connect(url, &BTreeMap::new()).unwrap().objects.to_string().contains("container"));
        let options = BTreeMap::from([("skip_signature".to_owned(), "true".to_owned())]);
        assert_eq!(connect("gs://bucket", &options).unwrap().prefix, Path::default());
    }
}
