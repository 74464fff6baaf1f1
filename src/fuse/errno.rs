//! Which errno a mount answers where one could argue. Obvious ones are the system's own.

use nix::errno::Errno;

/// Writing where this node may not: a fenced primary, a replica's names from the store, the files
/// of `.walfs`. Databases know it as "the disk went read-only", and stop rather than retry.
pub const READ_ONLY: Errno = Errno::EROFS;

/// A name that is walfs's own (`.walfs`) cannot be made, moved or removed. Not `EEXIST`: the name
/// is not shown, and a caller must not wait for it to go.
pub const RESERVED: Errno = Errno::EPERM;

/// Bytes that the store did not give within the time that a reader waits, or that were wrong.
/// Only ever of `read`: an error of `open` makes PostgreSQL stop.
pub const UNREADABLE: Errno = Errno::EIO;

/// The kernel refuses to do this file's i/o by itself, which the mount insists on.
pub const NOT_PASSED: Errno = Errno::EIO;

/// No room for more backlog.
pub const FULL: Errno = Errno::ENOSPC;

/// The kernel asks about an inode that it was never told of.
pub const FORGOTTEN: Errno = Errno::ESTALE;

/// The kernel uses an open that it was never given, or that was released.
pub const RELEASED: Errno = Errno::EBADF;

/// There is no such name.
pub const NO_NAME: Errno = Errno::ENOENT;

/// There is no such extended attribute.
pub const NO_ATTRIBUTE: Errno = Errno::ENODATA;

/// The buffer is too small for this extended attribute.
pub const TOO_SMALL: Errno = Errno::ERANGE;

/// Flags or whence that we do not know. Never `ENOSYS`, after which the kernel stops asking.
pub const UNKNOWN_FLAGS: Errno = Errno::EINVAL;

/// The kernel may do this copy by reading and writing.
pub const COPY_YOURSELF: Errno = Errno::EOPNOTSUPP;

/// No file here has a device's controls.
pub const NO_CONTROLS: Errno = Errno::ENOTTY;

/// A failure of the daemon itself.
pub const BROKEN: Errno = Errno::EIO;

/// What the system answered.
pub fn of_system(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// What lies behind an I/O error.
pub fn of_io(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(BROKEN, Errno::from_raw)
}
