//! Messages to an I/O thread, which sleeps on descriptors: a queue and an eventfd.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use outboard_iscsi::login::LoggedIn;
use outboard_iscsi::server::ConnectionId;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::plan::Serves;
use super::portal::Seat;
use super::recorder::Done;
use super::supervisor::Started;
use super::target::TargetReport;
use crate::trace::Wanted;

/// What an I/O thread is told.
#[derive(Debug)]
pub enum Message {
    /// a connection whose login has succeeded
    Connection(Box<NewConnection>),
    /// an incarnation of a target's driver has been started, or not
    Driver {
        /// index of the target in its thread
        target: usize,
        /// the outcome
        started: Box<Started>,
    },
    /// how are the targets
    Report(Sender<Vec<TargetReport>>),
    /// where do the connections come from
    Addresses(Sender<Vec<Addresses>>),
    /// other arrays or another version of an extension for a target: its driver is replaced between two bundles
    Replace {
        /// index of the target in its thread
        target: usize,
        /// what it serves then
        serves: Serves,
        /// told when it has happened, or why not
        done: Sender<Result<Vec<String>, String>>,
    },
    /// records the life of a target's tasks
    Trace {
        /// index of the target in its thread
        target: usize,
        /// how many, and how long
        wanted: Wanted,
        /// is sent what was recorded
        done: Done,
    },
    /// drop the sessions of initiators in order, then end; drivers too
    Drain {
        /// how long tasks may take
        within: Duration,
    },
}

/// Where a connection comes from, and where it came to.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// index of the target in its thread
    pub target: usize,
    /// the connection's name in the sessions
    pub connection: ConnectionId,
    /// the initiator's address
    pub peer: SocketAddr,
    /// the portal
    pub local: SocketAddr,
}

/// A connection for the full feature phase.
#[derive(Debug)]
pub struct NewConnection {
    /// index of the target in its thread
    pub target: usize,
    /// the socket, not blocking
    pub socket: TcpStream,
    /// the initiator's address
    pub peer: SocketAddr,
    /// the address it came to
    pub local: SocketAddr,
    /// what was agreed on
    pub logged_in: LoggedIn,
    /// what has been received already
    pub received: Vec<u8>,
    /// the target's addresses as SendTargets has them, where they depend on that of the connection
    pub addresses: Option<Vec<String>>,
    /// its seat
    pub seat: Seat,
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Post {
    sender: Sender<Message>,
    bell: Arc<OwnedFd>,
}

/// The receiving end.
#[derive(Debug)]
pub struct Mailbox {
    receiver: Receiver<Message>,
    bell: Arc<OwnedFd>,
}

/// A mailbox and the way to it.
pub fn mailbox() -> Result<(Post, Mailbox), Errno> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = channel();
    Ok((Post { sender, bell: bell.clone() }, Mailbox { receiver, bell }))
}

impl Post {
    /// Sends a message; `Err` has it back if the thread has ended.
    pub fn send(&self, message: Message) -> Result<(), Box<Message>> {
        self.sender.send(message).map_err(|e| Box::new(e.0))?;
        // A full counter is a bell that rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }
}

impl Mailbox {
    /// Readable while there are messages.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The next message. Silences the bell first, so that none is missed.
    pub fn take(&self) -> Option<Message> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.bell, &mut count);
        self.receiver.try_recv().ok()
    }
}
