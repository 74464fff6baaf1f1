//! Settings of the database's server that replication does not go with: read once, when the mount
//! begins, and told in its log and status. Changes nothing, and refuses nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::config::{Config, Role};
use crate::layout::questdb::settings::{Side, wrong};

/// Where a server's settings are, from the directory that its database is in.
const CONF: &str = "conf/server.conf";

/// Whose settings count for this mount, if it is of a QuestDB: its side, and its database.
pub(super) fn server_of(config: &Config, mount: &Path) -> Option<(Side, PathBuf)> {
    match &config.role {
        Role::Primary { .. } => Some((Side::Primary, mount.to_owned())),
        Role::Replica { delivery, .. } => {
            delivery.as_ref().map(|delivery| (Side::Replica, delivery.database.clone()))
        }
    }
}

/// What is wrong with the settings of the QuestDB server of this database.
pub(super) fn questdb(side: Side, database: &Path) -> Vec<String> {
    let file = place(database);
    let conf = match fs::read_to_string(&file) {
        Ok(conf) => conf,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            info!(
                file = %file.display(),
                "the server's settings are not there, nothing is said about them: compare them \
                 with `walfs config questdb`"
            );
            return Vec::new();
        }
        Err(error) => {
            let file = file.display();
            let unread = format!("{file} cannot be read, nothing is said about it: {error}");
            warn!("{unread}");
            return vec![unread];
        }
    };
    let told = |wrong: &String| format!("{}: {wrong}", file.display());
    let warnings: Vec<String> = wrong(side, &conf).iter().map(told).collect();
    for warning in &warnings {
        warn!("the server's settings: {warning}");
    }
    if !warnings.is_empty() {
        info!("what the server's environment says (QDB_…) wins, and is not seen here");
    }
    warnings
}

fn place(database: &Path) -> PathBuf {
    database.parent().unwrap_or(database).join(CONF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_beside_the_database_and_told_with_their_file() {
        let root = tempfile::tempdir().unwrap();
        let database = root.path().join("db");
        assert!(questdb(Side::Primary, &database).is_empty(), "there are none");
        fs::create_dir(root.path().join("conf")).unwrap();
        fs::write(root.path().join(CONF), "readonly=true\n").unwrap();
        let told = questdb(Side::Primary, &database);
        assert!(matches!(&told[..], [one] if one.contains("server.conf: line 1, `readonly=true`")));
    }
}
