//! Whether two servers say the same, table by table and row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Client, word};
use crate::ground::wait_until;

/// How far a server is with one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last transaction that its rows show.
    pub(crate) applied: u64,
    /// The last one that it knows of.
    pub(crate) known: u64,
    pub(crate) suspended: bool,
    /// Why it is.
    pub(crate) why: String,
}

/// How far a server is with each of its tables, by name.
pub(crate) fn progress(client: Client) -> Result<BTreeMap<String, Progress>, String> {
    let rows = client.sql(
        "SELECT name, writerTxn, sequencerTxn, suspended, errorTag, errorMessage FROM wal_tables()",
    )?;
    let tables = rows.iter().filter_map(|row| {
        let [name, applied, known, suspended, _, why] = row.as_slice() else { return None };
        if is_half_made(known) {
            return None;
        }
        let progress = Progress {
            applied: applied.as_u64().unwrap_or(0),
            known: known.as_u64().unwrap_or(0),
            suspended: suspended.as_bool().unwrap_or(false),
            why: word(why),
        };
        Some((word(name), progress))
    });
    Ok(tables.collect())
}

/// Waits until the primary has applied all that it took, its views included, and then until the
/// replica has the same. Nobody may write meanwhile.
pub(crate) fn catch_up(primary: Client, replica: Client) {
    catch_up_within(primary, replica, Duration::from_secs(120));
}

pub(crate) fn catch_up_within(primary: Client, replica: Client, patience: Duration) {
    let end = settle(primary);
    let mut missing = String::new();
    let reached = || match progress(replica) {
        Ok(now) => {
            missing = behind(&end, &now);
            missing.is_empty()
        }
        Err(error) => {
            missing = error;
            false
        }
    };
    within(patience, "the replica has what the primary has", reached, || missing_of(replica, &end));
}

fn missing_of(replica: Client, end: &BTreeMap<String, Progress>) -> String {
    progress(replica).map_or_else(|error| error, |now| behind(end, &now))
}

/// Waits until the server has applied all that it took; how far it is then.
pub(crate) fn settle(client: Client) -> BTreeMap<String, Progress> {
    let (mut before, mut calm, mut looks) = (None, 0, 0_u32);
    let mut last = BTreeMap::new();
    let what = "the primary applies all that it took";
    within(
        Duration::from_secs(120),
        what,
        || {
            let Ok(now) = progress(client) else { return false };
            let broken = now.iter().find(|(_, table)| table.suspended);
            assert!(broken.is_none(), "the primary itself suspended {broken:?}\n{}", told(client));
            let Some(stale) = stale_views(client) else { return false };
            looks += 1;
            if looks % 200 == 0 {
                refresh(client, &stale);
            }
            let done = now.values().all(|table| table.applied == table.known) && stale.is_empty();
            calm = if done && before.as_ref() == Some(&now) { calm + 1 } else { 0 };
            before = Some(now.clone());
            last = now;
            calm >= 10
        },
        || told(client),
    );
    last
}

/// The views that lack commits of their base; `None`: the server does not say.
fn stale_views(client: Client) -> Option<Vec<String>> {
    let rows = client.sql(
        "SELECT view_name FROM materialized_views() WHERE view_status = 'refreshing' OR
         (view_status = 'valid' AND refresh_base_table_txn < base_table_txn)",
    );
    let (rows, whole) = (rows.ok()?, progress(client).ok()?);
    let stale = rows.iter().filter_map(|row| row.first()).map(word);
    Some(stale.filter(|name| whole.contains_key(name)).collect())
}

/// A server that was killed before the first refresh of a view makes none before the next commit.
fn refresh(client: Client, views: &[String]) {
    for view in views {
        // What it says against it, the wait for fresh views will tell.
        let _answer = client.sql(&format!("REFRESH MATERIALIZED VIEW '{view}' INCREMENTAL"));
    }
}

