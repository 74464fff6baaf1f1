//! What a `db/` has that is never shipped: tables without WAL, those that began without it (the
//! server leaves them in a directory without an id, and their first rows are in no WAL), those in
//! other volumes of the server, those that it was killed at the making of, and commits that mean
//! something on the primary's own disk only.

use std::io;

use crate::layout::shipped::read_whole;
use crate::layout::{Files, Kind};
use crate::volume::{LeftOut, RelPath};

use super::bytes::text_at;
use super::names::{Segment, SequencerFile, Table};
use super::registry;
use super::sequencer;
use super::txnlog::{Header, Record, What};

/// Tables of the server's own.
const OWN: &[&str] = &["telemetry", "telemetry_config", "telemetry_wal", "_query_trace"];
/// What the names of the others begin with (`cairo.system.table.prefix`).
const OWN_PREFIX: &str = "sys.";
/// Of a table without a log. The server answers with an error, and drops it (9.3.4).
const HALF_MADE: &str = "has no log, as if the server had been killed while it made it: nobody can \
    write into it, and no replica has it; DROP the table, whatever the server answers, and make it \
    again; if the directory stays, remove it while the server is stopped";
/// Of a table whose log begins like none.
const UNKNOWN: &str =
    "has a form that this walfs does not know, and no replica has it: upgrade walfs";
/// Of a table whose directory is a link (`CREATE TABLE … IN VOLUME`).
const ELSEWHERE: &str = "is in another volume of the server, where its WAL is not seen, and no \
    replica has it; to replicate it, make a table without IN VOLUME and copy its rows";
/// Where a table's `_meta` says whether it writes WAL (`TableUtils.META_OFFSET_WAL_ENABLED`).
const WAL_ENABLED: u64 = 40;
/// A table's name is not longer.
const NAME_MAX: u64 = 4096;

/// The tables without WAL. One that is being made is among them for a moment.
pub(super) fn tables(files: &dyn Files) -> io::Result<Vec<LeftOut>> {
    let registered = registry::read(files)?.unwrap_or_default();
    let mut left_out = Vec::new();
    for found in files.list(None)? {
        let directory = found.path.as_str();
        let name = Table::parse(directory);
        let registered = registered.get(directory);
        if found.kind == Kind::Other && (name.is_some() || !directory.contains('.')) {
            let first = name.as_ref().map_or(directory, Table::first_name);
            let table = registered.map_or(first, |entry| &entry.name).to_owned();
            left_out.push(LeftOut { table, commit: None, what: ELSEWHERE.to_owned() });
            continue;
        }
        if found.kind != Kind::Directory || !is_table(files, &found.path)? {
            continue;
        }
        if let Some(table) = name.as_ref().filter(|_| registered.is_none_or(|it| it.kind > 0))
            && (registered.is_some() || writes_wal(files, &found.path)?)
        {
            if let Some(what) = without_log(files, table)? {
                let name = registered.map_or(table.first_name(), |entry| &entry.name).to_owned();
                left_out.push(LeftOut { table: name, commit: None, what });
            }
            continue;
        }
        let has_wal = has(files, &found.path, "txn_seq/_txnlog")?;
        if has_wal && name.is_some() {
            continue;
        }
        let table = name_in(files, &found.path)?.unwrap_or_else(|| directory.to_owned());
        if !OWN.contains(&table.as_str()) && !table.starts_with(OWN_PREFIX) {
            let why = if has_wal { "began without WAL" } else { "has no WAL" };
            let what = format!(
                "{why}, and no replica has it; to replicate it, make a table with WAL and copy \
                 its rows"
            );
            left_out.push(LeftOut { table, commit: None, what });
        }
    }
    Ok(left_out)
}

/// Why this table, which writes WAL, has no log that can be shipped; `None`: it has one.
fn without_log(files: &dyn Files, table: &Table) -> io::Result<Option<String>> {
    let log = files.open(&table.sequencer(SequencerFile::Log))?;
    let size = log.as_ref().map_or(Ok(0), |log| log.found().map(|found| found.size))?;
    if usize::try_from(size).is_ok_and(|size| size < Header::LEN) {
        return Ok(Some(format!("directory {table} {HALF_MADE}")));
    }
    let is_known = sequencer::open(files, table)?.is_some();
    Ok((!is_known).then(|| format!("the log in {table} {UNKNOWN}")))
}

/// Which of the commits after `after` a replica does not carry out, of those that are these
/// statements of a segment.
pub(super) fn commits(
    segment: &Segment,
    (after, records): (u64, &[Record]),
    statements: &[(u64, String)],
) -> Vec<LeftOut> {
    let told = |(event, sql): &(u64, String)| {
        let is_it = |record: &Record| {
            matches!(record.what, What::Event { wal, segment: of, txn }
                if (wal, of, u64::from(txn)) == (segment.wal, segment.segment, *event))
        };
        let (commit, _) = (after + 1..).zip(records).find(|(_, record)| is_it(record))?;
        statement(&segment.table, commit, sql)
    };
    statements.iter().filter_map(told).collect()
}

