//! The table of mount options: the only place where an option is defined. The parser, `--help`,
//! the man page and the README's section are all made from it.

pub use super::row::{Fallback, Mounts, Row, Value};

/// This mount is the primary.
pub const PRIMARY: Row = Row {
    name: "primary",
    value: Value::Flag,
    fallback: Fallback::Off,
    mounts: Mounts::All,
    help: "this node writes the volume: what the database writes here is shipped",
    more: "The volume is created if the store has none. A node that was not the last primary is \
           refused: see takeover.",
};

/// This mount is a replica.
pub const REPLICA: Row = Row {
    name: "replica",
    value: Value::Flag,
    fallback: Fallback::Told("on, unless primary"),
    mounts: Mounts::All,
    help: "this node shows what the primary wrote, fetched from the store when it is read",
    more: "Files of the volume come from the store; every other file is the local directory's.",
};

/// Become the primary in another one's place.
pub const TAKEOVER: Row = Row {
    name: "takeover",
    value: Value::Flag,
    fallback: Fallback::Off,
    mounts: Mounts::Primary,
    help: "become the primary even if another node was: that node can never write again",
    more: "Writes a fence, fetches what this node's disk lacks, and begins a new epoch. Do not \
           leave it in fstab: at the next boot it would depose whoever is primary then.",
};

/// No local files beneath the view.
pub const READ_ONLY: Row = Row {
    name: "ro",
    value: Value::Flag,
    fallback: Fallback::Off,
    mounts: Mounts::Replica,
    help: "show the volume's files only, and refuse every change",
    more: "Without it, a replica's own files (those that the layout calls local) live in the \
           directory beneath the mount, as a standby server needs it.",
};

/// What the files mean.
pub const LAYOUT: Row = Row {
    name: "layout",
    value: Value::Word("NAME"),
    fallback: Fallback::Told("the volume's, else recognised"),
    mounts: Mounts::All,
    help: "what the files mean: postgres, questdb or generic",
    more: "Stored in the volume when it is created; afterwards it need not be given, and must \
           agree if it is.",
};

/// How long changes gather.
pub const INTERVAL: Row = Row {
    name: "interval",
    value: Value::Duration,
    fallback: Fallback::Is("1s"),
    mounts: Mounts::Primary,
    help: "ship this long after a change; 0: as soon as the database has synced it",
    more: "The data at risk in async mode, and what an upload per interval costs, follow from it.",
};

/// The lag to keep.
pub const MAX_LAG: Row = Row {
    name: "max_lag",
    value: Value::Duration,
    fallback: Fallback::Off,
    mounts: Mounts::All,
    help: "keep the lag from commit to replica below this: set it on the primary and replicas",
    more: "Of the lag three quarters are the primary's, whose interval it shortens by what puts \
           take, and one quarter the replica's, whose poll and poll_max it shortens by what gets \
           take: a replica cannot make up for a slow primary. What cannot be met is logged and \
           shown by status.",
};

/// The money to keep to.
pub const BUDGET: Row = Row {
    name: "budget",
    value: Value::Word("DOLLARS"),
    fallback: Fallback::Off,
    mounts: Mounts::All,
    help: "what this mount's requests may cost a month, in US dollars: fewer are made",
    more: "Lengthens interval, or poll and poll_max, so that even data that flows all the time \
           stays within it, up to a minute. Counted by the hour, at the prices that `walfs \
           doctor` uses. Stronger than max_lag. Bodies of segments, reads, and the commits of \
           `sync` cannot wait for it: what they exceed is logged and shown by status.",
};

/// What requests cost.
pub const PRICES: Row = Row {
    name: "prices",
    value: Value::Word("FILE"),
    fallback: Fallback::Told("list prices"),
    mounts: Mounts::All,
    help: "what requests cost here: a JSON file like src/store/doctor/prices.json",
    more: "",
};

/// How much one batch carries.
pub const BATCH_MAX: Row = Row {
    name: "batch_max",
    value: Value::Size,
    fallback: Fallback::Is("4MiB"),
    mounts: Mounts::Primary,
    help: "ship at once when this much has gathered",
    more: "",
};

/// The bound of the backlog.
pub const BACKLOG_MAX: Row = Row {
    name: "backlog_max",
    value: Value::Size,
    fallback: Fallback::Is("16GiB"),
    mounts: Mounts::Primary,
    help: "how much may wait on the local disk while the store is away",
    more: "",
};

