//! Everything at once, from a seed.

use crate::compare::{equal, same_settings};
use crate::load::{Load, Until};
use crate::pair::{Primary, Replica};
use crate::world::World;

fn every_seed(seeds: impl Iterator<Item = u64>) {
    for seed in chosen().map_or_else(|| seeds.collect(), |seed| vec![seed]) {
        let Some(world) = World::new() else { return };
        println!("seed {seed}: SEED={seed} scripts/test-questdb two_seeds");
        let mut primary = Primary::start(&world, "primary", "interval=20ms,node=primary");
        let mut replica = Replica::start(&world, "replica", "node=replica");
        let report = Load::start(primary.client(), seed, 3, Until::Steps(150)).finish();
        println!("{report:?}");
        for (kind, (done, _)) in &report {
            assert!(*done > 0 || kind.contains("view"), "{kind} was never done");
        }
        equal(primary.client(), replica.client());
        let alive = primary.server.is_running() && replica.server.is_running();
        assert!(alive, "no server was restarted");
        for server in [&mut primary.server, &mut replica.server] {
            server.stop();
            server.start();
        }
        equal(primary.client(), replica.client());
        same_settings(primary.client(), replica.client());
        replica.view.unmount();
        primary.server.stop();
        primary.mount.unmount();
    }
}

/// The one that the environment names.
fn chosen() -> Option<u64> {
    std::env::var_os("SEED")?.to_str()?.parse().ok()
}

#[test]
fn two_seeds_of_everything_at_once_converge() {
    every_seed(1..=2);
}

#[test]
#[ignore = "takes minutes: ten seeds"]
fn ten_seeds_of_everything_at_once_converge() {
    every_seed(11..=20);
}
