//! Two hosts that share nothing but a store fight for epochs: `WALFS_CONTRACT_RIVALS` is the place
//! where they meet, as each of them reaches it, and `WALFS_CONTRACT_RIVAL` says which of the two
//! (0 or 1) this process is. `scripts/test-nfs` runs one on each side of an NFS mount.

use std::time::Duration;

use bytes::Bytes;
use walfs::store::{Created, Store};

use crate::bed::{self, Bed};
use crate::{claims_won, link};

/// How often to look for the other host, and how many looks mean that it will not come.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_MAX: u32 = 60_000;
const STEP: Duration = Duration::from_millis(100);
const WRITERS: std::ops::Range<u8> = 0..4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_have_one_winner_per_epoch() {
    let Some((bed, host)) = Bed::shared() else {
        return bed::skip("WALFS_CONTRACT_RIVALS names no place to meet");
    };
    let meeting = bed.fresh("meeting").store(host.into());
    let (mut won, mut handicap) = (0, Duration::ZERO);
    for round in 0..Bed::rounds() {
        exchange(&meeting, host, 2 * round, 0).await;
        tokio::time::sleep(handicap).await;
        let writers = WRITERS.start + 16 * host..WRITERS.end + 16 * host;
        let ours = claims_won(&bed.fresh(&format!("{round}")), writers).await;
        let theirs = exchange(&meeting, host, 2 * round + 1, ours).await;
        assert_eq!(ours + theirs, 1, "round {round}: {ours} winners here, {theirs} there");
        won += ours;
        // Who wins waits longer and longer, until the other host is as fast.
        handicap = if ours == 1 { handicap + STEP } else { handicap.saturating_sub(STEP) };
    }
    bed::tell(&format!("host {host} won {won} of {} epochs", Bed::rounds()));
}

/// Says a number to the other host, and waits for its own.
async fn exchange(meeting: &Store, host: u8, number: u64, said: usize) -> usize {
    let bytes = Bytes::from(vec![u8::try_from(said).unwrap()]);
    let made = meeting.create(&link(1 + u64::from(host), number), bytes).await;
    assert_eq!(made, Ok(Created::New), "nobody met here before");
    for _ in 0..LOOKS_MAX {
        if let Some(heard) = meeting.get(&link(2 - u64::from(host), number)).await.unwrap() {
            return heard[0].into();
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("the other host did not come to meeting {number}");
}
