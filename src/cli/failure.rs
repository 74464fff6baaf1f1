//! How a verb fails: one sentence, and an exit code that says who should react how.

use std::io;

use crate::config::ConfigError;
use crate::fuse::mount;
use crate::store::StoreError;
use crate::store::connect::BadPlace;
use crate::{primary, replica};

/// Who should react, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something else.
    Error,
    /// Write the command differently.
    Usage,
    /// Try again later.
    Unavailable,
    /// Give credentials or permission.
    Refused,
    /// Another node is primary.
    NotPrimary,
    /// Restore.
    Corrupt,
}

/// The codes as people and scripts read them, in the order of [`Exit`].
pub const EXIT_CODES: &[(Exit, &str)] = &[
    (Exit::Error, "something failed: the message says what and what to do"),
    (Exit::Usage, "wrong words on the command line or after -o"),
    (Exit::Unavailable, "the store did not answer in time: try again"),
    (Exit::Refused, "credentials or permission are missing"),
    (Exit::NotPrimary, "another node is primary, or the local files are not the volume's"),
    (Exit::Corrupt, "something in the store is damaged or missing"),
];

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Refused => 4,
            Self::NotPrimary => 5,
            Self::Corrupt => 6,
        }
    }
}

/// How a verb ended, when not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code; 0 when whoever read the output has read enough.
    pub code: u8,
    /// The sentence, unless it was said already.
    pub message: Option<String>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { code: exit.code(), message: Some(message.into()) }
    }

    /// A failure that was told already.
    pub fn told(code: u8) -> Self {
        Self { code, message: None }
    }

    /// A failure of no special kind.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    /// The output could not be written.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(0),
            _ => Self::error(format!("cannot write the output: {error}")),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<BadPlace> for Failure {
    fn from(error: BadPlace) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Unavailable(_) => Exit::Unavailable,
            StoreError::Refused(_) => Exit::Refused,
            StoreError::Corrupt { .. } | StoreError::Missing(_) => Exit::Corrupt,
            StoreError::Unsupported { .. } => Exit::Error,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<mount::Error> for Failure {
    fn from(error: mount::Error) -> Self {
        let exit = match error {
            mount::Error::NoPermission(_) => Exit::Refused,
            _ => Exit::Error,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<primary::StartError> for Failure {
    fn from(error: primary::StartError) -> Self {
        match error {
            primary::StartError::Store(error) => error.into(),
            primary::StartError::NotPrimary { .. } | primary::StartError::Diverged(_) => {
                Self::new(Exit::NotPrimary, error.to_string())
            }
            primary::StartError::Disk(cause) => disk(&cause, "the local disk failed"),
        }
    }
}

impl From<replica::StartError> for Failure {
    fn from(error: replica::StartError) -> Self {
        match error {
            replica::StartError::Store(error) => error.into(),
            replica::StartError::Cache(path, cause) => {
                disk(&cause, &format!("the cache in {} cannot be used", path.display()))
            }
            replica::StartError::Directory(cause) => {
                disk(&cause, "the directory beneath the mount cannot be used")
            }
            replica::StartError::Database(path, cause) => {
                disk(&cause, &format!("option database: {} cannot be used", path.display()))
            }
            replica::StartError::Thread(_) => Self::error(error.to_string()),
        }
    }
}

/// What a local disk's error asks for.
fn disk(cause: &io::Error, what: &str) -> Failure {
    let advice = match cause.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            ": make it writable; a replica on a read-only disk needs the options ro and cache="
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": make room there",
        io::ErrorKind::PermissionDenied => ": mount as root",
        _ => "",
    };
    Failure::error(format!("{what}: {cause}{advice}"))
}
