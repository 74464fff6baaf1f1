//! How often the kernel asked what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

const NAMES: [&str; 28] = [
    "copy_file_range",
    "create",
    "fallocate",
    "forget",
    "fsync",
    "fsyncdir",
    "getattr",
    "getxattr",
    "link",
    "listxattr",
    "lookup",
    "lseek",
    "mkdir",
    "mknod",
    "open",
    "read",
    "readdir",
    "readlink",
    "release",
    "removexattr",
    "rename",
    "rmdir",
    "setattr",
    "setxattr",
    "statfs",
    "symlink",
    "unlink",
    "write",
];

/// A counter per call.
#[derive(Debug)]
pub(super) struct Calls(BTreeMap<&'static str, AtomicU64>);

impl Default for Calls {
    fn default() -> Self {
        Self(NAMES.into_iter().map(|name| (name, AtomicU64::new(0))).collect())
    }
}

impl Calls {
    pub(super) fn count(&self, name: &'static str) {
        let counter = self.0.get(name);
        debug_assert!(counter.is_some(), "{name} is not counted");
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn so_far(&self) -> BTreeMap<&'static str, u64> {
        self.0.iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed))).collect()
    }
}
