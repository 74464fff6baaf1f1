//! The clients of the clouds: the only file that names one.

use std::fs;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::ClientConfigKey;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::bucket::Bucket;
use super::keyfile::{self, KeyFile};
use super::settings::Settings;
use super::{BadPlace, Beyond};

const CONNECT_TIMEOUT: &str = "5s";
/// Backstops only: `store::retry` decides how long a request may take. The client's clock for an
/// answer starts with the request and an upload's progress does not reset it, so that a short one
/// would cut every body on a slow line.
const READ_TIMEOUT: &str = "5m";
const TOTAL_TIMEOUT: &str = "1h";

/// What the environment may say of the connection, besides what is decided here.
const FROM_ENVIRONMENT: [ClientConfigKey; 6] = [
    ClientConfigKey::AllowHttp,
    ClientConfigKey::AllowInvalidCertificates,
    ClientConfigKey::Http2Only,
    ClientConfigKey::ProxyUrl,
    ClientConfigKey::ProxyExcludes,
    ClientConfigKey::UserAgent,
];

pub(super) fn s3(
    bucket: &str,
    settings: &Settings,
    retry: RetryConfig,
) -> Result<(Arc<dyn ObjectStore>, Beyond), BadPlace> {
    let mut builder = AmazonS3Builder::from_env();
    for (name, value) in &settings.cloud {
        builder = builder.with_config(key(name)?, value);
    }
    if let Some(file) = &settings.credentials_file {
        let file = KeyFile::open(file.clone(), settings.profile.as_deref())?;
        builder = builder.with_credentials(Arc::new(file));
    }
    let endpoints = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint];
    let plain = endpoints.iter().any(|key| is_plain(builder.get_config_value(key)));
    let known = |key| builder.get_config_value(&AmazonS3ConfigKey::Client(key));
    let client = client(settings, plain, known)?;
    let builder = builder
        .with_client_options(client.clone())
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry);
    let built = builder.clone().build().map_err(|error| unusable(&error))?;
    let itself = Bucket::of(&built, &builder, bucket, &client);
    Ok((Arc::new(built), itself.map_or(Beyond::Nothing, Beyond::Bucket)))
}

pub(super) fn gcs(
    bucket: &str,
    settings: &Settings,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>, BadPlace> {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    for (name, value) in &settings.cloud {
        builder = builder.with_config(key(name)?, value);
    }
    if let Some(file) = &settings.credentials_file {
        builder = builder.with_service_account_path(file.display().to_string());
    }
    let known = |key| builder.get_config_value(&GoogleConfigKey::Client(key));
    let client = client(settings, false, known)?;
    let builder = builder.with_client_options(client).with_bucket_name(bucket).with_retry(retry);
    Ok(Arc::new(builder.build().map_err(|error| unusable(&error))?))
}

pub(super) fn azure(
    url: &Url,
    settings: &Settings,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>, BadPlace> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    for (name, value) in &settings.cloud {
        builder = builder.with_config(key(name)?, value);
    }
    if let Some(file) = &settings.credentials_file {
        for (name, value) in keyfile::read(file, settings.profile.as_deref())? {
            builder = builder.with_config(key(&name)?, value);
        }
    }
    let plain = is_plain(builder.get_config_value(&AzureConfigKey::Endpoint));
    let known = |key| builder.get_config_value(&AzureConfigKey::Client(key));
    let client = client(settings, plain, known)?;
    let builder = builder.with_client_options(client).with_url(url.as_str()).with_retry(retry);
    Ok(Arc::new(builder.build().map_err(|error| unusable(&error))?))
}

/// How connections are made.
fn client(
    settings: &Settings,
    plain: bool,
    known: impl Fn(ClientConfigKey) -> Option<String>,
) -> Result<ClientOptions, BadPlace> {
    let mut options = ClientOptions::new();
    for key in FROM_ENVIRONMENT {
        if let Some(value) = known(key) {
            options = options.with_config(key, value);
        }
    }
    options = options
        .with_config(ClientConfigKey::ReadTimeout, READ_TIMEOUT)
        .with_config(ClientConfigKey::Timeout, TOTAL_TIMEOUT)
        .with_config(ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT);
    if let Some(timeout) = settings.connect_timeout {
        options = options.with_connect_timeout(timeout);
    }
    if let Some(proxy) = &settings.proxy {
        options = options.with_proxy_url(proxy);
    }
    if plain {
        options = options.with_allow_http(true);
    }
    let Some(file) = &settings.ca_file else { return Ok(options) };
    let bad = |why: String| BadPlace(format!("option store.ca_file: {}: {why}", file.display()));
    let text = fs::read(file).map_err(|error| bad(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&text).map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() {
        return Err(bad("holds no certificate in PEM form".to_owned()));
    }
    let only_these = options.with_no_system_certificates(true);
    Ok(certificates.into_iter().fold(only_these, ClientOptions::with_root_certificate))
}

fn key<K: FromStr<Err = object_store::Error>>(name: &str) -> Result<K, BadPlace> {
    name.parse().map_err(|_| BadPlace(format!("`{name}` means nothing to this kind of store")))
}

fn unusable(error: &object_store::Error) -> BadPlace {
    BadPlace(format!("cannot use this store: {error}"))
}

fn is_plain(endpoint: Option<String>) -> bool {
    endpoint.is_some_and(|url| url.starts_with("http://"))
}
