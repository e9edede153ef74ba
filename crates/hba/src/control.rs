//! The control socket: one JSON message a packet, descriptors beside it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Serialize, de::DeserializeOwned};

/// Longest control message in bytes.
pub const MESSAGE_MAX: usize = 128 * 1024;
/// Most descriptors beside one message.
pub const DESCRIPTORS_MAX: usize = 128;
/// Most characters that an error says of a message that is not understood.
const TOLD_MAX: usize = 240;

/// What can go wrong on a control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// the other side has gone
    #[error("the other side has closed the control socket")]
    Closed,
    /// the other side does not read
    #[error("the other side does not read its control socket")]
    Full,
    /// a system call failed
    #[error("control socket: {0}")]
    System(#[from] Errno),
    /// not a message of this protocol: what is wrong with it, without anything that a terminal would
    /// obey and not longer than a line or two
    #[error("control message not understood: {0}; host and driver must be of one release")]
    Malformed(String),
    /// too long
    #[error("control message of {0} bytes; at most {MESSAGE_MAX}")]
    TooLong(usize),
}

/// One end of a control socket.
#[derive(Debug)]
pub struct Control {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// A connected pair of packet sockets.
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

impl Control {
    /// An end made of a socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: vec![0; MESSAGE_MAX] }
    }

    /// A pair: one end, and the other side's socket.
    pub fn pair() -> Result<(Self, OwnedFd), Errno> {
        let (ours, theirs) = socket_pair()?;
        Ok((Self::new(ours), theirs))
    }

