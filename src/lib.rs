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
//!                                   or delivery: plain files and SQL for a server that runs (QuestDB)
//! ```
//!
//! [`cli`] puts these parts together: what a mount is told comes from [`config`]'s table, and
//! `cli::mount` is a mount from its words to its end.
//!
//! Arrows point down: `cli` may use everything; `config` fills in the settings of `primary`,
//! `replica` and `fuse`; `primary` and `replica` use `fuse`, `layout`, `server`, `store` and
//! `volume`, and do not know each other; `layout`, `store` and `fuse` use `volume`; `server` and
//! `volume` use nothing of ours, and `volume` does no I/O. `tests/tidy.rs` watches.
//!
//! # What is nowhere
//!
//! | nowhere … | guarded by |
//! |---|---|
//! | is an object of the chain overwritten | [`store::Chain::append`] only creates |
//! | is a failed create believed before the object was read back | [`store::Created::Unclear`], simulation |
//! | is a batch published whose bytes are not durable on the primary's disk | a type, `primary::durable`; simulation |
//! | does a manifest name bytes that the store has not acknowledged | [`store::Uploaded`] is the only way to a seal |
//! | does a batch count that lies beyond its epoch's fence | [`volume::Manifest::fold`], simulation |
//! | is the progress of an upload kept on the host | the backlog is disk minus manifest; simulation |
//! | does a replica show a byte that was not checked, or step back | `replica::reading`; simulation |
//! | does `volume` read a clock, or anything below `cli` the environment | tidy, forbidden calls |
//!
//! # Where to look
//!
//! | question | home |
//! |---|---|
//! | where is an option defined? | `config::options` |
//! | where is a database's knowledge? | its folder in [`layout`] |
//! | where is fencing? | the rule in `volume::fold`, the atom in [`store::chain`], the election in [`store::election`] |
//! | how is an object named? | [`volume::keys`] |
//! | what do its bytes look like? | `docs/format.md`, `volume::codec` |
//! | how does a server on a replica take in what is not its own directory? | `replica::delivery`; what is to be done, its layout decides |
//! | how does walfs speak to a database's server? | [`server`]; what is said, its layout knows |
//! | which settings does a server need? | [`layout::questdb::settings`] |
//! | what is mounted where? | [`mounts`] |
//! | which errno? | `fuse::errno` |
//! | what outlives the process that serves a mount, and who replaces it? | [`fuse::estate`], `cli::mount::supervisor` |
//! | which file speaks to the kernel, which to a cloud? | `fuse::adapter`, [`mod@store::connect`] |
//! | can a store carry a volume, and at what cost? | [`store::doctor`] |
//! | what does a mount tell about itself? | [`fuse::status`] |
//! | what time is it? | the [`volume::Clock`] that was passed in |
//! | which promises do we make? | the README's table, each row with its test |

pub mod cli;
pub mod config;
pub mod fuse;
pub mod layout;
pub mod mounts;
pub mod primary;
pub mod replica;
pub mod server;
pub mod store;
pub mod volume;
