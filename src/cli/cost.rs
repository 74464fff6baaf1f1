//! What a mount's requests come to in a month, at the rate since it began. List prices, without
//! traffic and storage: see [`crate::store::doctor::cost`].

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

use crate::fuse::status::Status;
use crate::store::doctor::cost::PriceTable;

/// A rate that is known after less than this says little.
const COUNTED_MIN: Duration = Duration::from_secs(60);

/// What requests come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// US dollars in 30 days.
    pub dollars_per_month: f64,
    /// When the prices were looked up.
    pub prices_as_of: String,
}

impl Cost {
    /// Of this mount; `None` where prices or the time are not known, or the mount is too young.
    pub fn of(mount: &Status) -> Option<Self> {
        let counted = age(mount.pid).filter(|age| *age >= COUNTED_MIN)?;
        let table = PriceTable::built_in();
        let dollars_per_month = table.of(&mount.url)?.per_month(&mount.requests, counted);
        Some(Self { dollars_per_month, prices_as_of: table.as_of })
    }

    /// For people.
    pub fn words(&self) -> String {
        let Self { dollars_per_month, prices_as_of } = self;
        format!("${dollars_per_month:.2} per month for requests, at list prices of {prices_as_of}")
    }
}

/// How long a process has run.
fn age(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    Duration::try_from_secs_f64(since(&stat, &uptime, u32::try_from(ticks).ok()?)?).ok()
}

/// Seconds since the start that this line of `stat` tells: its 22nd word, in ticks, where the
/// second one may have spaces and brackets in it.
fn since(stat: &str, uptime: &str, ticks_per_second: u32) -> Option<f64> {
    let rest = stat.rsplit_once(')')?.1;
    let begun: f64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(now - begun / f64::from(ticks_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_process_is_told_by_its_line() {
        let stat = "42 (a (b) c) S 1 1 1 0 -1 4 0 0 0 0 1 2 0 0 20 0 1 0 5000 1 1";
        assert_eq!(since(stat, "90.5 3.2", 100), Some(40.5));
    }

    #[test]
    fn this_process_is_young() {
        assert!(age(std::process::id()).is_some_and(|age| age < Duration::from_secs(3600)));
    }
}
