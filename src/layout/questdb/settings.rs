//! The lines of a server's `server.conf` that replication wants, why, and what a server that was
//! told otherwise does to it. What the server's environment says (`QDB_…`) is not to be seen here.

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that writes.
    Primary,
    /// One that takes in what the primary wrote.
    Replica,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: &'static str,
    /// Why.
    pub why: &'static str,
    /// What is lost without it; `None`: nothing that an operator must hear of.
    needed: Option<Needed>,
}

/// What depends on a setting.
#[derive(Clone, Copy, Debug)]
struct Needed {
    /// What a server takes where nothing is written.
    default: &'static str,
    /// Whether a value will do.
    good: fn(&str) -> bool,
    /// What happens with any other.
    otherwise: &'static str,
}

/// The settings, by what they are for.
pub fn of(side: Side) -> &'static [Setting] {
    match side {
        Side::Primary => PRIMARY,
        Side::Replica => REPLICA,
    }
}

const fn set(key: &'static str, value: &'static str, why: &'static str) -> Setting {
    Setting { key, value, why, needed: None }
}

impl Setting {
    const fn or(
        self,
        default: &'static str,
        good: fn(&str) -> bool,
        otherwise: &'static str,
    ) -> Setting {
        Setting { needed: Some(Needed { default, good, otherwise }), ..self }
    }
}

const PRIMARY: &[Setting] = &[
    set("readonly", "false", "a read-only server writes nothing").or(
        "false",
        is_off,
        "the server writes nothing, and nothing is replicated",
    ),
    set("cairo.wal.enabled.default", "true", "a table has WAL, unless it was made without").or(
        "true",
        is_on,
        "new tables have no WAL and are not replicated",
    ),
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
    )
    .or(
        "0",
        |value| value == "0",
        "the server never syncs the parts of its logs, and may lose them with its power",
    ),
    set(
        "cairo.commit.mode",
        "nosync",
        "walfs syncs what it ships; `sync` if no commit may be lost to a power failure",
    ),
];

const REPLICA: &[Setting] = &[
    set("readonly", "false", "a read-only server applies no WAL; clients are kept out below").or(
        "false",
        is_off,
        "the server applies no WAL, and nothing arrives",
    ),
    set("http.security.readonly", "true", "REST, ILP over HTTP and imports are refused").or(
        "false",
        is_on,
        "clients can write over HTTP; a table that they write into stops",
    ),
    set("http.settings.readonly", "true", "so are changes of the web console's settings"),
    set("line.tcp.enabled", "false", "no ILP over TCP").or(
        "true",
        is_off,
        "clients can write with ILP over TCP; a table that they write into stops",
    ),
    set("line.udp.enabled", "false", "no ILP over UDP").or(
        "false",
        is_off,
        "clients can write with ILP over UDP; a table that they write into stops",
    ),
    set("line.http.enabled", "false", "no ILP over HTTP"),
    set("pg.security.readonly", "false", "walfs alone may write: it nudges tables and makes them")
        .or("false", is_off, "walfs can neither nudge the server nor make tables"),
    set("pg.user", "walfs", "walfs: the option questdb_user"),
    set("pg.password", "CHANGE-ME", "walfs: the content of questdb_password_file").or(
        "quest",
        |value| !matches!(value, "quest" | "CHANGE-ME"),
        "everybody knows the password of the user who may write",
    ),
    set("pg.readonly.user.enabled", "true", "everybody else only reads"),
    set("pg.readonly.user", "reader", "everybody else"),
    set("pg.readonly.password", "CHANGE-ME-TOO", "everybody else"),
    set("cairo.mat.view.enabled", "true", "materialized views exist here").or(
        "true",
        is_on,
        "materialized views cannot be made here",
    ),
    set("mat.view.refresh.worker.count", "0", "but their rows come from the primary").or(
        "not set",
        |value| value == "0",
        "the server refreshes materialized views itself, and they stop as written into",
    ),
    set(
        "cairo.wal.apply.table.time.quota",
        "86400000",
        "one nudge applies all that is there, however long that takes",
    )
    .or(
        "1s",
        |value| millis(value).is_none_or(|quota| quota >= 60_000),
        "the server pauses for seconds where it has much to apply",
    ),
    set("cairo.file.descriptor.cache.enabled", "false", "files are looked at as they are").or(
        "true",
        is_off,
        "the server may go on reading files that were replaced",
    ),
    set("cairo.wal.inactive.writer.ttl", "1000", "what nobody uses is closed…").or(
        "120s",
        is_short,
        "renames of tables wait for minutes",
    ),
    set("cairo.idle.check.interval", "1000", "…within a second: renames wait for it").or(
        "5m",
        is_short,
        "renames of tables wait for minutes",
    ),
    set("cairo.wal.purge.interval", "30000", "keep it: it completes DROP TABLE").or(
        "30s",
        |value| millis(value).is_none_or(|interval| interval <= 3_600_000),
        "dropped tables stay",
    ),
    set("cairo.sql.copy.root", "", "no import by COPY"),
    set("cairo.sql.copy.export.root", "", "no export: it makes tables of its own"),
    set("telemetry.disable.completely", "true", "telemetry writes tables of its own"),
];

