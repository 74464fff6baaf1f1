//! What this process may do: mount, and have many files open.

use rustix::process::{Resource, Rlimit};

/// The capability to mount, as a bit of the masks in `/proc/self/status` (linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;

/// Whether this process has the capability, as far as it can tell: the kernel decides.
pub(super) fn may_mount() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.is_none_or(|mask| mask & (1 << CAP_SYS_ADMIN) != 0)
}

/// Each file that the kernel knows of is a descriptor here, and a database may have very many:
/// as much as the system has, or as the administrator lets us have.
pub(super) fn raise_open_files_limit() {
    let system = std::fs::read_to_string("/proc/sys/fs/nr_open").ok();
    let system = system.and_then(|number| number.trim().parse().ok());
    let allowed = rustix::process::getrlimit(Resource::Nofile).maximum;
    let raise = |to| {
        let raised = Rlimit { current: to, maximum: to };
        rustix::process::setrlimit(Resource::Nofile, raised)
    };
    if raise(system).or_else(|_| raise(allowed)).is_err() {
        tracing::debug!("the limit of open files stays as it is");
    }
}