    /// Sends one message with descriptors; waits for room.
    pub fn send<M: Serialize>(
        &self,
        message: &M,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ControlError> {
        self.transmit(message, fds, SendFlags::NOSIGNAL)
    }

    /// Sends one message if there is room: for threads that a peer which does not read must not
    /// stop.
    ///
    /// # Errors
    /// [`ControlError::Full`] without room, and those of [`Self::send`].
    pub fn offer<M: Serialize>(&self, message: &M) -> Result<(), ControlError> {
        self.transmit(message, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    /// Ends the conversation for both sides, whoever else holds copies of the socket.
    pub fn shut_down(&self) {
        // An end that is closed already is shut down.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    fn transmit<M: Serialize>(
        &self,
        message: &M,
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), ControlError> {
        let bytes = serde_json::to_vec(message).map_err(|error| malformed(&error))?;
        if bytes.len() > MESSAGE_MAX {
            return Err(ControlError::TooLong(bytes.len()));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(ControlError::System(Errno::TOOMANYREFS));
        }
        loop {
            let sent =
                rustix::net::sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut ancillary, flags);
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ControlError::Closed),
                Err(Errno::AGAIN) => return Err(ControlError::Full),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Waits for one message, at most `timeout` (`None`: as long as it takes). `Ok(None)` means the
    /// time has passed.
    pub fn receive<M: DeserializeOwned>(
        &mut self,
        timeout: Option<core::time::Duration>,
    ) -> Result<Option<(M, Vec<OwnedFd>)>, ControlError> {
        if let Some(timeout) = timeout
            && !self.readable(timeout)?
        {
            return Ok(None);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut io = [IoSliceMut::new(&mut self.buffer)];
            match rustix::net::recvmsg(
                &self.socket,
                &mut io,
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Ok(r) => break r.bytes,
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Err(ControlError::Closed),
                Err(e) => return Err(e.into()),
            }
        };
        if received == 0 {
            // The end, or a packet of no bytes from a peer that is still there.
            return Err(match self.is_shut()? {
                true => ControlError::Closed,
                false => ControlError::Malformed("it is empty".to_owned()),
            });
        }
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let bytes = self.buffer.get(..received).unwrap_or_default();
        Ok(Some((serde_json::from_slice(bytes).map_err(|error| malformed(&error))?, fds)))
    }

    /// Whether nothing more can come.
    fn is_shut(&self) -> Result<bool, Errno> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        loop {
            match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                Err(Errno::INTR) => {}
                polled => return polled.map(|ready| ready != 0),
            }
        }
    }

    fn readable(&self, timeout: core::time::Duration) -> Result<bool, Errno> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let timeout = Timespec {
            tv_sec: timeout.as_secs().min(i64::MAX as u64) as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(n) => Ok(n != 0),
            Err(Errno::INTR) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// What is wrong with a message. The peer's own words may be in it: they are escaped, and cut.
fn malformed(error: &serde_json::Error) -> ControlError {
    let text = error.to_string();
    let harmless = |c: char| c.is_ascii_graphic() || c == ' ';
    let mut escaped = text.chars().flat_map(|c| {
        let plain = harmless(c).then_some(c);
        plain.into_iter().chain(c.escape_debug().filter(move |_| !harmless(c)))
    });
    let mut told: String = escaped.by_ref().take(TOLD_MAX).collect();
    if escaped.next().is_some() {
        told.push_str("...");
    }
    ControlError::Malformed(told)
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FromDriver, ToDriver};
    use std::time::Duration;

    #[test]
    fn a_message_and_its_descriptors_arrive() {
        let (host, theirs) = Control::pair().unwrap();
        let mut driver = Control::new(theirs);
        let file = tempfile();
        host.send(
            &ToDriver::Initialize { options: serde_json::json!({"a": 1}), disks: Vec::new() },
            &[file.as_fd(); 3],
        )
        .unwrap();
        let (message, fds) = driver.receive::<ToDriver>(None).unwrap().unwrap();
        assert!(matches!(message, ToDriver::Initialize { options, .. } if options["a"] == 1));
        assert_eq!(fds.len(), 3);
        assert!(driver.receive::<ToDriver>(Some(Duration::from_millis(1))).unwrap().is_none());
    }

    #[test]
    fn a_closed_or_talkative_peer_is_an_error() {
        let (mut host, theirs) = Control::pair().unwrap();
        rustix::io::write(&theirs, b"{\"type\":\"nonsense\"}").unwrap();
        assert!(matches!(host.receive::<FromDriver>(None), Err(ControlError::Malformed(_))));
        drop(theirs);
        assert!(matches!(host.receive::<FromDriver>(None), Err(ControlError::Closed)));
        assert!(matches!(host.send(&ToDriver::Start, &[]), Err(ControlError::Closed)));
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told_without_the_peers_control_characters() {
        let (mut host, theirs) = Control::pair().unwrap();
        let long = "A".repeat(MESSAGE_MAX - 100);
        // Colours, a new title, a line of its own, text that runs backwards, and much.
        for bad in ["\\u001b[31mred", "\\u001b]0;title\\u0007", "\\nERROR: x", "\u{202e}txt", &long]
        {
            let text = format!("{{\"type\":\"{bad}\"}}");
            rustix::io::write(&theirs, text.as_bytes()).unwrap();
            let message = host.receive::<FromDriver>(None).unwrap_err().to_string();
            assert!(message.contains("unknown variant"), "{message}");
            assert!(message.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{message:?}");
            assert!(message.len() < 400, "{} bytes", message.len());
            assert!(message.ends_with("of one release"), "{message}");
        }
    }

    #[test]
    fn a_packet_of_no_bytes_is_not_the_end() {
        let (mut host, theirs) = Control::pair().unwrap();
        let flags = SendFlags::empty();
        rustix::net::send(&theirs, &[], flags).unwrap();
        assert!(matches!(host.receive::<FromDriver>(None), Err(ControlError::Malformed(_))));
        rustix::net::send(&theirs, &[], flags).unwrap();
        drop(theirs);
        // Whoever has gone has said enough.
        assert!(matches!(host.receive::<FromDriver>(None), Err(ControlError::Closed)));
    }

    fn tempfile() -> OwnedFd {
        rustix::fs::memfd_create(c"t", rustix::fs::MemfdFlags::CLOEXEC).unwrap()
    }
}
