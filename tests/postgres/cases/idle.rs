//! What costs nothing: a volume that nobody writes.

use std::thread::sleep;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::catch_up;
use crate::load;
use crate::node::Node;
use crate::world::World;

#[test]
fn an_idle_volume_asks_next_to_nothing_of_the_store() {
    let Some(world) = World::new() else { return };
    let mut primary = Cluster::create(&world, "primary", &[]);
    let mount = Node::mount(&world, &primary.wal(), "primary,layout=postgres,interval=0");
    primary.start();
    load::prepare(&primary);
    let mut standby = primary.base_backup(&world, "standby");
    let view = Node::mount(&world, &standby.wal(), "replica");
    standby.start();
    catch_up(&primary, &standby);
    // PostgreSQL itself writes a snapshot record up to 15 s after the last change, and a replica
    // hurries less and less for 40 s.
    sleep(Duration::from_secs(60));

    let count = |node: &Node, kinds: &[&str]| -> u64 {
        kinds.iter().map(|kind| node.number(&format!("/requests/{kind}"))).sum()
    };
    let writes = ["create", "put", "list", "delete"];
    let reads = ["get", "get_miss", "list"];
    let (shipped, asked) = (count(&mount, &writes), count(&view, &reads));
    assert!(shipped > 0 && asked > 0, "the status counts requests");
    sleep(Duration::from_secs(20));
    assert_eq!(count(&mount, &writes), shipped, "the primary sends nothing");
    let asked = count(&view, &reads) - asked;
    assert!(asked <= 5, "one request per 5 s at most: {asked} in 20 s");
}
