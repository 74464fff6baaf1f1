//! The command line: one file per verb, arguments in, one library call, words out. The only part
//! that reads the environment, the host's clock and its randomness.
//!
//! Exit codes: see [`failure::EXIT_CODES`].

pub mod cat;
pub mod clock;
pub mod cost;
pub mod doctor;
pub mod environment;
pub mod failure;
pub mod log;
pub mod logging;
pub mod ls;
pub mod mount;
pub mod output;
pub mod pages;
pub mod reach;
pub mod settings;
pub mod status;
pub mod umount;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// A filesystem for database write-ahead logs
///
/// The WAL of a primary, in an object store, on every replica.
#[derive(Debug, Parser)]
#[command(name = "walfs", version, disable_help_subcommand = true, after_long_help = exit_codes())]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Mount(mount::Mount),
    Umount(umount::Umount),
    Status(status::Status),
    Log(log::Log),
    Ls(ls::Ls),
    Cat(cat::Cat),
    Doctor(doctor::Doctor),
    #[command(name = "config")]
    Settings(settings::Settings),
    #[command(hide = true)]
    ManPages(pages::ManPages),
    #[command(hide = true)]
    Completions(pages::Completions),
    #[command(hide = true)]
    Options(pages::Options),
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    match Cli::parse().verb.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            if let Some(message) = message {
                eprintln!("walfs: {message}");
            }
            ExitCode::from(code)
        }
    }
}

impl Verb {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Mount(verb) => verb.run(),
            Self::Umount(verb) => verb.run(),
            Self::Status(verb) => verb.run(),
            Self::Log(verb) => verb.run(),
            Self::Ls(verb) => verb.run(),
            Self::Cat(verb) => verb.run(),
            Self::Doctor(verb) => verb.run(),
            Self::Settings(verb) => verb.run(),
            Self::ManPages(verb) => verb.run(),
            Self::Completions(verb) => verb.run(),
            Self::Options(verb) => verb.run(),
        }
    }
}

/// The exit codes as `--help` shows them.
fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n  0  it is done");
    for (exit, meaning) in failure::EXIT_CODES {
        let _ = write!(text, "\n  {}  {meaning}", exit.code());
    }
    text
}
