//! What a directory is on: its file system, how a network one is mounted, whether it links and
//! syncs; and a name node's promise not to rename over a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Finding;
use super::probe::Probe;
use crate::store::connect::Beyond;

const LINKS: &str = "links and syncs";
const MOUNT: &str = "file system";

/// What there is to say of the store beneath the objects.
pub(super) async fn beneath(probe: &Probe) -> Vec<Finding> {
    match &probe.beyond {
        Beyond::Directory(path) => {
            let path = path.clone();
            let looked = tokio::task::spawn_blocking(move || directory(&path)).await;
            looked.unwrap_or_else(|error| vec![Finding::warning(MOUNT, format!("{error}"))])
        }
        Beyond::NameNode(_) => vec![rename(probe).await],
        Beyond::Bucket(_) | Beyond::Generations | Beyond::Nothing => Vec::new(),
    }
}

/// Takes away the folder that the objects were in, where folders stay when objects go.
pub(super) async fn tidy(probe: &Probe) {
    match &probe.beyond {
        Beyond::Directory(path) => {
            let folder = path.join(probe.folder.as_ref());
            // What cannot be removed holds an object, and that was told.
            tokio::task::spawn_blocking(move || remove_empty(&folder)).await.ok();
        }
        Beyond::NameNode(files) => files.remove_empty(&probe.folder).await,
        Beyond::Bucket(_) | Beyond::Generations | Beyond::Nothing => {}
    }
}

fn remove_empty(folder: &Path) {
    let below = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    below.filter(|it| it.path().is_dir()).for_each(|it| remove_empty(&it.path()));
    fs::remove_dir(folder).ok();
}

fn directory(path: &Path) -> Vec<Finding> {
    let mounts = fs::read_to_string("/proc/mounts");
    let on = mounts.map(|mounts| match mount_of(&mounts, path) {
        Some(mount) => judge(&mount),
        None => Finding::warning(MOUNT, "not known: /proc/mounts does not name it"),
    });
    vec![
        on.unwrap_or_else(|error| Finding::warning(MOUNT, format!("not known: {error}"))),
        links(path),
    ]
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

/// A line of `/proc/mounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: String,
    kind: String,
    options: Vec<String>,
}

/// The mount that this path is on: of those above it the deepest, and of these the last.
fn mount_of(mounts: &str, path: &Path) -> Option<Mount> {
    let parse = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let point = words.next()?.replace("\\040", " ");
        let kind = words.next()?.to_owned();
        let options = words.next()?.split(',').map(str::to_owned).collect();
        Some(Mount { point, kind, options })
    };
    let above = mounts.lines().filter_map(parse).filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.len())
}

fn judge(mount: &Mount) -> Finding {
    let Mount { point, kind, options } = mount;
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
async fn rename(probe: &Probe) -> Finding {
    const CHECK: &str = "rename";
    let Beyond::NameNode(files) = &probe.beyond else {
        return Finding::good(CHECK, "not checked: only for hdfs://");
    };
    for name in ["rename-1", "rename-2"] {
        if let Err(error) = probe.create(name, Bytes::from_static(b"x")).await {
            return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
        }
    }
    let (one, other) = (probe.path("rename-1"), probe.path("rename-2"));
    match files.rename_is_refused(&one, &other).await {
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

    const MOUNTS: &str = "/dev/vda / ext4 rw,relatime 0 0\n\
        server:/x /srv/nfs nfs4 rw,vers=4.2,hard,lookupcache=positive 0 0\n\
        server:/y /srv/nfs/with\\040space nfs rw,soft 0 0\n\
        server:/z /srv/plain nfs4 rw,hard 0 0\n\
        s3fs /srv/bucket fuse.s3fs rw 0 0\n\
        tmpfs /run tmpfs rw 0 0\n";

    fn told(path: &str) -> Finding {
        judge(&mount_of(MOUNTS, Path::new(path)).unwrap())
    }

    #[test]
    fn a_file_system_is_judged_by_its_kind_and_how_it_is_mounted() {
        for (path, verdict, words) in [
            ("/srv/other", Verdict::Good, "ext4"),
            ("/srv/nfs/pg", Verdict::Good, "as it should"),
            ("/srv/nfs/with space/pg", Verdict::Warning, "soft"),
            ("/srv/plain", Verdict::Warning, "lookupcache=positive"),
            ("/srv/bucket/pg", Verdict::Warning, "s3://"),
            ("/run/pg", Verdict::Warning, "memory"),
        ] {
            let found = told(path);
            assert!(found.verdict == verdict && found.detail.contains(words), "{path}: {found:?}");
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
