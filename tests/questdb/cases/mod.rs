//! The cases: one file per concern, one test per claim.

mod alone;
mod chaos;
mod existing;
mod follow;
mod kill;
mod lock_down;
mod many;
mod outage;
mod parts;
mod primary;
mod promotion;
mod small_cache;
mod told;
mod versions;
mod views;
