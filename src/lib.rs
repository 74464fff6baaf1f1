//! walfs: a filesystem for database write-ahead logs.
//!
//! Follow a byte from a database's write to a standby's read:
//!
//! ```text
//!  database ── write, fsync ──► fuse (adapter, mirror)        the kernel's side
//!                                 │ tick
//!                               primary (capture → cut → uploader → publisher)
//!                                 │ layout says which bytes may be shipped, and in which order
//!                               store (chain: create-if-absent of the next link)
//!                                 ▼
//!                     log/<epoch>/<number>, segments/<epoch>/<counter>
//!                                 │ one GET of the next name discovers and delivers
//!                               replica (follower → tree → cache ← fetcher)
//!                                 │
//!  standby  ◄── read ──────────── fuse (the same adapter, the union view)
//! ```
//!
//! [`cli`] puts these parts together: what a mount is told comes from [`config`]'s table, and
//! `cli::mount` is a mount from its words to its end.
//!
//! Arrows point down: `cli` may use everything; `config` fills in the settings of `primary`,
//! `replica` and `fuse`; `primary`, `replica` and `history` use `fuse`, `layout`, `store` and
//! `volume`; `layout`, `store` and `fuse` use `volume`; `volume` uses nothing of ours and does no
//! I/O. `primary` and `replica` do not know each other. `tests/tidy.rs` watches.

pub mod cli;
pub mod config;
pub mod fuse;
pub mod history;
pub mod layout;
pub mod primary;
pub mod replica;
pub mod store;
pub mod volume;
