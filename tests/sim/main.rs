//! The simulation: one seed, one world. See `world`.
//!
//! `SIM_SEEDS=N` runs so many seeds, `SIM_SEED=X` replays one and prints what happened.

#![expect(
    clippy::indexing_slicing,
    reason = "a world that reads past its own ends is a failed test"
)]

mod books;
mod database;
mod disk;
mod life;
mod node;
mod rest;
mod world;

use std::panic::AssertUnwindSafe;

use world::{Trouble, World};

/// How many things happen in a world before it comes to rest.
const STEPS: u32 = 60;
/// How many worlds there are unless told otherwise.
const SEEDS: u64 = 200;

/// Lives one world through. Returns what happened, and what was wrong.
fn live(seed: u64) -> (String, Result<(), Trouble>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O");
    let here = tokio::task::LocalSet::new();
    here.block_on(&runtime, async { World::new(seed).run(STEPS).await })
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::vars().find(|(key, _)| key == name)?.1;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{value}`")))
}

#[test]
fn every_world_comes_to_rest_and_no_oracle_objects() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(SEEDS),
    };
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        return;
                    }
                    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| live(seed)));
                    let (events, outcome) = lived.unwrap_or_else(|_| {
                        (String::new(), Err("something panicked, see above".to_owned()))
                    });
                    if seeds.end - seeds.start == 1 {
                        println!("{events}");
                    }
                    if let Err(trouble) = outcome {
                        failed.lock().expect("no panic inside").push((seed, trouble));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic inside");
    for (seed, trouble) in &failed {
        println!("seed {seed}: {trouble}");
        println!("    replay: SIM_SEED={seed} cargo test --test sim every_world -- --nocapture");
    }
    assert!(failed.is_empty(), "{} of {} worlds failed", failed.len(), seeds.end - seeds.start);
}

#[test]
fn one_seed_is_one_world() {
    let (first, _) = live(7);
    let (second, _) = live(7);
    assert_eq!(first, second, "the same seed led to two different worlds");
}
