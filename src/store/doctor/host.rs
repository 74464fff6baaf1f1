//! What a directory is on: its file system, how a network one is mounted, whether it links and
//! syncs; and a name node's promise not to rename over a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Finding;
use super::probe::Probe;
use crate::mounts::{self, Mount};
use crate::store::connect::Beyond;
use crate::store::hdfs::Hdfs;
use crate::store::retry::in_time;

const LINKS: &str = "links and syncs";
const MOUNT: &str = "file system";

/// What there is to say of the store beneath the objects.
pub(super) async fn beneath(probe: &Probe) -> Vec<Finding> {
    match &probe.beyond {
        Beyond::Directory(path) => {
            let path = path.clone();
            let looked = tokio::task::spawn_blocking(move || directory(&path));
            let looked = in_time(probe.limit, async { Ok(looked.await?) }).await;
            looked.unwrap_or_else(|error| vec![Finding::warning(MOUNT, format!("{error}"))])
        }
        Beyond::NameNode(files) => vec![rename(probe, files).await],
        Beyond::Bucket(_) | Beyond::Generations | Beyond::Nothing => Vec::new(),
    }
}

/// Takes away the folder that the objects were in, where folders stay when objects go.
pub(super) async fn tidy(probe: &Probe) {
    match &probe.beyond {
        Beyond::Directory(path) => {
            let folder = path.join(probe.folder.as_ref());
            // What cannot be removed holds an object, and that was told.
            let removed = tokio::task::spawn_blocking(move || remove_empty(&folder));
            in_time(probe.limit, async { Ok(removed.await?) }).await.ok();
        }
        Beyond::NameNode(files) => {
            // An empty folder that stays does no harm.
            in_time(probe.limit, files.remove_empty(&probe.folder)).await.ok();
        }
        Beyond::Bucket(_) | Beyond::Generations | Beyond::Nothing => {}
    }
}

fn remove_empty(folder: &Path) {
    let below = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    below.filter(|it| it.path().is_dir()).for_each(|it| remove_empty(&it.path()));
    fs::remove_dir(folder).ok();
}

fn directory(path: &Path) -> Vec<Finding> {
    let on = match path.canonicalize().and_then(|path| mounts::below(&path)) {
        Ok(Some(mount)) => judge(&mount),
        Ok(None) => Finding::warning(MOUNT, "not known: the table of mounts does not name it"),
        Err(error) => Finding::warning(MOUNT, format!("not known: {error}")),
    };
    vec![on, links(path)]
}

/// Links a file twice: the second time must fail, and the link count tell.
fn links(path: &Path) -> Finding {
    use std::os::unix::fs::MetadataExt as _;
    let names: [PathBuf; 2] =
        ["a", "b"].map(|end| path.join(format!(".doctor-{}-{end}", std::process::id())));
    let [one, other] = &names;
    let tried = || -> io::Result<Finding> {
        let mut file = File::create_new(one)?;
        file.write_all(b"doctor")?;
        file.sync_all()?;
        fs::hard_link(one, other)?;
        let again = fs::hard_link(one, other);
        File::open(path)?.sync_all()?;
        let count = fs::metadata(one)?.nlink();
        Ok(match again {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && count == 2 => {
                Finding::good(LINKS, "files are linked once per name, and synced with their folder")
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Finding::no_primary(
                LINKS,
                format!(
                    "a file with two names says that it has {count}: a primary could not tell \
                         its own writes; use a file system with link counts"
                ),
            ),
            again => Finding::no_primary(
                LINKS,
                format!(
                    "a name that is taken can be linked ({again:?}): two primaries would \
                         destroy each other's log; use another file system"
                ),
            ),
        })
    };
    let found = tried().unwrap_or_else(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Finding::no_primary(LINKS, format!("{}: {error}", path.display()))
        }
        _ => Finding::no_primary(
            LINKS,
            format!("{}: {error}: the file system must link and sync", path.display()),
        ),
    });
    for name in &names {
        // What was not made need not be removed.
        fs::remove_file(name).ok();
    }
    found
}

