//! Objects and cached files lose a bit or their end. Wrong bytes are never shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::Cluster;
use crate::compare::segments;
use crate::ground::files_beneath;
use crate::load;
use crate::node::Node;
use crate::world::World;

/// What the primary has: names and whole contents.
type Truth = BTreeMap<String, Vec<u8>>;

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 2] = [("flip", flip), ("truncate", truncate)];

/// A volume of some sealed segments, whose primary keeps all of them and is gone.
fn volume(world: &World) -> Truth {
    let mut primary = Cluster::create(world, "primary", &["--wal-segsize=1"]);
    primary.configure("wal_keep_size = 1GB");
    let mut mount = Node::mount(world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    load::bench(&primary, 2);
    assert!(primary.stop());
    mount.unmount();
    let names = segments(&primary.wal());
    let read = |name: &String| fs::read(primary.wal().join(name)).expect("the files are plain");
    names.iter().map(|name| (name.clone(), read(name))).collect()
}

/// Reads everything; how many reads failed, and that no other one lied.
fn failures(directory: &Path, truth: &Truth) -> usize {
    let mut failed = 0;
    let names = segments(directory);
    for name in &names {
        match fs::read(directory.join(name)) {
            Ok(bytes) => {
                let expected = truth.get(name).expect("the primary had this segment");
                assert!(prefix_and_zeros(&bytes, expected), "{name} shows wrong bytes");
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EIO), "{name}: {error}");
                failed += 1;
            }
        }
    }
    failed
}

/// What is shown is what the primary had, or zeros past a block where the log ended.
fn prefix_and_zeros(shown: &[u8], had: &[u8]) -> bool {
    let same = shown.iter().zip(had).take_while(|(shown, had)| shown == had).count();
    shown.len() == had.len()
        && shown.get(same..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("an object is a file");
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x10;
    }
    fs::write(path, bytes).expect("an object is a file");
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).expect("an object is a file");
    fs::write(path, bytes.get(..bytes.len() * 2 / 3).unwrap_or_default())
        .expect("an object is a file");
}

fn view_in(world: &World, name: &str) -> PathBuf {
    let directory = world.path(name);
    fs::create_dir_all(&directory).expect("a temporary directory takes a mount point");
    directory
}

#[test]
fn a_damaged_body_is_an_error_until_it_is_whole_again() {
    let Some(world) = World::new() else { return };
    let truth = volume(&world);
    let bodies = world.objects("segments");
    let body = bodies.get(bodies.len() / 2).expect("the volume has sealed segments");
    let whole = fs::read(body).expect("an object is a file");
    for (name, damage) in DAMAGES {
        damage(body);
        let directory = view_in(&world, name);
        let mut view = Node::mount(&world, &directory, "ro,store_timeout=3s");
        assert!(failures(&directory, &truth) > 0, "{name}: somebody reads the damaged body");
        let object = body.file_name().and_then(|name| name.to_str()).expect("it has a name");
        assert!(view.said().contains(object), "the log names the object:\n{}", view.said());
        fs::write(body, &whole).expect("an object is a file");
        assert_eq!(failures(&directory, &truth), 0, "{name}: healed without a remount");
        view.unmount();
    }
}

#[test]
fn a_damaged_link_is_never_believed() {
    let Some(world) = World::new() else { return };
    let truth = volume(&world);
    let links = world.objects("log");
    let link = links.get(links.len() / 2).expect("the volume has links");
    let whole = fs::read(link).expect("an object is a file");
    for (name, damage) in DAMAGES {
        damage(link);
        let directory = view_in(&world, name);
        match Node::try_mount(&world, &directory, "ro,store_timeout=3s") {
            Err(words) => assert!(words.contains("log/"), "it names the object: {words}"),
            Ok(mut view) => {
                failures(&directory, &truth);
                view.unmount();
            }
        }
        fs::write(link, &whole).expect("an object is a file");
        let mut view = Node::mount(&world, &directory, "ro");
        assert_eq!(failures(&directory, &truth), 0);
        view.unmount();
    }
}

#[test]
fn a_damaged_cache_heals() {
    let Some(world) = World::new() else { return };
    let truth = volume(&world);
    let directory = view_in(&world, "view");
    let cache = world.path("cache");
    let options = format!("ro,cache={}", cache.display());
    let mut view = Node::mount(&world, &directory, &options);
    assert_eq!(failures(&directory, &truth), 0);
    for (_, damage) in DAMAGES {
        view.unmount();
        let mut cached = Vec::new();
        files_beneath(&cache, &mut cached);
        assert!(!cached.is_empty(), "the cache survives the mount");
        for file in &cached {
            damage(file);
        }
        view.remount();
        assert_eq!(failures(&directory, &truth), 0);
    }
}
