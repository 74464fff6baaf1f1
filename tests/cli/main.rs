//! The real program, as people and scripts call it: words in, words and exit codes out. What needs
//! a mount is skipped, aloud, where there is no `/dev/fuse` or no root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test says where")]

mod bad_places;
mod bad_words;
mod bed;
mod mounts;
mod reading;
mod refusing_store;
mod secrets;
mod takeover;
mod unmounting;

#[expect(dead_code, reason = "the server of the tests of the S3 client, which use more of it")]
#[path = "../s3/server.rs"]
mod server;
