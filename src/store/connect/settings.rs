//! What may be said of the way to a store besides where it is: `store.NAME=VALUE` among the
//! options, or `?NAME=VALUE` at the end of the URL. Nothing here is a secret: a file that holds
//! one may be named.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use object_store::{Attribute, Attributes};
use url::Url;

use super::BadPlace;

/// Names that the clients themselves know.
const OF_CLIENTS: [&str; 23] = [
    "account_name",
    "allow_http",
    "allow_invalid_certificates",
    "base_url",
    "checksum_algorithm",
    "disable_bulk_delete",
    "disable_tagging",
    "endpoint",
    "http2_only",
    "imdsv1_fallback",
    "proxy_excludes",
    "region",
    "request_payer",
    "role_arn",
    "s3_express",
    "server_side_encryption",
    "skip_signature",
    "sse_bucket_key_enabled",
    "sse_kms_key_id",
    "unsigned_payload",
    "use_emulator",
    "user",
    "virtual_hosted_style_request",
];

/// Names that mean the same at every store.
const OURS: [&str; 7] = [
    "ca_file",
    "connect_timeout",
    "credentials_file",
    "profile",
    "proxy",
    "storage_class",
    "timeout",
];

/// Every name, for messages.
pub const NAMES: [&[&str]; 2] = [&OF_CLIENTS, &OURS];

/// The Hadoop settings that may be given to `hdfs://` begin with one of these.
const HADOOP: [&str; 3] = ["dfs.", "fs.", "hadoop."];

/// Objects of these classes cannot be read at once.
const COLD: [&str; 3] = ["GLACIER", "DEEP_ARCHIVE", "ARCHIVE"];

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// What is handed to the client as it is.
    pub(super) cloud: BTreeMap<String, String>,
    /// The only authority to trust.
    pub(super) ca_file: Option<PathBuf>,
    /// Where credentials are.
    pub(super) credentials_file: Option<PathBuf>,
    /// Which of those in the file.
    pub(super) profile: Option<String>,
    /// What every request goes through.
    pub(super) proxy: Option<String>,
    /// How long a connection may take.
    pub(super) connect_timeout: Option<Duration>,
    /// How long an answer may take.
    pub(super) timeout: Option<Duration>,
    storage_class: Option<String>,
}

impl Settings {
    /// What the options and the end of the URL say; the URL is left without it.
    pub(super) fn of(url: &mut Url, options: &BTreeMap<String, String>) -> Result<Self, BadPlace> {
        let mut all = options.clone();
        all.extend(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
        url.set_query(None);
        let hadoop = url.scheme() == "hdfs";
        let mut settings = Self::default();
        for (name, value) in all {
            settings.set(&name, value, hadoop)?;
        }
        Ok(settings)
    }

    /// What the store is told of every object.
    pub(super) fn attributes(&self) -> Attributes {
        let class = self.storage_class.clone();
        class.map(|class| (Attribute::StorageClass, class)).into_iter().collect()
    }

    fn set(&mut self, name: &str, value: String, hadoop: bool) -> Result<(), BadPlace> {
        match name {
            "ca_file" => self.ca_file = Some(absolute(name, &value)?),
            "credentials_file" => self.credentials_file = Some(absolute(name, &value)?),
            "profile" => self.profile = Some(value),
            "proxy" => self.proxy = Some(without_password(value)?),
            "storage_class" => self.storage_class = Some(warm(value)?),
            "connect_timeout" => self.connect_timeout = Some(duration(name, &value)?),
            "timeout" => self.timeout = Some(duration(name, &value)?),
            name if OF_CLIENTS.contains(&name)
                || hadoop && HADOOP.iter().any(|start| name.starts_with(start)) =>
            {
                self.cloud.insert(name.to_owned(), value);
            }
            name => {
                let known = NAMES.concat().join(", ");
                return Err(BadPlace(format!(
                    "`{name}` is not an option of a store; known: {known}"
                )));
            }
        }
        Ok(())
    }
}

fn absolute(name: &str, value: &str) -> Result<PathBuf, BadPlace> {
    let path = PathBuf::from(value);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(BadPlace(format!("option store.{name}: `{value}` is not an absolute path")))
}

fn duration(name: &str, value: &str) -> Result<Duration, BadPlace> {
    let parsed = humantime::parse_duration(value).ok().filter(|parsed| !parsed.is_zero());
    parsed.ok_or_else(|| {
        BadPlace(format!("option store.{name}: `{value}` is not a duration: write for example 5s"))
    })
}

fn without_password(value: String) -> Result<String, BadPlace> {
    match Url::parse(&value) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => Ok(value),
        Ok(_) => Err(BadPlace(
            "option store.proxy: contains credentials: give such a proxy by the environment \
             variable HTTPS_PROXY, in env_file"
                .to_owned(),
        )),
        Err(error) => Err(BadPlace(format!(
            "option store.proxy: not a URL ({error}): write for example http://proxy:3128"
        ))),
    }
}

fn warm(value: String) -> Result<String, BadPlace> {
    if COLD.iter().any(|cold| value.eq_ignore_ascii_case(cold)) {
        return Err(BadPlace(format!(
            "option store.storage_class: objects of class {value} cannot be read at once, and \
             replicas read each: use a class without retrieval delay"
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<(Settings, Url), BadPlace> {
        let mut url = Url::parse(url).unwrap();
        let options = BTreeMap::from([("region".to_owned(), "eu-west-1".to_owned())]);
        Settings::of(&mut url, &options).map(|settings| (settings, url))
    }

    #[test]
    fn the_end_of_a_url_says_what_options_say() {
        let (settings, url) =
            of("s3://b/p?endpoint=http://h:1&timeout=3s&storage_class=STANDARD_IA").unwrap();
        assert_eq!(url.as_str(), "s3://b/p");
        assert_eq!(settings.cloud["region"], "eu-west-1");
        assert_eq!(settings.cloud["endpoint"], "http://h:1");
        assert_eq!(settings.timeout, Some(Duration::from_secs(3)));
        assert_eq!(settings.attributes().len(), 1);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(of("s3://b/p?storage_class=glacier").is_err());
        assert!(of("s3://b/p?timeout=soon").is_err());
        assert!(of("s3://b/p?ca_file=relative.pem").is_err());
        assert!(of("s3://b/p?dfs.replication=2").is_err());
        assert!(of("hdfs://b/p?dfs.replication=2").is_ok());
    }
}