/// What a server says of its tables, for a case that fails.
fn told(client: Client) -> String {
    let rows = client.sql("wal_tables()").unwrap_or_default();
    let views = client.sql("materialized_views()").unwrap_or_default();
    let lines = rows.iter().chain(&views);
    lines.fold(String::new(), |all, row| all + &Value::from(row.clone()).to_string() + "\n")
}

/// What the second has not, compared with the first; empty if it has all.
fn behind(end: &BTreeMap<String, Progress>, now: &BTreeMap<String, Progress>) -> String {
    let mut missing = String::new();
    for name in end.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        let (wanted, has) = (end.get(name), now.get(name));
        let same = wanted
            .zip(has)
            .is_some_and(|(wanted, has)| has.applied == wanted.known && !has.suspended);
        if !same {
            writeln!(missing, "{name}: primary {wanted:?}, replica {has:?}")
                .expect("a string takes more");
        }
    }
    missing
}

/// The same tables, with the same columns and the same rows. Nobody may write meanwhile. Asks for
/// nothing that a server remembers of tables: that may be of the time before a rename.
pub(crate) fn same(primary: Client, replica: Client) {
    let (wanted, has) = (names(primary), names(replica));
    assert!(!wanted.is_empty(), "there is something to compare");
    differences("tables", &wanted, &has);
    let (wanted, has) = (views(primary), views(replica));
    differences("materialized views", &wanted, &has);
    for name in names(primary) {
        let (wanted, has) = (columns(primary, &name), columns(replica, &name));
        differences(&format!("columns of {name}"), &wanted, &has);
        let (wanted, has) = (rows(primary, &name), rows(replica, &name));
        differences(&format!("rows of {name}"), &wanted, &has);
    }
}

/// The same settings of tables and columns. Both servers were just started: later they remember.
pub(crate) fn same_settings(primary: Client, replica: Client) {
    differences("tables", &tables(primary), &tables(replica));
    for name in names(primary) {
        let (wanted, has) = (settings(primary, &name), settings(replica, &name));
        differences(&format!("settings of {name}"), &wanted, &has);
    }
}

/// A table's columns, and its rows.
pub(crate) type Shown = (Vec<String>, Vec<String>);

/// What a server shows of one table.
pub(crate) fn shown(client: Client, table: &str) -> Shown {
    (columns(client, table), rows(client, table))
}

/// The replica catches up, and then both have the same.
pub(crate) fn equal(primary: Client, replica: Client) {
    catch_up(primary, replica);
    same(primary, replica);
}

/// The names of all tables that replicate.
pub(crate) fn names(client: Client) -> Vec<String> {
    let rows = client.query("SELECT name, sequencerTxn FROM wal_tables() ORDER BY 1");
    let whole = rows.iter().filter(|row| row.get(1).is_none_or(|known| !is_half_made(known)));
    whole.filter_map(|row| row.first()).map(word).collect()
}

/// Of a table that a server was killed at the making of, it goes on listing the name. It has no
/// log, and nobody can write into it.
fn is_half_made(sequencer_txn: &Value) -> bool {
    sequencer_txn.as_i64().is_some_and(|txn| txn < 0)
}

fn tables(client: Client) -> Vec<String> {
    text(
        client,
        "SELECT table_name, designatedTimestamp, partitionBy, walEnabled, dedup, ttlValue,
         ttlUnit, matView, directoryName, id, maxUncommittedRows, o3MaxLag
         FROM tables() WHERE walEnabled ORDER BY 1",
    )
}

