//! `.walfs`: found, not listed, not touched.

use std::fs::File;
use std::io::ErrorKind;

use walfs::fuse::status::Status;

use crate::world::both;

#[test]
fn the_mount_tells_how_it_is() {
    both(|world| {
        let text = std::fs::read(world.path(".walfs/status.json")).unwrap();
        let status: Status = serde_json::from_slice(&text).unwrap();
        assert_eq!((status.role.as_str(), status.pid), ("primary", std::process::id()));
        assert_eq!(std::fs::read(world.path(".walfs/role")).unwrap(), b"primary\n");
        let names: Vec<_> = std::fs::read_dir(world.path(".walfs")).unwrap().collect();
        assert_eq!(names.len(), status.files().len());
        assert!(world.path(".walfs/role").metadata().unwrap().permissions().readonly());
        assert_eq!(world.path(".walfs/none").metadata().unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn it_is_not_listed_and_hides_the_real_one() {
    both(|world| {
        std::fs::create_dir(world.beneath(".walfs")).unwrap();
        std::fs::write(world.beneath(".walfs/node.json"), b"{}").unwrap();
        drop(world.file("a", b"x"));
        let names: Vec<_> = std::fs::read_dir(world.path("")).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert!(!world.path(".walfs/node.json").exists());
        std::fs::create_dir(world.path("d")).unwrap();
        std::fs::create_dir(world.path("d/.walfs")).unwrap();
        assert_eq!(std::fs::read_dir(world.path("d")).unwrap().count(), 1);
    });
}

#[test]
fn nobody_makes_moves_or_removes_it() {
    both(|world| {
        let (place, file) = (world.path(".walfs"), world.path("a"));
        drop(world.file("a", b"x"));
        let refused = |result: std::io::Result<()>| {
            let kind = result.unwrap_err().kind();
            assert!(
                matches!(
                    kind,
                    ErrorKind::PermissionDenied
                        | ErrorKind::ReadOnlyFilesystem
                        | ErrorKind::AlreadyExists
                ),
                "{kind:?}"
            );
        };
        refused(std::fs::create_dir(&place));
        refused(std::fs::remove_dir(&place));
        refused(std::fs::rename(&place, world.path("b")));
        refused(std::fs::rename(world.path(".walfs/role"), world.path("b")));
        refused(std::fs::rename(&file, world.path(".walfs/role")));
        refused(std::fs::hard_link(&file, world.path(".walfs/link")));
        refused(std::fs::remove_file(world.path(".walfs/role")));
        refused(File::create(world.path(".walfs/new")).map(drop));
        refused(File::options().write(true).open(world.path(".walfs/role")).map(drop));
        assert!(file.exists());
    });
}