fn is_on(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

fn is_off(value: &str) -> bool {
    value.eq_ignore_ascii_case("false")
}

fn is_short(value: &str) -> bool {
    millis(value).is_none_or(|time| time <= 10_000)
}

/// A time as settings have it: a number of milliseconds, or of the unit behind it.
fn millis(value: &str) -> Option<u64> {
    let digits = value.find(|it: char| !it.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at_checked(digits)?;
    let scale = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// As lines of a `server.conf`.
pub fn lines(side: Side) -> String {
    let line = |Setting { key, value, why, .. }: &Setting| format!("# {why}\n{key}={value}\n");
    of(side).iter().map(line).collect()
}

/// What a server with this `server.conf` does to replication, a sentence each: where it is said,
/// what happens, and what to write instead.
pub fn wrong(side: Side, conf: &str) -> Vec<String> {
    let judge = |setting: &Setting| {
        let Needed { default, good, otherwise } = setting.needed?;
        let said = said(conf, setting.key);
        if good(said.map_or(default, |(_, value)| value)) {
            return None;
        }
        let Setting { key, value, .. } = setting;
        // What is said of a password is nobody's business.
        let shown = |value| if key.ends_with("password") { "…" } else { value };
        Some(match said {
            Some((line, found)) => {
                let found = shown(found);
                format!("line {line}, `{key}={found}`: {otherwise}; write `{key}={value}`")
            }
            None => {
                format!("`{key}` is {default} by default: {otherwise}; add `{key}={value}`")
            }
        })
    };
    of(side).iter().filter_map(judge).collect()
}

/// The number of the last line that says something of this key, and what it says.
fn said<'a>(conf: &'a str, key: &str) -> Option<(usize, &'a str)> {
    let value = |line: &'a str| {
        let (name, value) = line.trim().split_once(['=', ':'])?;
        (name.trim() == key).then(|| value.trim())
    };
    let lines = (1..).zip(conf.lines());
    lines.filter_map(|(number, line)| Some((number, value(line)?))).last()
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

    #[test]
    fn with_the_printed_lines_nothing_is_wrong_but_a_password_that_nobody_changed() {
        assert_eq!(wrong(Side::Primary, &lines(Side::Primary)), [""; 0]);
        let wrong = wrong(Side::Replica, &lines(Side::Replica));
        assert!(matches!(&wrong[..], [one] if one.contains("`pg.password=…`")), "{wrong:?}");
    }

    #[test]
    fn what_breaks_replication_is_told_with_its_line() {
        let good = lines(Side::Replica).replace("CHANGE-ME\n", "secret\n");
        let of = |line: &str| wrong(Side::Replica, &format!("{good}\n{line}\n"));
        let told = of(" readonly = TRUE");
        assert!(told[0].contains("`readonly=TRUE`: the server applies no WAL"), "{told:?}");
        assert!(told[0].ends_with("write `readonly=false`"), "{told:?}");
        for line in ["pg.password=quest", "cairo.idle.check.interval=5m", "line.tcp.enabled=true"] {
            assert_eq!(of(line).len(), 1, "{line}");
        }
        for line in ["# readonly=true", "cairo.wal.apply.table.time.quota=1d", "readonly.x=true"] {
            assert_eq!(of(line), [""; 0], "{line}");
        }
        assert!(wrong(Side::Replica, "").len() > 5, "a server's defaults do not do");
        assert_eq!(wrong(Side::Primary, ""), [""; 0]);
    }
}
