//! What an option is: a row of the table.

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its key, as written after `-o`.
    pub name: &'static str,
    /// What its value looks like.
    pub value: Value,
    /// What holds when it is not given.
    pub fallback: Fallback,
    /// Which mounts know it.
    pub mounts: Mounts,
    /// What it does, in one line.
    pub help: &'static str,
    /// What else is worth knowing, for the man page.
    pub more: &'static str,
}

/// What an option's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// None: to name the option is to choose it.
    Flag,
    /// A duration: `1s`, `100ms`, `2m`, `0`.
    Duration,
    /// A size in bytes: `64M`, `1GiB`.
    Size,
    /// A number.
    Count,
    /// Any word.
    Word(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// What holds when an option is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing: the option is off.
    Off,
    /// This value.
    Is(&'static str),
    /// What these words say.
    Told(&'static str),
}

/// Which mounts know an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// Both.
    All,
    /// The primary's.
    Primary,
    /// A replica's.
    Replica,
}

impl Row {
    /// The option with its value, as it is written: `interval=DURATION`, `sync`.
    pub fn usage(&self) -> String {
        match self.value {
            Value::Flag => self.name.to_owned(),
            Value::Duration => format!("{}=DURATION", self.name),
            Value::Size => format!("{}=SIZE", self.name),
            Value::Count => format!("{}=N", self.name),
            Value::Word(word) => format!("{}={word}", self.name),
            Value::Choice(words) => format!("{}={}", self.name, words.join("|")),
        }
    }

    /// What holds when it is not given, in words; empty when it is simply off.
    pub fn default_words(&self) -> &'static str {
        match self.fallback {
            Fallback::Off => "",
            Fallback::Is(words) | Fallback::Told(words) => words,
        }
    }
}
