//! One writer: which step comes next, and its words.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

use rand::RngExt;
use rand::rngs::StdRng;

use super::values::{EVERY_TYPE, random, retypes};
use crate::client::{Client, Row, word};

/// Draws steps and takes them.
#[derive(Debug)]
pub(crate) struct Writer {
    client: Client,
    random: StdRng,
    number: u64,
    /// How many names it has used: names are used again.
    names: u64,
    kinds: Kinds,
}

/// Which steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    All,
    /// Those that only add rows to tables that are there.
    Rows,
}

/// Those of the numbers that steps are drawn by which add rows to a table.
const ROWS: Range<i32> = 60..550;

/// What was tried, and what came of it.
type Step = (&'static str, Result<(), String>);

/// The first moment of all rows, in microseconds: past, so that no wall clock drops a partition.
const BEGIN: i64 = 1_704_067_200_000_000;
/// How far they reach.
const SPAN: i64 = 5 * 86_400_000_000;

impl Writer {
    pub(crate) fn new(client: Client, random: StdRng, number: u64, kinds: Kinds) -> Writer {
        Writer { client, random, number, names: 0, kinds }
    }

    pub(crate) fn step(&mut self) -> Step {
        let table = self.some_table();
        let kind = match self.kinds {
            Kinds::Rows => ROWS.start + self.below(ROWS.end - ROWS.start),
            Kinds::All => self.below(1000),
        };
        match (kind, table) {
            (0..=59, _) | (_, None) => ("create", self.create()),
            (60..=429, Some(table)) => ("insert", self.insert(&table)),
            (430..=549, Some(table)) => ("line over http", self.lines(&table)),
            (550..=589, _) => ("line over tcp", self.lines_over_tcp()),
            (590..=669, Some(table)) => ("update", self.update(&table)),
            (670..=689, Some(table)) => ("truncate", self.run(format!("TRUNCATE TABLE '{table}'"))),
            (690..=719, Some(table)) => ("drop partition", self.drop_partition(&table)),
            (720..=779, Some(table)) => ("add column", self.add_column(&table)),
            (780..=809, Some(table)) => ("drop column", self.drop_column(&table)),
            (810..=839, Some(table)) => ("rename column", self.rename_column(&table)),
            (840..=869, Some(table)) => ("retype column", self.retype_column(&table)),
            (870..=909, Some(table)) => ("symbol setting", self.symbol_setting(&table)),
            (910..=929, Some(table)) => ("table setting", self.table_setting(&table)),
            (930..=949, Some(table)) => ("dedup", self.dedup(&table)),
            (950..=964, Some(table)) => ("rename table", self.rename(&table)),
            (965..=979, Some(table)) => ("drop table", self.run(format!("DROP TABLE '{table}'"))),
            (980..=989, Some(table)) => ("create view", self.create_view(&table)),
            (990.., Some(_)) => ("drop view", self.drop_view()),
            (i32::MIN..0, _) => unreachable!("numbers are drawn from 0 on"),
        }
    }

    fn below(&mut self, bound: i32) -> i32 {
        self.random.random_range(0..bound)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() {
            return None;
        }
        of.get(self.random.random_range(0..of.len())).copied()
    }

    fn run(&self, text: impl AsRef<str>) -> Result<(), String> {
        let text = text.as_ref();
        self.client.sql(text).map(drop).map_err(|error| format!("{text}: {error}"))
    }

    fn words(&self, question: &str) -> Vec<String> {
        let rows = self.client.sql(question).unwrap_or_default();
        rows.iter().filter_map(|row| row.first()).map(word).collect()
    }

    /// Any table. None: there is none yet, or so few that one should be made.
    fn some_table(&mut self) -> Option<String> {
        let tables = self
            .words("SELECT table_name FROM tables() WHERE walEnabled AND NOT matView AND table_name <> 'ledger'
             ORDER BY 1");
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        if tables.len() < 3 { None } else { self.one(&tables).map(str::to_owned) }
    }

    /// The columns of a table, its designated timestamp apart: name and type.
    fn columns(&self, table: &str) -> Result<Columns, String> {
        let rows = self.client.sql(&format!("SHOW COLUMNS FROM '{table}'"))?;
        let text = |row: &Row, at: usize| row.get(at).map(word).unwrap_or_default();
        let all: Vec<Column> = rows
            .iter()
            .map(|row| Column {
                name: text(row, 0),
                kind: text(row, 1),
                key: text(row, 8) == "true",
            })
            .collect();
        let is_time = |row: &&Row| text(row, 7) == "true";
        let time = rows.iter().find(is_time).map(|row| (text(row, 0), text(row, 1)));
        let (time, kind) = time.ok_or("the table does not exist any more")?;
        let rest = all.into_iter().filter(|column| column.name != time).collect();
        Ok(Columns { time, nanoseconds: kind == "TIMESTAMP_NS", rest })
    }

    fn fresh_name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}_{}", self.number, self.names % 4)
    }

    fn create(&mut self) -> Result<(), String> {
        let name = self.fresh_name(if self.number == 1 { "täble " } else { "table" });
        let mut columns = String::new();
        let all = self.below(3) == 0;
        for kind in EVERY_TYPE {
            if all || self.below(4) == 0 {
                let setting = match (*kind, self.below(4)) {
                    ("SYMBOL", 0) => " CAPACITY 16 NOCACHE",
                    ("SYMBOL", 1) => " CAPACITY 1024 CACHE INDEX CAPACITY 32",
                    _ => "",
                };
                write!(columns, ", c_{} {kind}{setting}", as_name(kind))
                    .expect("a string takes more");
            }
        }
        let time = self.one(&["TIMESTAMP", "TIMESTAMP", "TIMESTAMP_NS"]).unwrap_or("TIMESTAMP");
        let by = self.one(&["HOUR", "DAY", "DAY", "WEEK", "MONTH"]).unwrap_or("DAY");
        let with = self.one(&["", "", " WITH maxUncommittedRows=1000, o3MaxLag=2s"]).unwrap_or("");
        let keys = self.one(&["", "", " DEDUP UPSERT KEYS(ts, tag)"]).unwrap_or("");
        self.run(format!(
            "CREATE TABLE '{name}' (ts {time}, tag SYMBOL, n LONG, d DOUBLE{columns}) \
             TIMESTAMP(ts) PARTITION BY {by} WAL{with}{keys}"
        ))
    }

    /// Rows of every column, in no order of time.
    fn insert(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        let begin = BEGIN + i64::from(self.below(1000)) * (SPAN / 1000);
        let span = self.one(&[1_000_000_i64, 3_600_000_000, 86_400_000_000]).unwrap_or(1);
        let moment = format!("{begin} + rnd_long(0, {span}, 0)");
        let moment = if columns.nanoseconds {
            format!("cast(({moment}) * 1000 as timestamp_ns)")
        } else {
            format!("cast({moment} as timestamp)")
        };
        let (mut names, mut values) = (format!("\"{}\"", columns.time), moment);
        for Column { name, kind, .. } in &columns.rest {
            // Some rows lack some columns.
            if self.below(8) > 0 {
                write!(names, ", \"{name}\"").expect("a string takes more");
                write!(values, ", {}", random(kind)).expect("a string takes more");
            }
        }
        let rows = self.one(&[1, 10, 100, 1000]).unwrap_or(1);
        self.run(format!(
            "INSERT INTO '{table}' ({names}) SELECT {values} FROM long_sequence({rows})"
        ))
    }

    /// A batch in the line protocol, for a table that is there or for one that it makes.
    fn lines(&mut self, table: &str) -> Result<(), String> {
        let makes = self.kinds != Kinds::Rows && self.below(4) == 0;
        let name = if makes { self.fresh_name("lines") } else { table.to_owned() };
        let text = self.batch(&name);
        self.client.write(&text)
    }

    fn lines_over_tcp(&mut self) -> Result<(), String> {
        let name = self.fresh_name("stream");
        let text = self.batch(&name);
        let mut stream = self.client.line().map_err(|error| error.to_string())?;
        stream.write_all(text.as_bytes()).map_err(|error| error.to_string())
    }

    fn batch(&mut self, table: &str) -> String {
        let mut text = String::new();
        let table = table.replace(' ', "\\ ");
        for _ in 0..=self.below(200) {
            let moment = BEGIN + self.random.random_range(0..SPAN);
            let (tag, n) = (self.below(20), self.below(1000));
            // The line over TCP counts in nanoseconds, and the one over HTTP says so.
            writeln!(
                text,
                "{table},tag=line{tag} n={n}i,d={n}.5,said=\"word {n}\",yes=t {moment}000"
            )
            .expect("a string takes more");
        }
        text
    }

    fn update(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        // An UPDATE of a LONG256 is taken, and suspends the table when it is applied.
        let Some(column) = self.column(&columns, |column| !column.key && column.kind != "LONG256")
        else {
            return Ok(());
        };
        // Another writer may have put another column in its place by now, and a text that is no
        // number suspends the table when it is applied: text only where none but texts can be.
        let text = matches!(column.kind.as_str(), "STRING" | "VARCHAR" | "SYMBOL");
        let value = if self.below(3) == 0 || (text && !names_a_text(&column.name)) {
            "null".to_owned()
        } else {
            random(&column.kind)
        };
        // Where an UPDATE with a WHERE meets a text, a binary or an array that is younger than the
        // rows, 9.3.4 fills the others with what its memory holds, or ends. These two are never of
        // such a type.
        let conditions: &[&str] = match column.name.as_str() {
            "n" | "d" => &["", " WHERE n > 0", " WHERE d < 100"],
            _ => &[""],
        };
        let where_ = self.one(conditions).unwrap_or("");
        self.run(format!("UPDATE '{table}' SET \"{}\" = {value}{where_}", column.name))
    }

    fn drop_partition(&mut self, table: &str) -> Result<(), String> {
        let names = self.words(&format!("SELECT name FROM table_partitions('{table}')"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some(name) = self.one(&names) else { return Ok(()) };
        self.run(format!("ALTER TABLE '{table}' DROP PARTITION LIST '{name}'"))
    }

    fn add_column(&mut self, table: &str) -> Result<(), String> {
        let kind = self.one(EVERY_TYPE).unwrap_or("LONG");
        let name = format!("{}_{}", self.fresh_name("added"), as_name(kind));
        self.run(format!("ALTER TABLE '{table}' ADD COLUMN \"{name}\" {kind}"))
    }

    fn drop_column(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        // A key may be dropped, and made again: then 9.3.4 takes other rows for the same, depending
        // on how many commits it applies together.
        let Some(column) = self.column(&columns, |column| !column.key && column.name != "tag")
        else {
            return Ok(());
        };
        self.run(format!("ALTER TABLE '{table}' DROP COLUMN \"{}\"", column.name))
    }

    fn rename_column(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        let Some(column) = self.column(&columns, |_| true) else { return Ok(()) };
        let first = column.name.rsplit('_').next().unwrap_or("ts");
        let name = format!("{}_{first}", self.fresh_name("renamed"));
        self.run(format!("ALTER TABLE '{table}' RENAME COLUMN \"{}\" TO \"{name}\"", column.name))
    }

    fn retype_column(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        // What an UPDATE compares with a number must stay one.
        let compared = |column: &Column| ["n", "d"].contains(&column.name.as_str());
        let free =
            |column: &Column| !column.key && !compared(column) && !retypes(&column.kind).is_empty();
        let Some(column) = self.column(&columns, free) else { return Ok(()) };
        let kind = self.one(retypes(&column.kind)).unwrap_or("VARCHAR");
        self.run(format!("ALTER TABLE '{table}' ALTER COLUMN \"{}\" TYPE {kind}", column.name))
    }

    fn symbol_setting(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        let Some(column) = self.column(&columns, |column| column.kind == "SYMBOL") else {
            return Ok(());
        };
        let settings = [
            "CACHE",
            "NOCACHE",
            "SYMBOL CAPACITY 4096",
            "ADD INDEX",
            "DROP INDEX",
            "SYMBOL CAPACITY 512",
        ];
        let setting = self.one(&settings).unwrap_or("CACHE");
        self.run(format!("ALTER TABLE '{table}' ALTER COLUMN \"{}\" {setting}", column.name))
    }

    fn table_setting(&mut self, table: &str) -> Result<(), String> {
        let settings = [
            "SET TTL 3 DAYS",
            "SET TTL 2 WEEKS",
            "SET TTL 0 HOURS",
            "SQUASH PARTITIONS",
            "SET PARAM maxUncommittedRows = 5000",
            "SET PARAM o3MaxLag = 3s",
        ];
        let setting = self.one(&settings).unwrap_or("SQUASH PARTITIONS");
        self.run(format!("ALTER TABLE '{table}' {setting}"))
    }

    fn dedup(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        let time = &columns.time;
        let setting = match self.column(&columns, |column| column.name == "tag") {
            Some(column) if self.below(2) == 0 => {
                format!("ENABLE UPSERT KEYS(\"{time}\", \"{}\")", column.name)
            }
            _ if self.below(3) == 0 => format!("ENABLE UPSERT KEYS(\"{time}\")"),
            _ => "DISABLE".to_owned(),
        };
        self.run(format!("ALTER TABLE '{table}' DEDUP {setting}"))
    }

    fn rename(&mut self, table: &str) -> Result<(), String> {
        let name = self.fresh_name("moved");
        self.run(format!("RENAME TABLE '{table}' TO '{name}'"))
    }

    fn create_view(&mut self, table: &str) -> Result<(), String> {
        let columns = self.columns(table)?;
        let name = self.fresh_name("view");
        self.run(format!(
            "CREATE MATERIALIZED VIEW '{name}' WITH BASE '{table}' AS (SELECT \"{}\", count() c, \
             sum(n) total FROM '{table}' SAMPLE BY 1h) PARTITION BY DAY",
            columns.time
        ))
    }

    fn drop_view(&mut self) -> Result<(), String> {
        let names = self.words("SELECT view_name FROM materialized_views() ORDER BY 1");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some(name) = self.one(&names) else { return Ok(()) };
        self.run(format!("DROP MATERIALIZED VIEW '{name}'"))
    }

    fn column(&mut self, of: &Columns, which: impl Fn(&Column) -> bool) -> Option<Column> {
        let fitting: Vec<&Column> = of.rest.iter().filter(|column| which(column)).collect();
        self.one(&fitting).cloned()
    }
}

/// A type as the end of a column's name. It stays the end of the name when the column is renamed,
/// and names the first type when the column is given another.
fn as_name(kind: &str) -> String {
    let kind = kind.replace("[]", "s").to_lowercase();
    kind.chars().filter(|sign| sign.is_alphanumeric()).collect()
}

/// Whether columns of this name are texts, whoever made them.
fn names_a_text(name: &str) -> bool {
    ["string", "varchar", "symbol", "tag", "said"].iter().any(|text| name.ends_with(text))
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: String,
    /// Whether rows with equal values of it replace each other.
    key: bool,
}

#[derive(Debug)]
struct Columns {
    /// The designated timestamp.
    time: String,
    nanoseconds: bool,
    rest: Vec<Column>,
}
