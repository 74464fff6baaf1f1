//! The cases: one file per concern, one test per claim.

mod damage;
mod follow;
mod idle;
mod kill;
mod outage;
mod promote;
mod reader;
mod rivals;
mod stores;
mod system;
mod versions;
