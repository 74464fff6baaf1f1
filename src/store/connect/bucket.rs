//! What an S3 bucket does to objects by itself: questions for which the client has no call, signed
//! with its credentials. Not for S3 Express, which signs otherwise and has none of these rules.

use std::fmt;
use std::sync::Arc;

use object_store::ClientOptions;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredentialProvider,
};
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};

/// A bucket, and who asks.
#[derive(Clone)]
pub struct Bucket {
    options: Box<ClientOptions>,
    /// `None`: requests are not signed.
    credentials: Option<AwsCredentialProvider>,
    region: String,
    url: String,
}

/// What a bucket answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The rule that will delete the object that was asked for, if one will.
    pub expiration: Option<String>,
    /// How the object is locked, if it is.
    pub lock: Option<String>,
    /// The answer.
    pub text: String,
}

impl Bucket {
    /// The bucket that this client reaches; `None` if it cannot be asked so.
    pub(super) fn of(
        client: &AmazonS3,
        builder: &AmazonS3Builder,
        bucket: &str,
        options: &ClientOptions,
    ) -> Option<Self> {
        let known = |key| builder.get_config_value(&key);
        let on = |key| known(key).is_some_and(|value| value == "true");
        if on(AmazonS3ConfigKey::S3Express) || bucket.ends_with("--x-s3") {
            return None;
        }
        let region = known(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = known(AmazonS3ConfigKey::Endpoint);
        let url = match (endpoint, on(AmazonS3ConfigKey::VirtualHostedStyleRequest)) {
            (Some(endpoint), true) => endpoint.trim_end_matches('/').to_owned(),
            (Some(endpoint), false) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            (None, true) => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        };
        let signed = !on(AmazonS3ConfigKey::SkipSignature);
        let credentials = signed.then(|| Arc::clone(client.credentials()));
        Some(Self { options: Box::new(options.clone()), credentials, region, url })
    }

    /// The answer to a GET of this, which begins with `/` or `?`.
    pub async fn ask(&self, what: &str) -> Result<Told, String> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let slash = if what.starts_with('/') { "" } else { "/" };
        let uri = format!("{}{slash}{what}", self.url);
        *request.uri_mut() = uri.parse().map_err(|_| format!("`{uri}` is no address"))?;
        if let Some(credentials) = &self.credentials {
            let key = credentials.get_credential().await.map_err(|error| error.to_string())?;
            let signed =
                AwsAuthorizer::new(&key, "s3", &self.region).try_authorize(&mut request, None);
            signed.map_err(|error| error.to_string())?;
        }
        let http = ReqwestConnector::default().connect(&self.options);
        let http = http.map_err(|error| error.to_string())?;
        let answer = http.execute(request).await.map_err(|error| error.to_string())?;
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (expiration, lock) = (header("x-amz-expiration"), header("x-amz-object-lock-mode"));
        let status = answer.status().as_u16();
        let bytes = answer.into_body().bytes().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Told { status, expiration, lock, text })
    }
}

impl fmt::Debug for Bucket {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("url", &self.url).finish_non_exhaustive()
    }
}