fn judge(mount: &Mount) -> Finding {
    let Mount { point, kind, options, .. } = mount;
    let point = point.display();
    let has = |option: &str| options.iter().any(|it| it == option);
    match kind.as_str() {
        "nfs" | "nfs4" => {
            let soft = has("soft") || has("softerr");
            // Without these a client remembers for up to a minute that a name was not there.
            let remembers =
                !(has("noac") || has("lookupcache=none") || has("lookupcache=positive"));
            match (soft, remembers) {
                (true, _) => Finding::warning(
                    MOUNT,
                    format!(
                        "{point} is NFS, mounted soft: a write that timed out may be lost; \
                             mount it with hard"
                    ),
                ),
                (_, true) => Finding::warning(
                    MOUNT,
                    format!(
                        "{point} is NFS whose client remembers what was missing: replicas are \
                             late by up to acdirmax (60 s); mount it with lookupcache=positive"
                    ),
                ),
                _ => Finding::good(MOUNT, format!("{point} is NFS, mounted as it should be")),
            }
        }
        "tmpfs" | "ramfs" => Finding::warning(
            MOUNT,
            format!("{point} is {kind}, in memory: what is there is gone after a restart"),
        ),
        "cifs" | "smb3" | "9p" | "ceph" | "glusterfs" | "lustre" | "afs" | "vboxsf" => {
            Finding::warning(
                MOUNT,
                format!("{point} is {kind}, a network file system on which walfs was not tested"),
            )
        }
        kind if kind.starts_with("fuse") => Finding::warning(
            MOUNT,
            format!(
                "{point} is {kind}: whether it syncs, and sees other hosts' files at once, \
                     depends on its daemon; of buckets use s3:// or the like directly"
            ),
        ),
        _ => Finding::good(MOUNT, format!("{point} is {kind}")),
    }
}

/// A create is a rename there: it must not replace.
async fn rename(probe: &Probe, files: &Hdfs) -> Finding {
    const CHECK: &str = "rename";
    for name in ["rename-1", "rename-2"] {
        if let Err(error) = probe.create(name, Bytes::from_static(b"x")).await {
            return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
        }
    }
    let (one, other) = (probe.path("rename-1"), probe.path("rename-2"));
    match in_time(probe.limit, files.rename_is_refused(&one, &other)).await {
        Ok(true) => Finding::good(CHECK, "does not replace a file"),
        Ok(false) => {
            Finding::unfit(CHECK, "replaces a file: two primaries would destroy each other's log")
        }
        Err(error) => Finding::warning(CHECK, format!("not known: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn told(kind: &str, options: &str) -> Finding {
        let options = options.split(',').map(str::to_owned).collect();
        judge(&Mount { point: "/srv".into(), kind: kind.into(), source: String::new(), options })
    }

    #[test]
    fn a_file_system_is_judged_by_its_kind_and_how_it_is_mounted() {
        for (kind, options, verdict, words) in [
            ("ext4", "rw,relatime", Verdict::Good, "ext4"),
            ("nfs4", "rw,vers=4.2,hard,lookupcache=positive", Verdict::Good, "as it should"),
            ("nfs", "rw,soft", Verdict::Warning, "soft"),
            ("nfs4", "rw,hard", Verdict::Warning, "lookupcache=positive"),
            ("fuse.s3fs", "rw", Verdict::Warning, "s3://"),
            ("tmpfs", "rw", Verdict::Warning, "memory"),
        ] {
            let found = told(kind, options);
            assert!(found.verdict == verdict && found.detail.contains(words), "{kind}: {found:?}");
        }
    }

    #[test]
    fn links_are_tried_and_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(links(directory.path()).verdict, Verdict::Good);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let gone = links(Path::new("/proc"));
        assert_eq!(gone.verdict, Verdict::NoPrimary, "{}", gone.detail);
    }
}