/// The materialized views. A server that applied the drop of one goes on listing it once its name
/// is given again, until it is restarted: of one name the last counts.
fn views(client: Client) -> Vec<String> {
    let question = "SELECT view_name, view_table_dir_name, refresh_type, base_table_name, view_sql,
        view_status FROM materialized_views()";
    let number = |directory: &str| directory.rsplit('~').next().and_then(|id| id.parse().ok());
    let mut last: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let whole = names(client);
    for row in client.query(question) {
        if !row.first().is_some_and(|name| whole.contains(&word(name))) {
            continue;
        }
        let [name, directory, ..] = row.as_slice() else { continue };
        let id = number(&word(directory)).unwrap_or(0);
        let line = Value::from(row.clone()).to_string();
        let known = last.entry(word(name)).or_default();
        if known.0 <= id {
            *known = (id, line);
        }
    }
    last.into_values().map(|(_, line)| line).collect()
}

/// The names and types of a table's columns, as its rows have them.
fn columns(client: Client, table: &str) -> Vec<String> {
    described(client, table).iter().map(Value::to_string).collect()
}

fn described(client: Client, table: &str) -> Vec<Value> {
    let question = format!("SELECT * FROM '{table}' LIMIT 0");
    let answer = client.columns(&question).or_else(|_| client.columns(&question));
    answer.unwrap_or_else(|error| panic!("port {}: {question}: {error}", client.http))
}

fn settings(client: Client, table: &str) -> Vec<String> {
    // How many symbols there is room for, and how many there are, each server decides when it
    // applies.
    let question = format!(
        "SELECT \"column\", type, indexed, designated, upsertKey FROM (SHOW COLUMNS FROM '{table}')"
    );
    text(client, &question)
}

/// Every row of a table as one line, sorted: rows of the same moment have no order.
fn rows(client: Client, table: &str) -> Vec<String> {
    let part = |column: &Value, of: &str| column.get(of).map(word).unwrap_or_default();
    let wanted: Vec<String> = described(client, table)
        .iter()
        .map(|column| (part(column, "name"), part(column, "type")))
        .map(|(name, kind)| match kind.as_str() {
            "BINARY" => format!("base64(\"{name}\", 1000000) \"{name}\""),
            _ => format!("\"{name}\""),
        })
        .collect();
    let mut rows = text(client, &format!("SELECT {} FROM '{table}'", wanted.join(", ")));
    rows.sort_unstable();
    rows
}

/// An answer's lines. A plan that was made before the last change of a schema fails once.
fn text(client: Client, question: &str) -> Vec<String> {
    let answer = client.lines(question).or_else(|_| client.lines(question));
    answer.unwrap_or_else(|error| panic!("port {}: {question}: {error}", client.http))
}

/// Fails with the first lines that one side has and the other lacks.
fn differences(what: &str, wanted: &[String], has: &[String]) {
    if wanted == has {
        return;
    }
    let missing = only_in(wanted, has);
    let surplus = only_in(has, wanted);
    let mut words = format!(
        "{what} differ: {} on the primary, {} on the replica, {} missing, {} too many\n",
        wanted.len(),
        has.len(),
        missing.len(),
        surplus.len()
    );
    for (sign, lines) in [('-', missing), ('+', surplus)] {
        for line in lines.iter().take(8) {
            writeln!(words, "{sign} {line}").expect("a string takes more");
        }
    }
    panic!("{words}");
}

/// The lines that the first has more often than the second.
fn only_in(one: &[String], other: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&String, i64> = BTreeMap::new();
    for line in other {
        *counts.entry(line).or_default() += 1;
    }
    let mut only = Vec::new();
    for line in one {
        let count = counts.entry(line).or_default();
        *count -= 1;
        if *count < 0 {
            only.push(line.clone());
        }
    }
    only
}

/// A bounded wait that says at its end what was still missing.
fn within(
    patience: Duration,
    what: &str,
    reached: impl FnMut() -> bool,
    missing: impl FnOnce() -> String,
) {
    let tried = std::panic::AssertUnwindSafe(|| wait_until(what, patience, reached));
    if let Err(panic) = std::panic::catch_unwind(tried) {
        eprintln!("still missing:\n{}", missing());
        std::panic::resume_unwind(panic);
    }
}
