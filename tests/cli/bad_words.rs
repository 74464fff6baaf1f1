//! Words that make no sense: nothing is touched, and the sentence says what to write instead.

use crate::bed::{Bed, call};

#[test]
fn an_unknown_option_is_refused_with_the_nearest_known_one() {
    let bed = Bed::new();
    let (url, dir) = (bed.url(), bed.text("primary"));
    let mount = |options: &str| call(&["mount", &url, &dir, "-o", options]);
    mount("primary,intervall=1s").failed(2, &["`intervall`", "did you mean `interval`"]);
    mount("primary,ro").failed(2, &["option ro", "contradicts primary"]);
    mount("takeover").failed(2, &["primary,takeover"]);
    mount("primary,replica").failed(2, &["either primary or replica"]);
    mount("interval=1s").failed(2, &["interval", "replica"]);
    mount("primary,interval=1 fortnight").failed(2, &["100ms"]);
    mount("primary,layout=oracle").failed(2, &["`oracle`", "postgres"]);
    mount("log=loudly=loud=x").failed(2, &["option log"]);
    assert!(!bed.path("store/volume").join("volume").exists(), "nothing was made");
}

#[test]
fn an_unusable_url_is_refused_with_a_usable_one() {
    let bed = Bed::new();
    let dir = bed.text("replica");
    for (url, words) in [
        ("nonsense", ["not a URL", "s3://bucket"]),
        ("ftp://host/x", ["ftp://", "s3://"]),
        ("https://host/x", ["https://", "s3://"]),
        ("s3:///x", ["no bucket", "s3://bucket"]),
        ("s3://key:secret@bucket/x", ["credentials", "remove"]),
        ("file://relative/x", ["absolute", "file:///"]),
    ] {
        call(&["mount", url, &dir, "-f"]).failed(2, &words);
        call(&["status", if url.contains("://") { url } else { "x://y" }]).failed(2, &[]);
    }
    assert!(!call(&["ls", "s3://key:hunter2@bucket/x"]).err.contains("hunter2"));
}

#[test]
fn wrong_words_and_asked_for_help_have_their_codes() {
    assert_eq!(call(&[]).code, Some(2));
    assert_eq!(call(&["no-such-verb"]).code, Some(2));
    assert_eq!(call(&["mount"]).code, Some(2));
    assert_eq!(call(&["umount", "/", "--timeout", "soon"]).code, Some(2));
    let help = call(&["mount", "--help"]).well();
    assert!(help.contains("backlog_full=shout|block") && help.contains("x-systemd"), "{help}");
    let help = call(&["--help"]).well();
    assert!(help.contains("Exit codes:") && help.contains("another node is primary"), "{help}");
}

#[test]
fn options_of_mounts_are_refused_where_nothing_is_mounted() {
    call(&["ls", "file:///tmp/x", "-o", "primary"]).failed(2, &["primary", "store.NAME"]);
    let bed = Bed::new();
    let secrets = bed.path("secrets");
    std::fs::write(&secrets, "AWS_REGION=x\nhunter2\n").unwrap();
    let option = format!("env_file={}", secrets.display());
    let said = call(&["ls", &bed.url(), "-o", &option]);
    assert!(!said.err.contains("hunter2"), "{said:?}");
    said.failed(2, &["line 2", "NAME=value"]);
    let option = format!("env_file={}/none", bed.text("store"));
    call(&["ls", &bed.url(), "-o", &option]).failed(1, &["env_file", "No such file"]);
}

#[test]
fn what_is_not_there_is_named() {
    let bed = Bed::new();
    let url = bed.url();
    call(&["status", &url]).failed(1, &["no volume yet", "primary first"]);
    call(&["log", &url]).failed(1, &["no volume yet"]);
    call(&["cat", &url, "x"]).failed(1, &["no volume yet"]);
    assert!(!bed.path("store/volume").exists(), "looking makes nothing");
    call(&["status", &bed.text("none")]).failed(1, &["none", "No such file"]);
    call(&["status", &bed.text("replica")]).failed(1, &["not a walfs mount"]);
    call(&["umount", &bed.text("replica")]).failed(1, &["not mounted"]);
    call(&["umount", &bed.text("none")]).failed(1, &["no such directory"]);
    call(&["umount", "/proc"]).failed(1, &["type proc", "use umount"]);
}
