//! A primary from files to store, on tokio's paused clock: real files in a temporary directory,
//! WAL without a PostgreSQL, a store in memory with every fault.

mod backlog;
mod holding;
mod publishing;
mod reigns;
pub(super) mod world;