/// What happens beyond that bound.
pub const BACKLOG_FULL: Row = Row {
    name: "backlog_full",
    value: Value::Choice(&["shout", "block"]),
    fallback: Fallback::Is("shout"),
    mounts: Mounts::Primary,
    help: "beyond backlog_max: warn and go on, or block the database until there is room",
    more: "Nothing is ever dropped: `shout` lets the backlog grow on.",
};

/// `fsync` waits for the store.
pub const SYNC: Row = Row {
    name: "sync",
    value: Value::Flag,
    fallback: Fallback::Off,
    mounts: Mounts::Primary,
    help: "fsync returns when the bytes are in the store: nothing committed can be lost",
    more: "A commit then costs a round trip to the store, and waits while the store is away.",
};

/// `fsync` waits for the local disk only.
pub const ASYNC: Row = Row {
    name: "async",
    value: Value::Flag,
    fallback: Fallback::Told("on, unless sync"),
    mounts: Mounts::Primary,
    help: "fsync returns when the bytes are on the local disk; they are shipped right after",
    more: "",
};

/// Where I/O is done.
pub const PASSTHROUGH: Row = Row {
    name: "passthrough",
    value: Value::Choice(&["auto", "on", "off"]),
    fallback: Fallback::Is("auto"),
    mounts: Mounts::All,
    help: "let the kernel read and write the local files itself: auto, on (insist) or off",
    more: "Needs Linux 6.9 and CAP_SYS_ADMIN. With `auto`, the same mount works through the \
           daemon where the kernel cannot, and says so once.",
};

/// Where a replica's cache is.
pub const CACHE: Row = Row {
    name: "cache",
    value: Value::Word("DIR"),
    fallback: Fallback::Told(".walfs/cache beneath the mount"),
    mounts: Mounts::Replica,
    help: "where fetched segments are kept; survives restarts",
    more: "An absolute path. One directory serves one mount.",
};

/// How large a replica's cache may grow.
pub const CACHE_SIZE: Row = Row {
    name: "cache_size",
    value: Value::Size,
    fallback: Fallback::Is("1GiB"),
    mounts: Mounts::Replica,
    help: "how much disk the cache may use; the least recently used goes first",
    more: "",
};

/// How long a reader waits for the store.
pub const STORE_TIMEOUT: Row = Row {
    name: "store_timeout",
    value: Value::Duration,
    fallback: Fallback::Is("30s"),
    mounts: Mounts::Replica,
    help: "how long a read waits while the store is away, before it fails with EIO",
    more: "",
};

/// The fastest polling.
pub const POLL: Row = Row {
    name: "poll",
    value: Value::Duration,
    fallback: Fallback::Told("3ms for file://, else 100ms"),
    mounts: Mounts::Replica,
    help: "how often to look for the next batch while data flows",
    more: "Each look is one GET.",
};

/// The slowest polling.
pub const POLL_MAX: Row = Row {
    name: "poll_max",
    value: Value::Duration,
    fallback: Fallback::Is("5s"),
    mounts: Mounts::Replica,
    help: "how often to look for the next batch when nothing happens",
    more: "",
};

/// How far ahead of a reader to fetch.
pub const READ_AHEAD: Row = Row {
    name: "read_ahead",
    value: Value::Count,
    fallback: Fallback::Is("2"),
    mounts: Mounts::Replica,
    help: "how many segments to fetch ahead of a sequential reader",
    more: "",
};

/// The database that takes in what is shown.
pub const DATABASE: Row = Row {
    name: "database",
    value: Value::Word("DIR"),
    fallback: Fallback::Off,
    mounts: Mounts::Replica,
    help: "the db directory of a QuestDB server on this host that takes in what is shown",
    more: "The mount itself then only shows the volume's files. Without questdb= the server \
           takes in what it finds when it starts.",
};

/// Where that database's server listens.
pub const QUESTDB: Row = Row {
    name: "questdb",
    value: Value::Word("HOST:PORT"),
    fallback: Fallback::Off,
    mounts: Mounts::All,
    help: "where QuestDB's server on this host listens for the PostgreSQL protocol",
    more: "On a replica, so that the server takes in at once: needs questdb_password_file, and a \
           user who may write, see `walfs config questdb --role replica`. On a primary, so that \
           replicas are told its version: any user will do.",
};

