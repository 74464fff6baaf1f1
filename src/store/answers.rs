//! What a client's error means: which reaction it asks for. Does not retry and does not read back.

use std::error::Error as _;
use std::io;

use object_store::Error;

use super::StoreError;

/// What the store said.
pub(super) enum Answer {
    /// There is no such object.
    Absent,
    /// It will not serve us until somebody changes something.
    Refused(String),
    /// Anything else: taken, timed out, overloaded, or not understood. Proves nothing.
    Unclear(String),
}

impl Answer {
    /// The error for a caller to whom an absent object is one.
    pub(super) fn into_error(self, key: &str) -> StoreError {
        match self {
            Self::Absent => StoreError::Missing(key.to_owned()),
            Self::Refused(why) => StoreError::Refused(why),
            Self::Unclear(why) => StoreError::Unavailable(why),
        }
    }
}

/// Codes in the text of an answer that no waiting cures. A missing bucket answers 404 as a missing
/// object does: taken for one, it would look like an empty volume.
const INCURABLE: [&str; 14] = [
    "NoSuchBucket",
    "specified bucket does not exist",
    "ContainerNotFound",
    "ContainerBeingDeleted",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "incorrectly configured region",
    "ExpiredToken",
    "InvalidBucketName",
    "RequestTimeTooSkewed",
    "AccessControlException",
    UNKNOWN_AUTHORITY,
];

/// What the client says of a certificate that nobody known to this host has signed.
const UNKNOWN_AUTHORITY: &str = "UnknownIssuer";

/// What this error of a client means.
pub(super) fn read(error: &Error) -> Answer {
    let text = words(error);
    if INCURABLE.iter().any(|code| text.contains(code)) || forbidden_by_disk(error) {
        return Answer::Refused(if text.contains(UNKNOWN_AUTHORITY) {
            format!(
                "{text} (the server's certificate comes from an authority that this host does not \
                 know: name its file with the option store.ca_file=FILE)"
            )
        } else {
            text
        });
    }
    match error {
        Error::NotFound { .. } => Answer::Absent,
        Error::PermissionDenied { .. } => Answer::Refused(format!(
            "{text} (a missing object answers so, too, to those who may not list: grant read \
             and list)"
        )),
        Error::Unauthenticated { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => Answer::Refused(text),
        _ => Answer::Unclear(text),
    }
}

fn forbidden_by_disk(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotADirectory
            );
        }
        cause = inner.source();
    }
    false
}

/// The error and its causes in one line that fits a log.
fn words(error: &Error) -> String {
    const LONGEST: usize = 400;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