fn statement(table: &Table, commit: u64, sql: &str) -> Option<LeftOut> {
    let words: Vec<String> = sql.split_whitespace().map(str::to_lowercase).collect();
    let attaches = words.windows(2).any(|pair| pair == ["attach", "partition"]);
    attaches.then(|| LeftOut {
        table: table.to_string(),
        commit: Some(commit),
        what: format!(
            "`{sql}`: a replica has no files to attach, and goes on without these rows; insert \
             them instead, or make the replicas again from a CHECKPOINT copy"
        ),
    })
}

/// Whether a table's `_meta` says so.
fn writes_wal(files: &dyn Files, directory: &RelPath) -> io::Result<bool> {
    let meta = directory.join("_meta").map_or(Ok(None), |path| files.open(&path))?;
    let mut flag = [0];
    Ok(match meta {
        Some(meta) => meta.read_at(WAL_ENABLED, &mut flag)? == flag.len() && flag != [0],
        None => false,
    })
}

fn is_table(files: &dyn Files, directory: &RelPath) -> io::Result<bool> {
    Ok(has(files, directory, "_meta")? && has(files, directory, "_txn")?)
}

fn has(files: &dyn Files, directory: &RelPath, name: &str) -> io::Result<bool> {
    let Some(path) = directory.join(name) else { return Ok(false) };
    Ok(files.open(&path)?.is_some())
}

fn name_in(files: &dyn Files, directory: &RelPath) -> io::Result<Option<String>> {
    let Some(path) = directory.join("_name") else { return Ok(None) };
    let Some(file) = files.open(&path)? else { return Ok(None) };
    let bytes = read_whole(&*file, NAME_MAX)?;
    Ok(bytes.and_then(|bytes| text_at(&bytes, 0)).map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::questdb::synthetic::{Server, table};

    #[test]
    fn tables_without_wal_are_named_and_the_servers_own_are_not() {
        let mut server = Server::new();
        server.begin_table("with~1");
        for directory in ["plain", "sys.text_import_log", "_query_trace", "with~1"] {
            for file in ["_meta", "_txn"] {
                server.files.write(&format!("{directory}/{file}"), 0, &[0; 8]);
            }
        }
        for file in ["_meta", "_txn", "txn_seq/_txnlog"] {
            server.files.write(&format!("converted/{file}"), 0, &[0; 8]);
        }
        server.register(&["converted"]);
        server.files.write("plain/_name", 0, &[2, 0, 0, 0, b'p', 0, b'l', 0, 0]);
        server.files.write("stray/_meta", 0, &[0; 8]);
        assert_eq!(named(&server), ["converted", "pl"]);
    }

    #[test]
    fn a_table_that_the_server_was_killed_at_the_making_of_is_named() {
        let mut server = Server::new();
        server.make_table("half~1");
        server.make_table("whole~2");
        for directory in ["half~1", "whole~2", "without~3"] {
            for file in ["_meta", "_txn"] {
                let writes_wal = u8::from(directory != "without~3");
                server.files.write(&format!("{directory}/{file}"), 40, &[writes_wal]);
            }
        }
        let named = |server: &Server| -> Vec<_> {
            let mut named = named(server);
            named.retain(|name| name != "without~3");
            named
        };
        let told = tables(&server.files).unwrap();
        assert!(told.len() == 1 && told[0].what.contains("has no WAL"), "its log was removed");
        server.register(&["whole~2"]);
        assert_eq!(named(&server), [""; 0]);
        server.files.write("half~1/txn_seq/_txnlog", 0, &[9]);
        let told = tables(&server.files).unwrap();
        assert!(told.iter().any(|it| it.what.contains("upgrade walfs")), "{told:?}");
        server.files.resize("half~1/txn_seq/_txnlog", 0);
        assert_eq!(named(&server), ["half"]);
        server.files.remove("half~1/txn_seq/_txnlog");
        assert_eq!(named(&server), ["half"]);
    }

    fn named(server: &Server) -> Vec<String> {
        tables(&server.files).unwrap().into_iter().map(|it| it.table).collect()
    }

    #[test]
    fn of_statements_only_those_that_need_files_are_told() {
        let told = |sql| statement(&table("t~1"), 7, sql).map(|it| (it.table, it.commit));
        let attach = "alter table t\n ATTACH  Partition list '2024-01-01'";
        assert_eq!(told(attach), Some(("t~1".to_owned(), Some(7))));
        assert_eq!(told("alter table t detach partition list '2024-01-01'"), None);
        assert_eq!(told("update t set attach = 1"), None);
    }
}
