//! What was written after `-o`, checked against the table: known names, values where values
//! belong, nothing that contradicts itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::foreign::is_foreign;
use super::options::{self as o, Fallback, Mounts, Row, TABLE, Value};
use super::{ConfigError, value};

/// How alike a word must be to a known one to be proposed in its place.
const ALIKE: f64 = 0.6;

/// The options that were given, by name.
#[derive(Clone, Debug, Default)]
pub struct Words {
    given: BTreeMap<&'static str, String>,
    store: BTreeMap<String, String>,
}

impl Words {
    /// The words of these texts, each a list separated by commas.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let mut words = Self::default();
        for word in texts.into_iter().flat_map(|text| text.split(',')) {
            words.add(word.trim())?;
        }
        words.agree()?;
        Ok(words)
    }

    fn add(&mut self, word: &str) -> Result<(), ConfigError> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if let Some(name) = name.strip_prefix(o::STORE_PREFIX) {
            let value = value.filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| needs_value(&o::STORE))?;
            self.store.insert(name.to_owned(), value.to_owned());
            return Ok(());
        }
        let Some(row) = TABLE.iter().find(|row| row.name == name) else {
            return if is_foreign(word) { Ok(()) } else { Err(unknown(name)) };
        };
        match (row.value, value) {
            (Value::Flag, Some(_)) => Err(error(row, "takes no value")),
            (Value::Flag, None) => {
                self.flag(row);
                Ok(())
            }
            (_, None | Some("")) => Err(needs_value(row)),
            (_, Some(value)) => {
                self.given.insert(row.name, value.to_owned());
                Ok(())
            }
        }
    }

    /// Of `sync` and `async` the later one wins, as everywhere in mount(8).
    fn flag(&mut self, row: &Row) {
        for (one, other) in [(&o::SYNC, &o::ASYNC), (&o::ASYNC, &o::SYNC)] {
            if row.name == one.name {
                self.given.remove(other.name);
            }
        }
        self.given.insert(row.name, String::new());
    }

    fn agree(&self) -> Result<(), ConfigError> {
        if self.has(&o::PRIMARY) && self.has(&o::REPLICA) {
            return Err(ConfigError(
                "a mount is either primary or replica: leave one of the two out".into(),
            ));
        }
        if self.has(&o::TAKEOVER) && !self.has(&o::PRIMARY) {
            return Err(error(&o::TAKEOVER, "needs primary: write primary,takeover"));
        }
        if self.has(&o::PRIMARY) && self.has(&o::READ_ONLY) {
            return Err(error(&o::READ_ONLY, "contradicts primary: a primary's mount is written"));
        }
        let (role, other) = if self.has(&o::PRIMARY) {
            (o::PRIMARY.name, Mounts::Replica)
        } else {
            (o::REPLICA.name, Mounts::Primary)
        };
        match TABLE.iter().find(|row| row.mounts == other && self.has(row)) {
            Some(row) => Err(error(row, &format!("means nothing on a {role}: leave it out"))),
            None => Ok(()),
        }
    }

    /// The settings of the store's client.
    pub fn into_store(self) -> BTreeMap<String, String> {
        self.store
    }

    /// An option that was given and is neither this one nor a setting of the store's client.
    pub fn first_besides(&self, row: &Row) -> Option<&'static str> {
        self.given.keys().copied().find(|name| *name != row.name)
    }

    /// Whether this option was given.
    pub fn has(&self, row: &Row) -> bool {
        self.given.contains_key(row.name)
    }

    /// The text of an option: what was given, else what the table says.
    pub fn word(&self, row: &Row) -> Option<String> {
        let told = match row.fallback {
            Fallback::Is(text) => Some(text.to_owned()),
            Fallback::Off | Fallback::Told(_) => None,
        };
        self.given.get(row.name).cloned().or(told)
    }

    /// The value of an option that has one in the table.
    pub fn duration(&self, row: &Row) -> Result<Duration, ConfigError> {
        value::duration(&self.word(row).unwrap_or_default()).map_err(|why| error(row, &why))
    }

    /// The value of an option, if it was given.
    pub fn given_duration(&self, row: &Row) -> Result<Option<Duration>, ConfigError> {
        self.has(row).then(|| self.duration(row)).transpose()
    }

    /// The value of an option that has one in the table, within these bounds.
    pub fn size(&self, row: &Row, bounds: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let size =
            value::size(&self.word(row).unwrap_or_default()).map_err(|why| error(row, &why))?;
        if size < *bounds.start() {
            return Err(error(row, &format!("must be at least {} bytes", bounds.start())));
        }
        if size > *bounds.end() {
            return Err(error(row, &format!("must be at most {} bytes", bounds.end())));
        }
        Ok(size)
    }

    /// The value of an option that has one in the table.
    pub fn count(&self, row: &Row) -> Result<usize, ConfigError> {
        value::count(&self.word(row).unwrap_or_default()).map_err(|why| error(row, &why))
    }

    /// The path that was given, if one was.
    pub fn absolute(&self, row: &Row) -> Result<Option<PathBuf>, ConfigError> {
        match self.word(row).map(PathBuf::from) {
            Some(path) if path.is_relative() => {
                Err(error(row, &format!("`{}` is not an absolute path", path.display())))
            }
            path => Ok(path),
        }
    }

    /// The meaning of a choice; `meanings` are in the order of the table's words.
    pub fn choice<T: Copy>(&self, row: &Row, meanings: &[T]) -> Result<T, ConfigError> {
        let text = self.word(row).unwrap_or_default();
        let Value::Choice(words) = row.value else {
            return Err(error(row, "is not a choice"));
        };
        words
            .iter()
            .zip(meanings)
            .find_map(|(word, meaning)| (*word == text).then_some(*meaning))
            .ok_or_else(|| error(row, &format!("is {}, not `{text}`", words.join(" or "))))
    }
}

fn error(row: &Row, why: &str) -> ConfigError {
    ConfigError(format!("option {}: {why}", row.name))
}

fn needs_value(row: &Row) -> ConfigError {
    error(row, &format!("needs a value: write {}", row.usage()))
}

fn unknown(name: &str) -> ConfigError {
    let alike = TABLE
        .iter()
        .map(|row| (strsim::jaro_winkler(name, row.name), row.name))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let hint = alike.map_or_else(String::new, |(_, known)| format!(" did you mean `{known}`?"));
    ConfigError(format!("unknown option `{name}`:{hint} `walfs mount --help` lists them all"))
}
