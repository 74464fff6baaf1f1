//! What is made from the command line's own definition: man pages, completions, the README's
//! section of options. Hidden verbs, for whoever installs or writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::config::render;

use super::Cli;
use super::failure::{EXIT_CODES, Failure};
use super::output::print;

/// Write the man pages into a directory
#[derive(Debug, Args)]
pub struct ManPages {
    /// Gets man1 and man8
    dir: PathBuf,
}

/// Print a shell's completions
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

/// Print the mount options as a Markdown table
#[derive(Debug, Args)]
pub struct Options {}

impl ManPages {
    /// Writes.
    pub fn run(self) -> Result<(), Failure> {
        let dir = self.dir.display().to_string();
        self.write().map_err(|error| Failure::error(format!("{dir}: {error}")))
    }

    fn write(&self) -> io::Result<()> {
        let (one, eight) = (self.dir.join("man1"), self.dir.join("man8"));
        fs::create_dir_all(&one)?;
        fs::create_dir_all(&eight)?;
        let mut command = Cli::command();
        command.build();
        write_page(&one, &command, &["walfs-mount"])?;
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            write_page(&one, verb, &["walfs"])?;
        }
        fs::write(eight.join("mount.walfs.8"), mount_helper_page())
    }
}

impl Completions {
    /// Prints.
    pub fn run(self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "walfs", &mut text);
        print(&String::from_utf8_lossy(&text))
    }
}

impl Options {
    /// Prints.
    pub fn run(self) -> Result<(), Failure> {
        print(&(render::markdown() + "\n"))
    }
}

fn write_page(dir: &Path, command: &clap::Command, see_also: &[&str]) -> io::Result<()> {
    let page = command.clone().after_help("").after_long_help("");
    let name = page.get_display_name().unwrap_or(page.get_name()).to_owned();
    let man = Man::new(page).title(name.to_uppercase()).manual("walfs");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    text.extend(synopsis(command).into_bytes());
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if name == "walfs-mount" {
        text.extend(render::roff().into_bytes());
    }
    text.extend(exit_codes().into_bytes());
    text.extend(format!(".SH \"SEE ALSO\"\n{}\n", references(see_also)).into_bytes());
    fs::write(dir.join(format!("{name}.1")), text)
}

fn synopsis(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    format!(".SH SYNOPSIS\n{}\n", render::roff_escape(usage))
}

fn references(pages: &[&str]) -> String {
    let pages = pages.iter().map(|page| format!("\\fB{}\\fR(1)", render::roff_escape(page)));
    pages.chain(["\\fBmount.walfs\\fR(8)".to_owned()]).collect::<Vec<_>>().join(", ")
}

fn exit_codes() -> String {
    let mut text = String::from(".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\nit is done\n");
    for (exit, meaning) in EXIT_CODES {
        text.push_str(".TP\n\\fB");
        text.push_str(&exit.code().to_string());
        text.push_str("\\fR\n");
        text.push_str(&render::roff_escape(meaning));
        text.push('\n');
    }
    text
}

fn mount_helper_page() -> String {
    let head = r#".TH MOUNT.WALFS 8 "" "" walfs
.SH NAME
mount.walfs \- mount a walfs volume
.SH SYNOPSIS
\fBmount \-t walfs\fR [\fB\-o\fR \fIoptions\fR] \fIurl\fR \fIdirectory\fR
.SH DESCRIPTION
Is run by \fBmount\fR(8) for file systems of type walfs, and runs \fBwalfs mount\fR. Under the name
umount.fuse.walfs it is run by \fBumount\fR(8), and runs \fBwalfs umount\fR, which waits until
everything is in the store and says what is not.
.PP
A line of \fI/etc/fstab\fR for a PostgreSQL primary and one for a standby:
.PP
.nf
s3://bucket/pg /var/lib/postgresql/15/main/pg_wal walfs primary,_netdev,nofail 0 0
s3://bucket/pg /var/lib/postgresql/15/main/pg_wal walfs _netdev,nofail 0 0
.fi
"#;
    let tail = ".SH \"SEE ALSO\"\n\\fBwalfs\\-mount\\fR(1), \\fBfstab\\fR(5), \\fBmount\\fR(8)\n";
    format!("{head}{}{}{tail}", render::roff(), exit_codes())
}
