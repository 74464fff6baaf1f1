//! With the settings that walfs asks for, no client of a replica writes.

use std::io::Write;

use crate::cases::follow::table;
use crate::client::Client;
use crate::compare::{catch_up, equal, names};
use crate::pair::pair;
use crate::pg::as_user;
use crate::server::READER;
use crate::world::World;

/// Statements that would change a replica, each of which works on a primary.
const CHANGES: &[&str] = &[
    "INSERT INTO one (ts, n) VALUES (1704067200000000, 1)",
    "UPDATE one SET n = 1",
    "TRUNCATE TABLE one",
    "ALTER TABLE one ADD COLUMN more INT",
    "ALTER TABLE one DROP COLUMN n",
    "ALTER TABLE one DROP PARTITION LIST '2024-01-01'",
    "ALTER TABLE one SET TTL 1 DAYS",
    "ALTER TABLE one RESUME WAL",
    "RENAME TABLE one TO three",
    "DROP TABLE one",
    "CREATE TABLE three (ts TIMESTAMP) TIMESTAMP(ts) PARTITION BY DAY WAL",
    "CREATE TABLE three AS (SELECT * FROM one)",
    "CREATE MATERIALIZED VIEW three AS (SELECT ts, count() c FROM one SAMPLE BY 1d)",
    "CREATE VIEW three AS (SELECT * FROM one)",
    "VACUUM TABLE one",
    "CHECKPOINT CREATE",
];

/// An import of a file, as a browser sends it: the status and the body of the answer.
fn import(client: Client, query: &str) -> Result<(u16, String), String> {
    let rows = "ts,tag,n\r\n2024-01-01T00:00:00.000000Z,x,1\r\n";
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"data\"; filename=\"rows.csv\"\r\n\r\n{rows}\r\n\
         --x--\r\n"
    );
    let head = format!(
        "POST /imp?name={query}&fmt=json HTTP/1.1\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n"
    );
    client.exchange(&head, &body).map_err(|error| error.to_string())
}

fn is_imported(answer: &Result<(u16, String), String>) -> bool {
    answer.as_ref().is_ok_and(|(status, body)| *status == 200 && body.contains("\"status\":\"OK\""))
}

#[test]
fn no_client_of_a_replica_changes_anything() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    table(source, "one");
    equal(source, target);

    for change in CHANGES {
        let answer = target.sql(change);
        assert!(answer.is_err(), "over HTTP: {change}: {answer:?}");
    }
    let answers = as_user(target, READER, CHANGES).expect("readers are welcome");
    for (change, answer) in CHANGES.iter().zip(answers) {
        assert!(answer.is_err(), "over PG wire: {change}: {answer:?}");
    }
    let version_two = "POST /api/v2/write?precision=ns HTTP/1.1\r\n";
    let refused = target.exchange(version_two, "one n=1i 1704067200000000000\n");
    assert!(refused.as_ref().is_ok_and(|(status, _)| *status >= 400), "lines: {refused:?}");
    let refused = target.write("one n=1i 1704067200000000000\n");
    assert!(refused.is_err(), "lines over HTTP: {refused:?}");
    let stream = target.line().and_then(|mut stream| {
        stream.write_all(b"one n=1i 1704067200000000000\n")?;
        // A server that takes them says nothing, one that is not there was refused above.
        Ok(())
    });
    assert!(stream.is_err(), "nobody takes lines over TCP");
    for name in ["three", "one", "one&overwrite=true", "one&create=true&atomicity=skipRow"] {
        let imported = import(target, name);
        assert!(!is_imported(&imported), "an import of {name} is refused: {imported:?}");
    }
    let made = target.query("SELECT table_name FROM tables() WHERE table_name = 'three'");
    assert!(made.is_empty(), "an import makes no table");
    for stranger in [("admin", "quest"), ("reader", "wrong"), ("walfs", "quest")] {
        let answer = as_user(target, stranger, &["SELECT 1"]);
        assert!(answer.is_err(), "{stranger:?} is not let in");
    }

    // They were harmless, and readers read.
    equal(source, target);
    assert_eq!(names(target), ["one"]);
    let answers = as_user(target, READER, &["SELECT * FROM one"]).expect("readers are welcome");
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|count| *count > 100)));
}

#[test]
fn what_is_refused_on_a_replica_works_on_its_primary() {
    let Some(world) = World::new() else { return };
    let mut server = crate::server::Server::primary(&world, "primary");
    server.start();
    let client = server.client();
    table(client, "one");
    for change in CHANGES {
        // Each on a table that has what it needs.
        client.sql("CHECKPOINT RELEASE").ok();
        for name in ["one", "three"] {
            client.sql(&format!("DROP MATERIALIZED VIEW IF EXISTS {name}")).ok();
            client.sql(&format!("DROP VIEW IF EXISTS {name}")).ok();
            client.sql(&format!("DROP TABLE IF EXISTS {name}")).ok();
        }
        table(client, "one");
        catch_up(client, client);
        client.query(change);
    }
    client.sql("CHECKPOINT RELEASE").ok();
    for name in ["four", "one", "one&overwrite=true"] {
        let imported = import(client, name);
        assert!(is_imported(&imported), "an import of {name}: {imported:?}");
    }
}
