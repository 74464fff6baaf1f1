//! The lines of a server's `server.conf` that replication wants, and why.

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that writes.
    Primary,
    /// One that takes in what the primary wrote.
    Replica,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: &'static str,
    /// Why.
    pub why: &'static str,
}

/// The settings, by what they are for.
pub fn of(side: Side) -> &'static [Setting] {
    match side {
        Side::Primary => PRIMARY,
        Side::Replica => REPLICA,
    }
}

const fn set(key: &'static str, value: &'static str, why: &'static str) -> Setting {
    Setting { key, value, why }
}

const PRIMARY: &[Setting] = &[
    set(
        "cairo.wal.segment.rollover.size",
        "2097152",
        "small segments: shipped sealed sooner, and a replica needs less room at once",
    ),
    set("cairo.wal.inactive.writer.ttl", "5000", "a writer that is idle closes its segment…"),
    set("cairo.idle.check.interval", "5000", "…within seconds, instead of minutes"),
    set(
        "cairo.default.sequencer.part.txn.count",
        "0",
        "one log per table: in parts it is not synced as a whole",
    ),
    set(
        "cairo.commit.mode",
        "nosync",
        "walfs syncs what it ships; `sync` if no commit may be lost to a power failure",
    ),
];

const REPLICA: &[Setting] = &[
    set("readonly", "false", "a read-only server applies no WAL; clients are kept out below"),
    set("http.security.readonly", "true", "REST, ILP over HTTP and imports are refused"),
    set("http.settings.readonly", "true", "so are changes of the web console's settings"),
    set("line.tcp.enabled", "false", "no ILP over TCP"),
    set("line.udp.enabled", "false", "no ILP over UDP"),
    set("line.http.enabled", "false", "no ILP over HTTP"),
    set("pg.security.readonly", "false", "walfs alone may write: it nudges tables and makes them"),
    set("pg.user", "walfs", "walfs: the option questdb_user"),
    set("pg.password", "CHANGE-ME", "walfs: the content of questdb_password_file"),
    set("pg.readonly.user.enabled", "true", "everybody else only reads"),
    set("pg.readonly.user", "reader", "everybody else"),
    set("pg.readonly.password", "CHANGE-ME-TOO", "everybody else"),
    set("cairo.mat.view.enabled", "true", "materialized views exist here"),
    set("mat.view.refresh.worker.count", "0", "but their rows come from the primary"),
    set(
        "cairo.wal.apply.table.time.quota",
        "86400000",
        "one nudge applies all that is there, however long that takes",
    ),
    set("cairo.file.descriptor.cache.enabled", "false", "files are looked at as they are"),
    set("cairo.wal.inactive.writer.ttl", "1000", "what nobody uses is closed…"),
    set("cairo.idle.check.interval", "1000", "…within a second: renames wait for it"),
    set("cairo.wal.purge.interval", "30000", "keep it: it completes DROP TABLE"),
    set("cairo.sql.copy.root", "", "no import by COPY"),
    set("cairo.sql.copy.export.root", "", "no export: it makes tables of its own"),
    set("telemetry.disable.completely", "true", "telemetry writes tables of its own"),
];

/// As lines of a `server.conf`.
pub fn lines(side: Side) -> String {
    let line = |Setting { key, value, why }: &Setting| format!("# {why}\n{key}={value}\n");
    of(side).iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_stands_once_and_is_explained() {
        for side in [Side::Primary, Side::Replica] {
            let mut keys: Vec<_> = of(side).iter().map(|setting| setting.key).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(of(side).iter().all(|setting| !setting.why.is_empty()));
        }
        assert!(lines(Side::Replica).contains("\nmat.view.refresh.worker.count=0\n"));
    }
}
