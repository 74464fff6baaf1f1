//! What the system says about a file, in the mount's terms and back: attributes, times, device
//! numbers.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dev, Statx, StatxFlags, Timespec, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::fuse::errno::of_system;
use crate::fuse::filesystem::{Answer, Attr, Ino, Stamp};

/// The bits of a mode that give a program its owner's rights.
pub(super) const PRIVILEGED: u32 = 0o6000;
/// The bits of a mode that `chmod` sets.
pub(super) const PERMISSIONS: u32 = 0o7777;
/// The bits of a mode that say what kind of file it is.
const KIND: u32 = 0o170_000;

/// Which file this is, wherever its names are: device and inode.
pub(super) type Identity = (u64, u64);

/// What the file behind this descriptor is now.
pub(super) fn stat(file: impl AsFd) -> Answer<Statx> {
    rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(of_system)
}

/// Which file has this name; `None` if there is none.
pub(super) fn named(directory: impl AsFd, name: impl Arg) -> Answer<Option<Identity>> {
    match rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO) {
        Ok(stat) => Ok(Some(identity(&stat))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(of_system(error)),
    }
}

pub(super) fn identity(stat: &Statx) -> Identity {
    let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    (device, stat.stx_ino)
}

pub(super) fn is_regular(stat: &Statx) -> bool {
    u32::from(stat.stx_mode) & KIND == 0o100_000
}

/// What the kernel is told of it.
pub(super) fn attr(ino: Ino, stat: &Statx) -> Attr {
    Attr {
        ino,
        mode: u32::from(stat.stx_mode),
        size: stat.stx_size,
        blocks: stat.stx_blocks,
        links: stat.stx_nlink,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        device: device_of(stat.stx_rdev_major, stat.stx_rdev_minor),
        block_size: stat.stx_blksize,
        accessed: time(stat.stx_atime.tv_sec, stat.stx_atime.tv_nsec),
        modified: time(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        changed: time(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
    }
}

/// The kernel's 32 bits of a device number: `mmmMMMmm` in hex digits, M major and m minor.
fn device_of(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// The system's device number for the kernel's.
pub(super) fn device(encoded: u32) -> Dev {
    let major = (encoded & 0x000f_ff00) >> 8;
    let minor = (encoded & 0xff) | ((encoded >> 12) & 0x000f_ff00);
    rustix::fs::makedev(major, minor)
}

fn time(seconds: i64, nanos: u32) -> SystemTime {
    let before = seconds < 0;
    let seconds = Duration::from_secs(seconds.unsigned_abs());
    let whole = if before { UNIX_EPOCH - seconds } else { UNIX_EPOCH + seconds };
    whole + Duration::from_nanos(u64::from(nanos))
}

/// What `utimensat` takes for a time to set, or to leave as it is.
pub(super) fn timespec(stamp: Option<Stamp>) -> Timespec {
    match stamp {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(Stamp::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(Stamp::At(at)) => since_epoch(at),
    }
}

fn since_epoch(at: SystemTime) -> Timespec {
    let (elapsed, before) = match at.duration_since(UNIX_EPOCH) {
        Ok(elapsed) => (elapsed, false),
        Err(error) => (error.duration(), true),
    };
    let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
    let nanos = elapsed.subsec_nanos();
    match (before, nanos) {
        (false, _) => Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) },
        (true, 0) => Timespec { tv_sec: -seconds, tv_nsec: 0 },
        (true, _) => Timespec { tv_sec: -seconds - 1, tv_nsec: 1_000_000_000 - i64::from(nanos) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive_the_kernels_encoding() {
        for (major, minor) in [(0, 0), (1, 3), (8, 255), (259, 70_000), (4095, 0x000f_ffff)] {
            assert_eq!(device(device_of(major, minor)), rustix::fs::makedev(major, minor));
        }
    }

    #[test]
    fn times_before_1970_count_nanoseconds_forwards() {
        let at = UNIX_EPOCH - Duration::new(2, 250_000_000);
        let spec = since_epoch(at);
        assert_eq!((spec.tv_sec, spec.tv_nsec), (-3, 750_000_000));
        assert_eq!(time(spec.tv_sec, 750_000_000), at);
    }
}
