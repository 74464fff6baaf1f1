//! The connection to the server: one, kept; made again when it broke, less and less eagerly.
//! Decides nothing.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tracing::{debug, info, warn};

/// How long a statement or a connection may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many statements are on their way together.
const TOGETHER: usize = 64;
/// The shortest wait before another try to connect.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
/// The longest one.
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// Where the server listens, and as whom to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its host.
    pub host: String,
    /// Its port for the PostgreSQL protocol.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The file with that user's password.
    pub password_file: PathBuf,
}

/// Speaks to the server.
#[derive(Debug)]
pub struct Agent {
    address: Address,
    client: Option<Client>,
    failures: u32,
    not_before: Option<Instant>,
    /// How many connections there were: who knows another number asks everything again.
    pub connections: u64,
    /// Why there is none.
    pub trouble: Option<String>,
}

/// Why a statement was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no connection, or it broke: what became of the statement is not known.
    #[error("{0}")]
    Away(String),
    /// The server said no.
    #[error("{0}")]
    Refused(String),
}

/// The rows of an answer.
pub type Rows = Vec<Vec<Option<String>>>;

impl Agent {
    /// Not connected yet.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            client: None,
            failures: 0,
            not_before: None,
            connections: 0,
            trouble: Some("not connected yet".to_owned()),
        }
    }

    /// Whether there is a connection; makes one if it is time to.
    pub async fn is_there(&mut self) -> bool {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return true;
        }
        if self.client.take().is_some() {
            info!(server = %self.name(), "the database's server went away");
            "the connection was closed".clone_into(self.trouble.get_or_insert_default());
        }
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return false;
        }
        match timeout(PATIENCE, self.connect()).await.unwrap_or_else(|_| Err("no answer".into())) {
            Ok(client) => {
                info!(server = %self.name(), "connected to the database's server");
                (self.client, self.failures, self.trouble) = (Some(client), 0, None);
                self.connections += 1;
                true
            }
            Err(why) => {
                self.fail(why);
                false
            }
        }
    }

    /// When to try to connect again.
    pub fn again_at(&self) -> Option<Instant> {
        self.client.is_none().then_some(self.not_before).flatten()
    }

    /// Carries a statement out.
    pub async fn run(&mut self, statement: &str) -> Result<Rows, AgentError> {
        debug!(statement, "to the server");
        if !self.is_there().await {
            return Err(AgentError::Away(self.trouble.clone().unwrap_or_default()));
        }
        let Some(client) = &self.client else { return Err(AgentError::Away(String::new())) };
        let answer = timeout(PATIENCE, client.simple_query(statement)).await;
        match answer {
            Ok(Ok(messages)) => Ok(rows(messages)),
            Ok(Err(error)) => Err(self.error(&error)),
            Err(_elapsed) => Err(self.broken(format!("no answer within {PATIENCE:?}"))),
        }
    }

    /// Asks this question for the server's version, and reads the answer so. A server that does not
    /// tell is said to; an error: the connection broke, and the next one is to be asked.
    pub async fn version(
        &mut self,
        question: &str,
        read: impl Fn(&[Vec<Option<String>>]) -> Option<String>,
    ) -> Result<Option<String>, AgentError> {
        let version = match self.run(question).await {
            Ok(rows) => read(&rows),
            Err(AgentError::Refused(why)) => {
                warn!(server = %self.name(), "does not tell its version: {why}");
                None
            }
            Err(away @ AgentError::Away(_)) => return Err(away),
        };
        info!(server = %self.name(), version = version.as_deref(), "the database's server");
        Ok(version)
    }

    /// Carries statements out, one after the other, without waiting for each answer.
    pub async fn run_all(&mut self, statements: &[String]) -> Vec<Result<Rows, AgentError>> {
        let mut answers = Vec::with_capacity(statements.len());
        for together in statements.chunks(TOGETHER) {
            let Some(client) = &self.client else { break };
            let said = together.iter().map(|statement| client.simple_query(statement));
            let Ok(said) = timeout(PATIENCE, futures::future::join_all(said)).await else {
                self.broken(format!("no answer within {PATIENCE:?}"));
                break;
            };
            for answer in said {
                answers.push(match answer {
                    Ok(messages) => Ok(rows(messages)),
                    Err(error) => Err(self.error(&error)),
                });
            }
        }
        let lost = || Err(AgentError::Away("the connection broke".to_owned()));
        answers.resize_with(statements.len(), lost);
        answers
    }

    fn error(&mut self, error: &tokio_postgres::Error) -> AgentError {
        match error.as_db_error() {
            Some(said) => AgentError::Refused(said.message().to_owned()),
            None => self.broken(chain(error)),
        }
    }

    /// How operators find it.
    pub fn name(&self) -> String {
        format!("{}:{}", self.address.host, self.address.port)
    }

    async fn connect(&self) -> Result<Client, String> {
        let Address { host, port, user, password_file } = &self.address;
        let file = password_file.display();
        let password = std::fs::read_to_string(password_file)
            .map_err(|error| format!("questdb_password_file={file} cannot be read: {error}"))?;
        let mut config = Config::new();
        config.host(host).port(*port).user(user).password(password.trim_end_matches(['\r', '\n']));
        config.dbname("qdb").application_name("walfs").connect_timeout(PATIENCE);
        let (client, connection) = config.connect(NoTls).await.map_err(|error| chain(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("the connection to the database's server broke: {}", chain(&error));
            }
        });
        Ok(client)
    }

    fn broken(&mut self, why: String) -> AgentError {
        self.client = None;
        self.fail(why.clone());
        AgentError::Away(why)
    }

    fn fail(&mut self, why: String) {
        if self.failures == 0 {
            warn!(server = %self.name(), "cannot speak to the database's server, trying again: {why}");
        }
        let wait = BACK_OFF_MIN.saturating_mul(1 << self.failures.min(8)).min(BACK_OFF_MAX);
        self.failures = self.failures.saturating_add(1);
        (self.not_before, self.trouble) = (Some(Instant::now() + wait), Some(why));
    }
}

fn rows(messages: Vec<SimpleQueryMessage>) -> Rows {
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// An error with its causes: the outermost one says little.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
