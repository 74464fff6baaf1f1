//! Why a table does not go on.

use std::io;

use crate::server::AgentError;

/// Why a table does not go on, by what is to be done.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It goes on by itself: to be tried again soon.
    #[error("{0}")]
    Later(String),
    /// Something else has to happen first, which is told only if it takes long.
    #[error("{0}")]
    Waits(String),
    /// The volume does not have what the table needs next.
    #[error("{0}")]
    Gap(String),
    /// Somebody has to do something.
    #[error("{0}")]
    Stopped(String),
    /// There is no server to speak to.
    #[error("{0}")]
    NoServer(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Away(why) => Self::NoServer(why),
            AgentError::Refused(why) => Self::Later(format!("the server refused: {why}")),
        }
    }
}
