//! Real PostgreSQL servers over real walfs mounts: the acceptance of the main job.
//!
//! Every case makes its own clusters, mounts and `file://` store in a temporary directory, talks
//! over unix sockets only, and cleans up, also when it fails. Cases run one at a time. They need
//! root, `/dev/fuse` and PostgreSQL; where one of these is missing a case says so and is skipped,
//! except under `CI`, where it fails. Cases that take minutes are ignored: `--include-ignored`.

mod cases;
mod cluster;
mod compare;
mod ground;
mod load;
mod node;
mod world;

#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "the server of the tests of the S3 client, which use more of it"
)]
#[path = "../s3/server.rs"]
mod server;
