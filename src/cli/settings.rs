//! `walfs config`: the settings that a database's server needs, to paste.

use clap::{Args, ValueEnum};

use crate::layout::questdb::settings::{Side, lines};

use super::failure::Failure;
use super::output::print;

/// Print the settings that a database needs for replication
///
/// Lines for the server's own configuration, each with the reason for it.
#[derive(Debug, Args)]
pub struct Settings {
    /// Which database
    database: Database,
    /// Whether its server writes, or takes in what another one wrote
    #[arg(long)]
    role: Role,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Database {
    /// QuestDB: lines for conf/server.conf
    Questdb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// The server that writes
    Primary,
    /// A server that follows
    Replica,
}

impl Settings {
    /// Prints.
    pub fn run(self) -> Result<(), Failure> {
        let side = match self.role {
            Role::Primary => Side::Primary,
            Role::Replica => Side::Replica,
        };
        match self.database {
            Database::Questdb => print(&lines(side)),
        }
    }
}
