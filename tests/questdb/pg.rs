//! Talking to a server over PostgreSQL's protocol, as somebody.

use tokio_postgres::{Config, NoTls};

use crate::client::Client;

/// Runs these statements one after the other on one connection; what the server said to each.
/// An error of its own: the connection was refused.
pub(crate) fn as_user(
    client: Client,
    (user, password): (&str, &str),
    statements: &[&str],
) -> Result<Vec<Result<usize, String>>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut config = Config::new();
    config.host("127.0.0.1").port(client.pg).user(user).password(password).dbname("qdb");
    runtime.block_on(async {
        let (session, connection) = config.connect(NoTls).await.map_err(|error| said(&error))?;
        // Ends with the session.
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for statement in statements {
            let answer = session.simple_query(statement).await;
            answers.push(answer.map(|messages| messages.len()).map_err(|error| said(&error)));
        }
        Ok(answers)
    })
}

fn said(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
