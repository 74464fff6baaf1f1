//! A volume by its URL, for verbs that look at one without mounting it.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Reach;
use crate::store::{self, Chain, Patience, Place, Store, volume};
use crate::volume::Manifest;
use crate::volume::codec::EncodedLink;
use crate::volume::info::VolumeInfo;

use super::environment;
use super::failure::Failure;

/// What a URL may look like.
pub const WHERE: &str = "Where the volume is: s3://bucket/path, gs://…, az://…, abfss://…, hdfs://… or file:///directory";

/// What may be said about the way there.
pub const HOW: &str = "Options of the store, separated by commas: store.NAME=VALUE, env_file=FILE";

/// Which volume.
#[derive(Debug, Args)]
pub struct Which {
    /// Where the volume is.
    #[arg(help = WHERE)]
    pub url: String,
    /// How to reach it.
    #[arg(short = 'o', value_name = "OPTIONS", help = HOW)]
    pub options: Vec<String>,
}

/// Somebody sits before the answer.
const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(10), total: Duration::from_secs(10) };

/// A volume that was found.
#[derive(Debug)]
pub struct Reached {
    /// What kind of volume it is.
    pub info: VolumeInfo,
    /// Its history.
    pub chain: Chain,
}

impl Which {
    /// Runs this on the volume that is there.
    pub fn reach<T>(
        &self,
        run: impl AsyncFnOnce(Reached) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let reach = Reach::parse(self.options.iter().map(String::as_str))?;
        if let Some(file) = &reach.env_file {
            environment::adopt(file)?;
        }
        block_on(async {
            if file_is_absent(&self.url) {
                return Err(no_volume(&self.url));
            }
            let store = connect(&self.url, &reach.store)?.with_patience(PATIENCE);
            let Some(info) = volume::find_volume(&store).await? else {
                return Err(no_volume(&self.url));
            };
            run(Reached { info, chain: Chain::new(store) }).await
        })
    }
}

impl Reached {
    /// What the volume contains now. Shows how far it is, if that takes long.
    pub async fn manifest(&self) -> Result<Manifest, Failure> {
        let start = self.chain.start().await?;
        let bar = bar();
        let mut each = |link: &EncodedLink, _: &Manifest| {
            bar.inc(1);
            bar.set_message(link.link.position().to_string());
        };
        let manifest = self.chain.catch_up(start, &mut each).await?;
        bar.finish_and_clear();
        Ok(manifest)
    }
}

/// A client for the volume at this URL. It belongs to the runtime that first uses it.
pub fn connect(url: &str, options: &BTreeMap<String, String>) -> Result<Store, Failure> {
    let options = environment::usual(url, options.clone());
    Ok(Store::new(store::connect(url, &options)?, rand::random()))
}

/// Two clients for what is, or will be, at this URL, for a verb that looks at the store itself.
pub fn places(url: &str, options: &[String]) -> Result<(Place, Place), Failure> {
    let reach = Reach::parse(options.iter().map(String::as_str))?;
    if let Some(file) = &reach.env_file {
        environment::adopt(file)?;
    }
    let options = environment::usual(url, reach.store);
    Ok((store::connect(url, &options)?, store::connect(url, &options)?))
}

/// Whether this is the URL of a directory that does not exist. To look must not create it.
pub fn file_is_absent(url: &str) -> bool {
    let path = url::Url::parse(url).ok().filter(|url| url.scheme() == "file");
    path.and_then(|url| url.to_file_path().ok()).is_some_and(|path| !path.exists())
}

/// There is nothing at this URL.
pub fn no_volume(url: &str) -> Failure {
    Failure::error(format!("{url}: there is no volume yet; mount its primary first"))
}

/// Runs this on a runtime of its own.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))?.block_on(future)
}

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} reading the history: {human_pos} {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
