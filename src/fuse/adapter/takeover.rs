//! Takes over a mount whose worker died. The kernel shook hands with the first worker, and does so
//! once; the library insists on a handshake. So the library gets one from us, over a socket, and
//! then finds the kernel behind the descriptor that it read it from.

#![expect(unsafe_code, reason = "the library keeps its descriptor to itself")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use fuser::{Config, Session, SessionACL};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};

use super::requests::Requests;

/// linux/fuse.h: `FUSE_INIT`.
const INIT: u32 = 26;
/// linux/fuse.h: `struct fuse_in_header` and `struct fuse_init_in`.
const INIT_LEN: u8 = 104;
/// The form of the protocol that the library speaks; the kernel was told so by the first worker.
const VERSION: [u32; 2] = [7, 40];
const READ_AHEAD: u32 = 128 << 10;
/// linux/fuse.h: `FUSE_NOTIFY_RESEND`.
const RESEND: i32 = 7;

/// A session with a kernel that has one already. What the dead worker had read and not answered is
/// asked again. It must be dead: a living one would be asked twice.
pub(super) fn session(
    requests: Requests,
    device: OwnedFd,
    config: Config,
) -> io::Result<Session<Requests>> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    send(ours.as_raw_fd(), &handshake(), MsgFlags::empty())?;
    let session = Session::from_fd(requests, theirs, SessionACL::All, config)?;
    put_behind(&session, &device)?;
    ask_again(device)?;
    Ok(session)
}

/// The first request of a kernel that can do everything: what is really there was found out by the
/// first worker.
fn handshake() -> Vec<u8> {
    let unique = 1_u64.to_ne_bytes();
    let head = [u32::from(INIT_LEN), INIT].into_iter().flat_map(u32::to_ne_bytes).chain(unique);
    // The root's number, user, group and process, and no extensions: nobody asks for them here.
    let head = head.chain([0; 24]);
    let all = u32::MAX;
    let body = VERSION.into_iter().chain([READ_AHEAD, all, all]).flat_map(u32::to_ne_bytes);
    let mut message: Vec<u8> = head.chain(body).collect();
    message.resize(usize::from(INIT_LEN), 0);
    message
}

/// Whoever uses the session's descriptor talks to the device from now on.
fn put_behind(session: &impl AsFd, device: &OwnedFd) -> io::Result<()> {
    let number = session.as_fd().as_raw_fd();
    // SAFETY: both numbers are of descriptors that are open here. The session owns the second one,
    // which stays open under the same number: only what is behind it changes.
    let done = unsafe { libc::dup3(device.as_raw_fd(), number, libc::O_CLOEXEC) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn ask_again(device: OwnedFd) -> io::Result<()> {
    let message: Vec<u8> = 16_u32
        .to_ne_bytes()
        .into_iter()
        .chain(RESEND.to_ne_bytes())
        .chain(0_u64.to_ne_bytes())
        .collect();
    match File::from(device).write_all(&message) {
        // Unmounted meanwhile: the session ends at once, as it should.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOTCONN)) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_has_the_form_of_the_kernels() {
        let message = handshake();
        assert_eq!(message.len(), 104);
        assert_eq!(message[..4], 104_u32.to_ne_bytes());
        assert_eq!(message[40..44], 7_u32.to_ne_bytes());
        assert_eq!(message[56..60], [0xff; 4]);
    }
}
