//! What does not replicate, and what went wrong, is told by name.

use std::time::Duration;

use crate::cases::follow::{rows, table};
use crate::compare::{equal, names};
use crate::ground::wait_until;
use crate::node::Node;
use crate::pair::pair;
use crate::pg::as_user;
use crate::server::AGENT;
use crate::world::World;

fn tells(node: &Node, words: &[&str]) {
    let what = format!("the status tells {words:?}");
    wait_until(&what, Duration::from_secs(30), || {
        let told = node.status().to_string();
        words.iter().all(|word| told.contains(word))
    });
}

#[test]
fn tables_without_a_wal_are_listed_at_both_ends() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let source = primary.client();
    source.query(
        "CREATE TABLE plain (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL",
    );
    table(source, "one");
    equal(source, replica.client());
    tells(&primary.mount, &["plain"]);
    tells(&replica.view, &["plain"]);
    assert_eq!(names(replica.client()), ["one"]);
}

#[test]
fn a_replica_that_drifted_stops_with_its_table_alone() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    for name in ["one", "two"] {
        table(source, name);
    }
    equal(source, target);
    // The agent itself may write, and here somebody used its password.
    let drift = ["INSERT INTO one (ts, n) VALUES (1704067200000000, 666)"];
    let answers = as_user(target, AGENT, &drift).expect("the agent is let in");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    rows(source, "one", 10);
    rows(source, "two", 10);
    wait_until("the other table goes on", Duration::from_secs(30), || {
        target.number("SELECT count() FROM two") == 110
    });
    tells(&replica.view, &["one"]);
    assert_eq!(target.number("SELECT count() FROM one"), 101, "nothing is built upon the drift");
}
