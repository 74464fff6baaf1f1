//! The binary: see [`walfs::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    walfs::cli::main()
}
