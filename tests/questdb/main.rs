//! Real QuestDB servers over real walfs mounts.
//!
//! Every case makes its own servers, mounts and `file://` store in a temporary directory, listens
//! on the loopback only, and cleans up, also when it fails. Cases run one at a time. They need
//! root, `/dev/fuse`, Java and what `scripts/questdb-binaries` fetches; where one of these is
//! missing a case says so and is skipped, except under `CI`, where it fails. Cases that take
//! minutes are ignored: `--include-ignored`.

mod cases;
mod client;
mod compare;
mod ledger;
mod load;
mod pair;
mod pg;
mod server;
mod world;

#[path = "../postgres/ground.rs"]
mod ground;
#[expect(dead_code, reason = "the mounts of the other database's cases, which use more of it")]
#[path = "../postgres/node.rs"]
mod node;
