//! Credentials from a file, for mounts that no shell of anybody's starts: its lines become the
//! environment of this program, started anew. Says nothing of what they contain.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::failure::{Exit, Failure};

/// Names the file whose lines are in the environment already.
const ADOPTED: &str = "WALFS_ENV_FILE";

/// Goes on with what this file says in the environment. Returns at once if it is there already,
/// else only with an error: this program begins again.
pub fn adopt(file: &Path) -> Result<(), Failure> {
    if env::var_os(ADOPTED).is_some_and(|adopted| adopted == file) {
        return Ok(());
    }
    let failed = |why: String| Failure::error(format!("env_file {}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let variables =
        parse(&text).map_err(|why| Failure { code: Exit::Usage.code(), ..failed(why) })?;
    let program = env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut again = Command::new(program);
    again.args(env::args_os().skip(1)).envs(variables).env(ADOPTED, file);
    Err(failed(again.exec().to_string()))
}

/// These settings of a store, and which file of keys the environment names, where no keys are in
/// the environment itself: `AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, else the usual place.
pub fn usual(url: &str, settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut settings = settings;
    let set = |name: &str| env::var_os(name).is_some();
    let other_keys =
        ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"].map(set);
    let decided = settings.contains_key("skip_signature") || url.contains("skip_signature");
    let named = settings.contains_key("credentials_file") || url.contains("credentials_file=");
    if !url.starts_with("s3:") || decided || named || other_keys.contains(&true) {
        return settings;
    }
    let text = |name: &str| env::var_os(name).and_then(|value| value.into_string().ok());
    let at_home = || Some(format!("{}/.aws/credentials", text("HOME")?));
    let file = text("AWS_SHARED_CREDENTIALS_FILE").or_else(at_home);
    if let Some(file) = file.filter(|file| Path::new(file).is_file()) {
        settings.insert("credentials_file".to_owned(), file);
        if let Some(profile) = text("AWS_PROFILE") {
            settings.entry("profile".to_owned()).or_insert(profile);
        }
    }
    settings
}

/// Lines of `NAME=value`, as systemd's `EnvironmentFile=` and shells have them: the value perhaps in
/// quotes, `export` perhaps before it, `#` before a comment.
fn parse(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| parse_line(line).ok_or_else(|| bad(number))).collect()
}

fn parse_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(good) || value.contains('\0') {
        return None;
    }
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote).and_then(|value| value.strip_suffix(*quote)));
    Some((name, unquoted.unwrap_or(value)))
}

fn bad(number: usize) -> String {
    format!("line {} is not NAME=value", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_variables() {
        let text = "# keys\nA=1\n\nexport B_2=\"x y\"\n C = 'z' \nD=a=b\nE=\n";
        let expected = [("A", "1"), ("B_2", "x y"), ("C", "z"), ("D", "a=b"), ("E", "")];
        assert_eq!(parse(text), Ok(expected.to_vec()));
    }

    #[test]
    fn a_bad_line_is_named_and_not_repeated() {
        let error = parse("A=1\nhunter2\n").unwrap_err();
        assert_eq!(error, "line 2 is not NAME=value");
        assert!(parse("A B=1").is_err() && parse("=1").is_err());
    }
}
