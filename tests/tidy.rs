//! The house keeps its order: who may use whom, where each thing is spelt, how long a file may
//! get, and that the README says what is true. Reads sources as text; how long a function may get
//! is clippy's to watch (`too_many_lines`).

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::path::{Path, PathBuf};

/// Which folders of `src` each of them may use. What is not named here may use everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("volume", &[]),
    ("layout", &["volume"]),
    ("store", &["volume"]),
    ("fuse", &["volume"]),
    ("server", &[]),
    ("primary", &["fuse", "layout", "server", "store", "volume"]),
    ("replica", &["fuse", "layout", "server", "store", "volume"]),
    ("config", &["fuse", "primary", "replica", "server"]),
];

/// Words, and the only places where they may stand. Of a place, every file below it counts.
const HOMES: &[(&str, &[&str])] = &[
    ("fuser::", &["src/fuse/adapter"]),
    ("object_store::", &["src/store", "src/replica/lab.rs", "src/primary/lab"]),
    ("object_store::aws", &["src/store/connect/"]),
    ("object_store::azure", &["src/store/connect/clouds.rs"]),
    ("object_store::gcp", &["src/store/connect/clouds.rs"]),
    ("hdfs_native", &["src/store/hdfs.rs"]),
    ("std::env", &["src/cli", "mount-helper"]),
    ("env::var", &["src/cli"]),
    ("Timestamp::now", &["src/cli/clock.rs"]),
    ("rand::random", &["src/cli"]),
    ("make_rng", &["src/cli"]),
    ("println!", &[]),
    ("eprintln!", &["src/cli/mod.rs", "mount-helper"]),
    ("\"segments/", &["src/volume/keys.rs"]),
    ("\"checkpoints/", &["src/volume/keys.rs"]),
];

/// What the model and the layouts know nothing of.
const PURE: &[&str] = &["std::fs", "std::net", "tokio", "async fn", "Instant::now", "std::thread"];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "manager", "inner", "misc", "types"];

const LINES_MAX: usize = 400;
/// Tests beside the code are shorter than it, and never longer than so many lines…
const TESTS_BESIDE_MAX: usize = 102;
/// …but so many are never too many.
const TESTS_BESIDE_FREE: usize = 64;

#[derive(Debug)]
struct Source {
    /// From the repository's root.
    path: String,
    text: String,
}

impl Source {
    /// The product's lines: comments and the tests at the end left out.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// The modules for tests only that it declares, as the beginnings of their paths.
    fn test_modules(&self) -> Vec<String> {
        let path = self.path.trim_end_matches("mod.rs").trim_end_matches(".rs");
        let path = path.trim_end_matches('/');
        let after = self.text.split("#[cfg(test)]\n").skip(1);
        let names = after.filter_map(|text| text.lines().next()?.strip_suffix(';'));
        names.filter_map(|line| Some(format!("{path}/{}", line.split("mod ").nth(1)?))).collect()
    }

    fn folder(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(folder, _)| folder)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut todo: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            todo.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().display().to_string();
            found.push(Source { path, text });
        }
    }
    assert!(found.len() > 3, "sources of {folders:?} are found");
    found
}

/// All that is not for tests only.
fn product() -> Vec<Source> {
    let all = sources(&["src", "mount-helper/src"]);
    let tests: Vec<String> = all.iter().flat_map(Source::test_modules).collect();
    let is_test = |path: &str| {
        let rest = tests.iter().find_map(|test| path.strip_prefix(test.as_str()));
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    all.into_iter().filter(|source| !is_test(&source.path)).collect()
}

/// Fails with all that is wrong at once.
fn nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn arrows_point_down() {
    let folders: Vec<&str> = ARROWS.iter().map(|(folder, _)| *folder).chain(["cli"]).collect();
    let mut wrong = Vec::new();
    for source in product() {
        let arrows = ARROWS.iter().find(|(folder, _)| source.folder() == Some(*folder));
        let Some((own, below)) = arrows else { continue };
        for folder in folders.iter().filter(|folder| *folder != own && !below.contains(folder)) {
            let named = format!("crate::{folder}");
            let bad = source.code().filter(|line| line.contains(&named));
            wrong.extend(bad.map(|line| format!("{}: no arrow: {line}", source.path)));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn each_thing_has_one_home() {
    let mut wrong = Vec::new();
    for source in product() {
        for (word, homes) in HOMES {
            if homes.iter().any(|home| source.path.starts_with(home)) {
                continue;
            }
            // `eprintln!` is not `println!`.
            let stray = |line: &&str| {
                line.match_indices(word).any(|(at, _)| !line[..at].ends_with(char::is_alphabetic))
            };
            let bad = source.code().filter(stray);
            wrong
                .extend(bad.map(|line| format!("{}: not the home of {word}: {line}", source.path)));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn model_and_layouts_are_pure() {
    let mut wrong = Vec::new();
    for source in product() {
        if matches!(source.folder(), Some("volume" | "layout")) {
            let impure = |line: &&str| PURE.iter().any(|word| line.contains(word));
            let bad = source.code().filter(impure);
            wrong.extend(bad.map(|line| format!("{}: not pure: {line}", source.path)));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_file_has_one_idea_that_fits_in_the_head() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources(&["src", "mount-helper/src", "tests"]) {
        let lines = text.lines().count();
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        if lines > LINES_MAX {
            wrong.push(format!("{path}: {lines} lines"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{path}: does not open with its purpose"));
        }
        if EMPTY_NAMES.contains(&name) {
            wrong.push(format!("{path}: a name that says nothing"));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn tests_beside_the_code_are_few() {
    let mut wrong = Vec::new();
    for Source { path, text } in product() {
        if let Some(at) = text.find("#[cfg(test)]\nmod tests {") {
            let (code, tests) = (text[..at].lines().count(), text[at..].lines().count());
            if tests > TESTS_BESIDE_MAX || tests > code.max(TESTS_BESIDE_FREE) {
                wrong.push(format!("{path}: {tests} lines of tests, {code} of code"));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn the_readme_shows_the_table_of_options_as_it_is() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let table = walfs::config::render::markdown();
    assert!(readme.contains(&table), "paste the output of `walfs options` between its markers");
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let tests: String = sources(&["src", "tests"]).into_iter().map(|source| source.text).collect();
    let promises = readme.lines().filter(|line| line.starts_with("| **"));
    let mut named = 0;
    for name in promises.flat_map(|line| line.rsplit(" | ").next().unwrap().split('`')) {
        if name.contains('_') {
            named += 1;
            assert!(tests.contains(&format!("fn {name}(")), "README names the test {name}");
        }
    }
    assert!(named >= 8, "each promise names its test");
}

#[test]
fn every_folder_stands_in_the_map() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for (folder, _) in ARROWS {
        assert!(map.contains(&format!("pub mod {folder};")), "{folder} stands in src/lib.rs");
    }
}
