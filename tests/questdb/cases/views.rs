//! Views, and what becomes of their definitions.

use std::time::Duration;

use crate::cases::follow::{rows, table};
use crate::compare::{equal, settle};
use crate::ground::wait_until;
use crate::pair::{Replica, pair};
use crate::world::World;

#[test]
fn a_view_that_is_defined_anew_is_so_on_a_running_replica() {
    let Some(world) = World::new() else { return };
    let (primary, mut replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    table(source, "one");
    source.query("CREATE VIEW seen AS (SELECT ts, n FROM one)");
    equal(source, target);
    source.query("ALTER VIEW seen AS (SELECT ts, n + 1 more FROM one WHERE tag IS NOT NULL)");
    equal(source, target);
    source.query("ALTER TABLE one ADD COLUMN later DOUBLE");
    settle(source);
    source.query("ALTER VIEW seen AS (SELECT ts, later FROM one)");
    source.query("ALTER VIEW seen AS (SELECT ts, later, 'x' \"in quotes\" FROM one)");
    equal(source, target);
    assert!(replica.server.is_running(), "the replica's server was never restarted");
    replica.lose_walfs();
    replica.server.kill();
    replica.server.start();
    source.query("ALTER VIEW seen AS (SELECT ts, tag FROM one)");
    rows(source, "one", 10);
    equal(source, target);
    let later = Replica::start(&world, "later", "node=later");
    equal(source, later.client());
    source.query("DROP VIEW seen");
    equal(source, target);
    equal(source, later.client());
}

#[test]
fn settings_of_a_materialized_view_are_followed() {
    let Some(world) = World::new() else { return };
    let (primary, replica) = pair(&world);
    let (source, target) = (primary.client(), replica.client());
    table(source, "one");
    source.query(
        "CREATE MATERIALIZED VIEW hourly WITH BASE one AS
         (SELECT ts, tag, count() c FROM one SAMPLE BY 1h) PARTITION BY DAY",
    );
    equal(source, target);
    for change in ["SET REFRESH LIMIT 100 WEEKS", "SET TTL 200 WEEKS", "ALTER COLUMN tag ADD INDEX"]
    {
        source.query(&format!("ALTER MATERIALIZED VIEW hourly {change}"));
        rows(source, "one", 10);
        equal(source, target);
    }
    // From here on it does not keep up with its base by itself.
    source.query("ALTER MATERIALIZED VIEW hourly SET REFRESH MANUAL");
    let settings = "SELECT refresh_type, refresh_limit, refresh_limit_unit, timer_interval,
        timer_interval_unit, timer_start FROM materialized_views()";
    wait_until("the view has the primary's settings", Duration::from_secs(30), || {
        source.sql(settings) == target.sql(settings)
    });
}
