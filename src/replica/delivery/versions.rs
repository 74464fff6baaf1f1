//! Which version the server here is, and which one the primary's: WAL is sure to mean the same only
//! to equal ones.

use tracing::{info, warn};

use crate::layout::questdb::delivery::statements::{BUILD, version_of};
use crate::server::{Agent, AgentError};

/// Both versions, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    /// The server's here.
    pub(super) here: Option<String>,
    /// The primary's.
    pub(super) primary: Option<String>,
}

impl Versions {
    /// Asks the server, after it was connected to. An error: the connection broke.
    pub(super) async fn ask(&mut self, agent: &mut Agent) -> Result<(), AgentError> {
        let here = agent.version(BUILD, version_of).await?;
        self.learn(Self { here, primary: self.primary.clone() });
        Ok(())
    }

    /// The volume says so of the primary's server.
    pub(super) fn hear(&mut self, primary: Option<String>) {
        self.learn(Self { here: self.here.clone(), primary });
    }

    /// What is wrong with them, and what to do.
    pub(super) fn problem(&self) -> Option<String> {
        let (here, primary) = self.here.as_ref().zip(self.primary.as_ref())?;
        (here != primary).then(|| {
            format!(
                "the server here is version {here}, the primary's is {primary}: what one writes \
                 the other may read otherwise; give both the same version, replicas first"
            )
        })
    }

    fn learn(&mut self, now: Self) {
        let before = std::mem::replace(self, now);
        match self.problem() {
            Some(problem) if *self != before => warn!("{problem}"),
            None if before.problem().is_some() => info!("both servers are of the same version"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_are_a_problem_and_an_unknown_one_is_none() {
        let mut versions = Versions { here: Some("9.3.4".to_owned()), primary: None };
        assert_eq!(versions.problem(), None);
        versions.hear(Some("9.2.3".to_owned()));
        let problem = versions.problem().unwrap();
        assert!(problem.contains("9.3.4") && problem.contains("9.2.3"));
        versions.hear(Some("9.3.4".to_owned()));
        assert_eq!(versions.problem(), None);
    }
}
