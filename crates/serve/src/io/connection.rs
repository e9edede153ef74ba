//! One socket in the full feature phase: moves bytes between it, the session and the region.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;

use outboard_iscsi::server::{Backend, ConnectionId, Piece, Server, Want};
use outboard_slots::{Memory, Time, socket};

use super::portal::Seat;

/// Bytes received at a time beside what goes straight into the region: many commands, little data.
const RECEIVE_BYTES: usize = 32 << 10;
/// Receptions in a row before other connections have their turn.
const TURNS: u32 = 4;

/// A socket and what is known of it.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    socket: TcpStream,
    /// the initiator's address
    pub peer: SocketAddr,
    /// the address it came to
    pub local: SocketAddr,
    received: Box<[u8]>,
    /// what of `received` is not consumed
    start: usize,
    end: usize,
    want: Want,
    readable: bool,
    writable: bool,
    /// the peer sends no more: what is in the socket is all there will be
    hung_up: bool,
    /// a stall is over: what has been received is looked at again
    again: bool,
    ended: bool,
    /// counts among the server's connections
    _seat: Seat,
}

impl Connection {
    /// A socket that does not block, and what has been received from it already.
    pub fn new(
        id: ConnectionId,
        socket: TcpStream,
        (peer, local): (SocketAddr, SocketAddr),
        received: &[u8],
        seat: Seat,
    ) -> Self {
        let mut buffer = vec![0; RECEIVE_BYTES.max(received.len())].into_boxed_slice();
        let end = received.len();
        if let Some(front) = buffer.get_mut(..end) {
            front.copy_from_slice(received);
        }
        Self {
            id,
            socket,
            peer,
            local,
            received: buffer,
            start: 0,
            end,
            want: Want::Bytes(0),
            readable: true,
            writable: true,
            hung_up: false,
            again: false,
            ended: false,
            _seat: seat,
        }
    }

    /// Its name in the session machine.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The kernel says that something has changed (edge triggered).
    pub fn notice(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// The peer has closed its side, or the connection is broken both ways. There is no further
    /// edge, so that what is there is read to its end; where nothing is read now, a broken
    /// connection ends at once.
    pub fn hang_up(&mut self, broken: bool) {
        self.hung_up = true;
        self.readable = true;
        self.ended |= broken && matches!(self.want, Want::Stalled | Want::Close);
    }

    /// Whether [`Self::receive`] has something to do.
    pub fn is_ready(&self) -> bool {
        let stands = matches!(self.want, Want::Stalled | Want::Close);
        !self.ended && !stands && (self.readable || self.again)
    }

    /// Whether the stream has ended or failed: the session is to be told.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Receives what is there, gives it to the session, and puts data into the region. Whether
    /// anything moved.
    pub fn receive<B: Backend>(
        &mut self,
        now: Time,
        server: &mut Server,
        backend: &mut B,
        memory: &Memory,
    ) -> bool {
        self.again = false;
        let mut moved = self.consume(now, server, backend, memory);
        for _ in 0..TURNS {
            if !self.is_ready() {
                break;
            }
            let (into, asked) = match self.want {
                Want::Data { offset, len } => ((offset, len as usize), len as usize),
                _ => ((0, 0), 0),
            };
            let Some(rest) = self.received.get_mut(self.end..) else { break };
            let asked = asked + rest.len();
            let got = match socket::receive(self.socket.as_fd(), memory, into, rest) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    break;
                }
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "connection lost");
                    self.ended = true;
                    break;
                }
            };
            moved = true;
            let landed = got.min(into.1);
            if landed != 0 {
                server.landed(now, backend, self.id, landed as u32);
                self.want = Want::Bytes(0);
            }
            self.end += got - landed;
            // Less than asked for: nothing more was there, but perhaps the end of the stream.
            self.readable = got == asked || self.hung_up;
            self.consume(now, server, backend, memory);
        }
        moved
    }

    /// Gives the session what has been received.
    fn consume<B: Backend>(
        &mut self,
        now: Time,
        server: &mut Server,
        backend: &mut B,
        memory: &Memory,
    ) -> bool {
        let mut moved = false;
        loop {
            if let Want::Data { offset, len } = self.want {
                // It asks for the region only when it has taken all; but if not, nothing is lost.
                let here = (self.end - self.start).min(len as usize);
                if here == 0 {
                    break;
                }
                let bytes = self.received.get(self.start..self.start + here).unwrap_or_default();
                let _ = memory.write(offset, bytes);
                self.start += here;
                server.landed(now, backend, self.id, here as u32);
            }
            let bytes = self.received.get(self.start..self.end).unwrap_or_default();
            let received = server.receive(now, backend, self.id, bytes);
            self.start += received.consumed.min(bytes.len());
            self.want = received.want;
            moved |= received.consumed != 0;
            if received.consumed == 0 || self.start == self.end {
                break;
            }
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start != 0 {
            self.received.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        moved
    }

    /// Goes on after a stall: the session may take input again, first of all what it has not taken.
    /// Whether there was one.
    pub fn resume(&mut self) -> bool {
        let stalled = self.want == Want::Stalled;
        if stalled {
            self.want = Want::Bytes(0);
            self.again = true;
        }
        stalled
    }

    /// Sends what waits, as much as the socket takes. Whether anything moved.
    pub fn send<B: Backend>(
        &mut self,
        now: Time,
        server: &mut Server,
        backend: &mut B,
        memory: &Memory,
    ) -> bool {
        let mut moved = false;
        while self.writable && !self.ended && server.output_len(self.id) != 0 {
            let pieces = server.output(self.id).map(|piece| match piece {
                Piece::Bytes(bytes) => socket::Piece::Bytes(bytes),
                Piece::Buffer { offset, len } => socket::Piece::Range { offset, len },
            });
            match socket::send(self.socket.as_fd(), memory, pieces) {
                Ok(0) => break,
                Ok(sent) => {
                    moved = true;
                    server.sent(now, backend, self.id, sent);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "connection lost");
                    self.ended = true;
                }
            }
        }
        moved
    }
}
