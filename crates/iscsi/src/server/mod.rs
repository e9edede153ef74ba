//! Sessions in the full feature phase (RFC 7143 clauses 4, 7 and 11), at error recovery level 0.
//!
//! [`Server`] holds all sessions of one target; one thread drives it. It does no I/O: the edge
//! gives it what it received and sends what it has to send. The SCSI side is a [`Backend`], lent to
//! each call.
//!
//! The edge, for each connection:
//! 1. [`Server::attach`] after the login, with any bytes received since to [`Server::receive`];
//! 2. [`Server::receive`] with what the socket had; unconsumed bytes are given again, in front of
//!    what comes next. After [`Want::Data`] it receives into the region and calls
//!    [`Server::landed`], then `receive` again, with no bytes if it has none;
//! 3. for every connection of [`Server::drain_changed`]: sends [`Server::output`], tells
//!    [`Server::sent`], and looks at [`Server::closing`];
//! 4. [`Server::disconnect`] once the socket is closed, also after [`Closing::Now`].
//!
//! | module | what |
//! |---|---|
//! | [`backend`] | the SCSI side |
//! | `attach` | new connections and sessions, reinstatement |
//! | `ending` | the end of both |
//! | `refusal` | why a login finds no session |
//! | `receive` | the stream: headers, data, digests |
//! | `order` | CmdSN: requests in order, held ones, the window |
//! | `command` | SCSI commands |
//! | `data_out` | unsolicited and solicited data, R2T |
//! | `respond` | Data-In and SCSI Response |
//! | `manage` | task management |
//! | `control` | NOP, text, logout, reject, asynchronous messages |
//! | `tick` | pings and timeouts |
//! | `status` | what an operator may see |
//!
//! # Bounds
//! What a peer can make the server hold: its window of tasks and [`ServerConfig::held_bytes`] a
//! session; a megabyte of output and one PDU a connection. Beyond them commands end TASK SET FULL,
//! input stalls, and what stays incomplete too long ends the session.
//!
//! # Error recovery
//! At level 0 the remedy for everything is the end of the session (7.1.5): a wrong header digest, a
//! malformed length, a lost connection. A data segment of a write with a wrong digest or out of
//! order costs the task alone.

pub mod backend;

mod attach;
mod command;
mod config;
mod connection;
mod control;
mod data_out;
mod ending;
mod manage;
mod order;
mod output;
mod receive;
mod refusal;
mod respond;
mod session;
mod slab;
mod status;
mod task;
mod tick;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use outboard_slots::Time;

pub use self::backend::{Backend, Function, Managed, ScsiAnswer, ScsiCommand, Submitted};
pub use self::config::ServerConfig;
pub use self::refusal::{Refusal, Refused};
pub use self::status::{ConnectionStatus, SessionStatus};

use self::connection::{Connection, State};
use self::session::Session;
use self::slab::{Key, Slab};
use self::task::Task;

/// Names a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(Key);

impl ConnectionId {
    /// As a number, for the edge's own tables.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0.to_u64()
    }
}

/// What [`Server::receive`] did and needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// so many bytes are used up
    pub consumed: usize,
    /// what is to come
    pub want: Want,
}

/// What a connection needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// at least so many bytes, those not consumed included; never more than 2 KiB
    Bytes(usize),
    /// the next bytes of the stream belong into the region: receive up to `len` of them there, call
    /// [`Server::landed`], then [`Server::receive`]
    Data {
        /// where in the region
        offset: u64,
        /// how many, bytes
        len: u32,
    },
    /// too much output waits: go on after [`Server::sent`]; or an earlier session or connection has
    /// not ended yet: go on when the connection is among [`Server::drain_changed`]
    Stalled,
    /// nothing more is read; see [`Server::closing`]
    Close,
}

/// A piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// these bytes
    Bytes(&'a [u8]),
    /// a range of the region
    Buffer {
        /// offset in the region
        offset: u64,
        /// bytes
        len: u64,
    },
}

/// When a socket is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// as soon as its output is empty
    AfterOutput,
    /// at once
    Now,
}

/// The sessions of one target.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    sessions: Slab<Session>,
    connections: Slab<Connection>,
    tasks: Slab<Task>,
    functions: Slab<manage::Pending>,
    /// connections with news for the edge
    changed: Vec<ConnectionId>,
    /// sessions with commands that found no room
    waiting: VecDeque<Key>,
    last_tsih: u16,
    next_event: Time,
    /// command windows do not open any further
    closed: bool,
}

impl Server {
    /// A target without sessions.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config: ServerConfig {
                queue_depth: config.queue_depth.clamp(1, config::MAX_WINDOW),
                ..config
            },
            sessions: Slab::new(),
            connections: Slab::new(),
            tasks: Slab::new(),
            functions: Slab::new(),
            changed: Vec::new(),
            waiting: VecDeque::new(),
            last_tsih: 0,
            next_event: Time::NEVER,
            closed: false,
        }
    }

    /// What waits to be sent on a connection, in order.
    pub fn output(&self, id: ConnectionId) -> impl Iterator<Item = Piece<'_>> {
        self.connections.get(id.0).into_iter().flat_map(|c| c.output.pieces())
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn output_len(&self, id: ConnectionId) -> u64 {
        self.connections.get(id.0).map_or(0, |c| c.output.waiting())
    }

    /// The first `bytes` bytes of the output have left.
    pub fn sent(&mut self, now: Time, b: &mut impl Backend, id: ConnectionId, bytes: usize) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let mut finished = false;
        connection.output.sent(bytes, |slot| {
            b.finish(slot);
            finished = true;
        });
        if finished {
            self.retry(now, b);
        }
    }

    /// Connections that have new output, may go on receiving or are to be closed; each once.
    pub fn drain_changed(&mut self) -> impl Iterator<Item = ConnectionId> + '_ {
        for id in &self.changed {
            if let Some(connection) = self.connections.get_mut(id.0) {
                connection.changed = false;
            }
        }
        self.changed.drain(..)
    }

    /// Whether [`Self::drain_changed`] has something.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether and when the edge is to close the socket. `Now` if the connection is unknown.
    #[must_use]
    pub fn closing(&self, id: ConnectionId) -> Option<Closing> {
        match self.connections.get(id.0).map(|c| &c.state) {
            Some(State::Closing { how, .. }) => Some(*how),
            Some(_) => None,
            None => Some(Closing::Now),
        }
    }

    /// Whether the socket is to be closed now: at once, or because its output has left.
    #[must_use]
    pub fn is_closing(&self, id: ConnectionId) -> bool {
        match self.closing(id) {
            Some(Closing::Now) => true,
            Some(Closing::AfterOutput) => self.output_len(id) == 0,
            None => false,
        }
    }

    /// Invites no further commands: the command windows stay where they are. What initiators have
    /// sent, or may still send, is carried out and answered.
    pub fn close_window(&mut self) {
        self.closed = true;
    }

    /// The target's addresses as SendTargets tells them on this connection, in place of
    /// [`ServerConfig::addresses`]: a portal of all addresses is named by the one that the
    /// initiator uses.
    pub fn set_addresses(&mut self, id: ConnectionId, addresses: Vec<String>) {
        if let Some(connection) = self.connections.get_mut(id.0) {
            connection.addresses = Some(addresses);
        }
    }

    /// Notes that the edge has something to do for a connection.
    fn touch(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.changed
        {
            connection.changed = true;
            self.changed.push(ConnectionId(key));
        }
    }
}