/// As whom to speak to it.
pub const QUESTDB_USER: Row = Row {
    name: "questdb_user",
    value: Value::Word("NAME"),
    fallback: Fallback::Is("admin"),
    mounts: Mounts::All,
    help: "the user as whom to speak to that server",
    more: "",
};

/// Where that user's password is.
pub const QUESTDB_PASSWORD_FILE: Row = Row {
    name: "questdb_password_file",
    value: Value::Word("FILE"),
    fallback: Fallback::Off,
    mounts: Mounts::All,
    help: "the file that holds that user's password, readable by root only",
    more: "",
};

/// What people call this node.
pub const NODE: Row = Row {
    name: "node",
    value: Value::Word("NAME"),
    fallback: Fallback::Told("the host's name"),
    mounts: Mounts::All,
    help: "what people call this node: other nodes show it when this one is primary",
    more: "A node is recognised by an id kept beside its files, never by this name.",
};

/// A setting of the store's client.
pub const STORE: Row = Row {
    name: "store.NAME",
    value: Value::Word("VALUE"),
    fallback: Fallback::Told("the cloud's environment"),
    mounts: Mounts::All,
    help: "a setting of the store's client, such as store.endpoint or store.region",
    more: "Never a secret: credentials come from the cloud's usual environment variables, from \
           env_file, or from the instance's or workload's identity.",
};

/// Where the cloud's variables are.
pub const ENV_FILE: Row = Row {
    name: "env_file",
    value: Value::Word("FILE"),
    fallback: Fallback::Off,
    mounts: Mounts::All,
    help: "take the cloud's environment variables from this file of NAME=value lines",
    more: "For fstab, whose mounts are started by nobody's shell: put AWS_ACCESS_KEY_ID and \
           AWS_SECRET_ACCESS_KEY there, readable by root only.",
};

/// What the name of such a setting begins with.
pub const STORE_PREFIX: &str = "store.";

/// How long a stop may take.
pub const STOP_TIMEOUT: Row = Row {
    name: "stop_timeout",
    value: Value::Duration,
    fallback: Fallback::Is("30s"),
    mounts: Mounts::All,
    help: "how long to go on shipping after the unmount before giving up",
    more: "What could not be shipped stays on the local disk, is reported, and is shipped by the \
           next mount as primary.",
};

/// How much is logged.
pub const LOG: Row = Row {
    name: "log",
    value: Value::Word("LEVEL"),
    fallback: Fallback::Is("info"),
    mounts: Mounts::All,
    help: "how much to log: error, warn, info, debug or trace",
    more: "A filter such as `info:walfs[follower]=debug` is taken from WALFS_LOG, which wins.",
};

/// Where the log goes.
pub const LOG_FILE: Row = Row {
    name: "log_file",
    value: Value::Word("FILE"),
    fallback: Fallback::Told("the journal, else /var/log/walfs.log"),
    mounts: Mounts::All,
    help: "append the log to this file once the mount is ready",
    more: "In the foreground (-f), and where stderr is a file, the log stays on stderr.",
};

/// Every option, in the order in which they are shown.
pub const TABLE: &[&Row] = &[
    &PRIMARY,
    &REPLICA,
    &TAKEOVER,
    &READ_ONLY,
    &LAYOUT,
    &INTERVAL,
    &MAX_LAG,
    &BUDGET,
    &PRICES,
    &BATCH_MAX,
    &BACKLOG_MAX,
    &BACKLOG_FULL,
    &SYNC,
    &ASYNC,
    &CACHE,
    &CACHE_SIZE,
    &STORE_TIMEOUT,
    &POLL,
    &POLL_MAX,
    &READ_AHEAD,
    &DATABASE,
    &QUESTDB,
    &QUESTDB_USER,
    &QUESTDB_PASSWORD_FILE,
    &PASSTHROUGH,
    &NODE,
    &STORE,
    &ENV_FILE,
    &STOP_TIMEOUT,
    &LOG,
    &LOG_FILE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_named_once() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn every_option_is_explained_in_one_line() {
        for row in TABLE {
            assert!(row.help.len() <= 90 && !row.help.ends_with('.'), "{}", row.name);
        }
    }
}
