//! Real mounts: the mirror of a directory, in the kernel's hands. Every test that touches files runs
//! with passthrough and without. Skipped, aloud, where there is no `/dev/fuse`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test says where")]

mod access;
mod child;
mod files;
mod hidden;
mod mounting;
mod names;
mod primary;
mod speed;
mod world;
