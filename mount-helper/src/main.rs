//! What mount(8) runs for `mount -t walfs`, and umount(8), under the name `umount.fuse.walfs`, for
//! what was mounted so. Translates their words into `walfs mount` and `walfs umount`, and becomes
//! that program. Knows no option of walfs's: those are checked there.

mod call;

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use call::Call;

/// As mount(8) counts: wrong words or no permission.
const USAGE: u8 = 1;
/// As mount(8) counts: the system failed.
const SYSTEM: u8 = 2;

fn main() -> ExitCode {
    let mut words = env::args_os();
    let name = words.next().map(PathBuf::from);
    let name = name.as_deref().and_then(|path| path.file_name()).unwrap_or_default().to_owned();
    let call = match Call::parse(&name, words) {
        Ok(call) => call,
        Err(error) => {
            eprintln!("{}: {error}", name.display());
            return ExitCode::from(USAGE);
        }
    };
    let walfs = walfs();
    if call.verbose {
        let words = call.words.iter().map(|word| word.to_string_lossy());
        eprintln!("{} {}", walfs.display(), words.collect::<Vec<_>>().join(" "));
    }
    if call.fake {
        return ExitCode::SUCCESS;
    }
    let error = Command::new(&walfs).args(&call.words).exec();
    eprintln!("{}: cannot run {}: {error}", name.display(), walfs.display());
    ExitCode::from(SYSTEM)
}

/// Where it was installed: beside this program, or in the `bin` beside its folder; else whatever
/// the path finds.
fn walfs() -> PathBuf {
    let own = env::current_exe().unwrap_or_default();
    let beside = own.with_file_name("walfs");
    let in_bin = own.parent().and_then(|folder| folder.parent()).map(|up| up.join("bin/walfs"));
    [Some(beside), in_bin]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .unwrap_or("walfs".into())
}
