//! What host, launcher and new process say to each other: one JSON message a packet, descriptors
//! beside it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::launch::DISKS_MAX;
use crate::{Measure, SandboxError, Spec};

/// Longest message in bytes.
pub(crate) const MESSAGE_MAX: usize = 128 * 1024;
/// Most descriptors beside one message: control, log and disks.
const DESCRIPTORS_MAX: usize = DISKS_MAX + 2;

/// From the host.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToSandbox {
    /// start this; beside it: control, log, disks
    Start(Spec),
    /// the host lives and agrees: execute
    Go,
}

/// From the launcher, later from the new process.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FromSandbox {
    /// the launcher has made a process; beside it: its pidfd
    Made {
        /// its number in the host's namespace
        pid: i32,
        /// what the launcher has tried
        measures: Vec<Measure>,
        /// its control group, to be removed after it
        group: Option<PathBuf>,
    },
    /// the new process has restricted itself
    Ready {
        /// what it has tried
        measures: Vec<Measure>,
    },
    /// it goes no further
    Failed {
        /// what was tried
        step: String,
        /// why not
        reason: String,
    },
}

/// What a socket had to give.
#[derive(Debug)]
pub(crate) enum Received<M> {
    /// a message and its descriptors
    Message(M, Vec<OwnedFd>),
    /// nobody is left at the other end
    Closed,
    /// the time has passed
    Late,
}

/// Sends one message.
pub(crate) fn send<M: Serialize>(
    socket: impl AsFd,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> Result<(), SandboxError> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MESSAGE_MAX {
        return Err(SandboxError::TooLong(bytes.len()));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOMANYREFS.into());
    }
    let io = [IoSlice::new(&bytes)];
    loop {
        match rustix::net::sendmsg(&socket, &io, &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits for one message, until `deadline` if there is one.
pub(crate) fn receive<M: DeserializeOwned>(
    socket: impl AsFd,
    deadline: Option<Instant>,
) -> Result<Received<M>, SandboxError> {
    if let Some(deadline) = deadline
        && !readable(&socket, deadline)?
    {
        return Ok(Received::Late);
    }
    let mut buffer = vec![0; MESSAGE_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut io = [IoSliceMut::new(&mut buffer)];
        match rustix::net::recvmsg(&socket, &mut io, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(e) => return Err(e.into()),
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(Received::Closed);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(SandboxError::TooLong(received.bytes));
    }
    let bytes = buffer.get(..received.bytes).unwrap_or_default();
    Ok(Received::Message(serde_json::from_slice(bytes)?, fds))
}

/// Waits until something can be read, or everybody at the other end has gone.
pub(crate) fn readable(fd: impl AsFd, deadline: Instant) -> Result<bool, Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(n) => return Ok(n != 0),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}
