//! Whatever is done with keys: they are in no output, no log, no account of a mount, and no list of
//! processes.

use std::fs;
use std::path::Path;

use crate::bed::{Bed, Said, run, walfs};
use crate::server::{Act, Quirk, Server};

const SECRET: &str = "hunter2/of/the+store";
const TOKEN: &str = "t0ken-of-this-session";

/// Every text that somebody could read.
#[derive(Default)]
struct Texts(Vec<(String, String)>);

impl Texts {
    fn said(&mut self, verb: &str, said: &Said) {
        self.0.push((verb.to_owned(), format!("{}{}", said.out, said.err)));
    }

    fn file(&mut self, path: &Path) {
        let text = fs::read(path).unwrap_or_default();
        let name = path.display().to_string();
        self.0.push((name, String::from_utf8_lossy(&text).into_owned()));
    }

    /// The words that every process of this host was started with.
    fn processes(&mut self) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            self.file(&entry.path().join("cmdline"));
        }
    }
}

/// Runs every verb with these options, while all goes well and while nothing does.
fn use_everything(bed: &Bed, url: &str, options: &str, texts: &mut Texts) {
    let mount = |role: &str, more: &str| {
        let log = bed.text(&format!("{role}.log"));
        let options = format!("{options},log=trace,stop_timeout=2s,log_file={log},{more}");
        run(walfs().args(["mount", url, &bed.text(role), "-o", &options]))
    };
    let mounted = mount("primary", "primary,layout=generic,interval=0");
    assert_eq!(mounted.code, Some(0), "{mounted:?}");
    texts.said("mount", &mounted);
    fs::write(bed.path("primary").join("log.1"), b"some bytes").unwrap();
    bed.wait("it is shipped", || {
        run(walfs().args(["cat", url, "log.1", "-o", options])).out == "some bytes"
    });
    texts.said("mount", &mount("replica", "ro"));
    texts.processes();
    for role in ["primary", "replica"] {
        texts.file(&bed.path(role).join(".walfs/status.json"));
        texts.said("status", &run(walfs().args(["status", &bed.text(role)])));
    }
    for words in [&["status"][..], &["log"], &["ls", "-l"], &["cat"], &["doctor"]] {
        let mut command = walfs();
        command.args(words).arg(url).args(["-o", options]);
        if words[0] == "cat" {
            command.arg("log.1");
        }
        texts.said(words[0], &run(&mut command));
    }
    for role in ["replica", "primary"] {
        texts.said("umount", &run(walfs().args(["umount", &bed.text(role)])));
        texts.file(&bed.path(&format!("{role}.log")));
    }
}

#[test]
fn keys_are_in_no_log_no_output_and_no_list_of_processes() {
    let Some(bed) = Bed::for_mounts() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let mut texts = Texts::default();

    let environment = format!(
        "AWS_ACCESS_KEY_ID=walfs\nAWS_SECRET_ACCESS_KEY='{SECRET}'\nAWS_SESSION_TOKEN={TOKEN}\n\
         AWS_REGION=x\nAWS_ENDPOINT={}\n",
        server.endpoint()
    );
    fs::write(bed.path("environment"), environment).unwrap();
    let by_environment = format!("env_file={}", bed.text("environment"));
    use_everything(&bed, "s3://bucket/one", &by_environment, &mut texts);

    let bed = Bed::new();
    let keys = format!(
        "[pg]\naws_access_key_id=walfs\naws_secret_access_key={SECRET}\naws_session_token={TOKEN}\n"
    );
    fs::write(bed.path("keys"), keys).unwrap();
    let by_file = format!(
        "store.credentials_file={},store.profile=pg,store.region=x,store.endpoint={}",
        bed.text("keys"),
        server.endpoint()
    );
    use_everything(&bed, "s3://bucket/two", &by_file, &mut texts);

    server.script_gets(&[Act::Not(403), Act::Not(1403), Act::Gone, Act::HalfThenGone]);
    for quirk in [Quirk::UnknownKey, Quirk::NoBucket, Quirk::ReadOnly] {
        server.set_quirk(quirk);
        for verb in ["status", "ls", "doctor"] {
            let said = run(walfs().args([verb, "s3://bucket/two", "-o", &by_file]));
            texts.said(verb, &said);
        }
    }
    let inside = format!("s3://walfs:{SECRET}@bucket/pg");
    texts.said("ls", &run(walfs().args(["ls", &inside])));
    let option = format!("store.secret_access_key={SECRET}");
    texts.said("ls", &run(walfs().args(["ls", "s3://bucket/pg", "-o", &option])));

    assert!(texts.0.len() > 40);
    for (place, text) in &texts.0 {
        assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{place}:\n{text}");
    }
}
