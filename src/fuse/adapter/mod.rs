//! Speaks to the kernel, through the only crate that does: turns its requests into calls of a
//! [`FileSystem`], and our news into its notifications. Decides nothing about files, but which way
//! their I/O goes (`ways`).

mod again;
mod calls;
mod replies;
mod requests;
mod session;
mod takeover;
mod ways;
mod wire;

use std::sync::Arc;

pub(super) use self::session::{Begin, Served, serve};

use self::calls::Calls;
use self::ways::Ways;
use super::filesystem::FileSystem;

/// What the threads that read requests share with the answers that come later.
#[derive(Debug)]
struct Shared {
    filesystem: Arc<dyn FileSystem>,
    ways: Ways,
    calls: Calls,
}
