//! Nodes within reach and out of it.

use std::fs::{self, File};

use super::*;

/// Five files, of which two are within reach.
fn many() -> Option<(tempfile::TempDir, Nodes, Vec<Ino>)> {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let root = OwnedFd::from(File::open(directory.path()).unwrap());
    FileHandle::of(&root)?.open(&root).ok()?;
    let nodes = Nodes::new(Arc::new(root), 2, None).unwrap();
    let remember = |number: usize| {
        let path = directory.path().join(number.to_string());
        fs::write(&path, vec![0; number]).unwrap();
        nodes.remember(File::open(path).unwrap().into()).unwrap().0.ino
    };
    let inos = (0..5).map(remember).collect();
    Some((directory, nodes, inos))
}

fn awake(nodes: &Nodes) -> usize {
    nodes.read().nodes.values().filter(|(state, _)| matches!(state, State::Awake(_))).count()
}

#[test]
fn a_file_that_is_out_of_reach_is_found_again_whatever_its_name_is_now() {
    let Some((directory, nodes, inos)) = many() else { return };
    assert!(awake(&nodes) <= 3);
    fs::rename(directory.path().join("1"), directory.path().join("other")).unwrap();
    for (size, ino) in inos.iter().enumerate() {
        let node = nodes.get(*ino).unwrap();
        assert_eq!(stat(&*node.file).unwrap().stx_size, u64::try_from(size).unwrap());
    }
    assert!(awake(&nodes) <= 3);
}

#[test]
fn what_is_in_use_stays_within_reach() {
    let Some((_directory, nodes, inos)) = many() else { return };
    let used: Vec<_> = inos.iter().map(|ino| nodes.get(*ino).unwrap()).collect();
    nodes.get(inos[0]).unwrap();
    assert_eq!(awake(&nodes), 5);
    drop(used);
}

#[test]
fn writers_are_counted_while_the_file_is_out_of_reach() {
    let Some((_directory, nodes, inos)) = many() else { return };
    let node = nodes.get(inos[0]).unwrap();
    let id = identity(&stat(&*node.file).unwrap());
    let open = Open::new(&node, libc::O_RDWR, false);
    drop(node);
    for ino in &inos {
        nodes.get(*ino).unwrap();
    }
    assert_eq!(nodes.writers(id).unwrap().writing.load(Ordering::Relaxed), 1);
    drop(open);
    assert_eq!(nodes.writers(id).unwrap().writing.load(Ordering::Relaxed), 0);
}

#[test]
fn a_number_that_is_another_files_by_now_is_that_file() {
    let Some((directory, nodes, inos)) = many() else { return };
    fs::remove_file(directory.path().join("0")).unwrap();
    for ino in &inos[1..] {
        nodes.get(*ino).unwrap();
    }
    assert!(nodes.get(inos[0]).is_err(), "it is gone, and nobody kept it");
}
