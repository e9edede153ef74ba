//! One new connection: bytes in, bytes out, until it is logged in or to be closed.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use outboard_slots::Time;

use super::DATA_LEN_MAX;
use super::error::{CloseReason, LoginError};
use super::negotiated::LoggedIn;
use super::phase::{Edge, Phase, Step};
use crate::chap::{Entropy, System};
use crate::config::Config;
use crate::discovery::Discovery;
use crate::pdu::{BHS_LEN, Bhs, LoginRequest, padded};

/// The longest PDU that is taken, bytes: a buffer of this length always makes progress.
pub const PDU_LEN_MAX: usize = BHS_LEN + DATA_LEN_MAX;

/// A connection from its first byte to the full feature phase of a normal session, or to the end of
/// a discovery session.
///
/// Its edge reads into a buffer of at least [`PDU_LEN_MAX`] bytes and calls
/// [`receive`](Self::receive) with all that it has, sends [`output`](Self::output) until there is
/// none, and closes the connection at [`deadline`](Self::deadline). Nothing is taken while there is
/// output, so that a peer that does not read cannot make this side hold more than one answer: after
/// [`sent`](Self::sent) has emptied it, `receive` must be called again with what is left.
pub struct Login {
    config: Arc<Config>,
    peer: SocketAddr,
    local: SocketAddr,
    entropy: Box<dyn Entropy + Send>,
    state: State,
    deadline: Time,
    output: Vec<u8>,
    sent: usize,
}

#[derive(Debug)]
enum State {
    Login(Box<Phase>),
    Discovery(Box<Discovery>),
    Ended { reason: CloseReason, initiator: Option<String> },
    HandedOver,
}

/// What [`Login::receive`] did.
#[derive(Debug)]
pub struct Received {
    /// So many of the bytes are done with; the rest must come again.
    pub consumed: usize,
    /// What is to be done.
    pub outcome: Outcome,
}

/// What is to be done with the connection.
#[derive(Debug)]
pub enum Outcome {
    /// Send the output, then receive more.
    More,
    /// A normal session has been agreed on. The connection and all bytes that were not consumed
    /// belong to the [`server`](crate::server), which sends the last response. There is no output.
    LoggedIn(Box<LoggedIn>),
    /// Send the output, then close the connection.
    Close {
        /// Why.
        reason: CloseReason,
    },
}

impl Login {
    /// A connection from `peer` that came to `local`.
    pub fn new(now: Time, config: &Arc<Config>, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::with_entropy(now, config, peer, local, Box::new(System))
    }

    /// The same, with challenges from `entropy`.
    pub fn with_entropy(
        now: Time,
        config: &Arc<Config>,
        peer: SocketAddr,
        local: SocketAddr,
        entropy: Box<dyn Entropy + Send>,
    ) -> Self {
        Self {
            deadline: now + config.limits.login_time,
            config: Arc::clone(config),
            peer,
            local,
            entropy,
            state: State::Login(Box::default()),
            output: Vec::new(),
            sent: 0,
        }
    }

    /// Takes what has arrived: whole PDUs alone are consumed, and none while there is output.
    pub fn receive(&mut self, now: Time, bytes: &[u8]) -> Received {
        let mut consumed = 0;
        while self.output().is_empty() && self.is_open() {
            let rest = bytes.get(consumed..).unwrap_or_default();
            let Some(header) = Bhs::read(rest) else { break };
            if let Err(reason) = self.acceptable(&header) {
                self.refuse(&header, reason);
                break;
            }
            let len = header.data_len() as usize;
            let total = BHS_LEN + padded(len);
            let Some(pdu) = rest.get(..total) else { break };
            let data = pdu.get(BHS_LEN..BHS_LEN + len).unwrap_or_default();
            consumed += total;
            if let Some(logged_in) = self.pdu(now, &header, data) {
                self.state = State::HandedOver;
                return Received { consumed, outcome: Outcome::LoggedIn(logged_in) };
            }
        }
        let outcome = match &self.state {
            State::Ended { reason, .. } => Outcome::Close { reason: reason.clone() },
            _ => Outcome::More,
        };
        Received { consumed, outcome }
    }

    /// Bytes to be sent.
    pub fn output(&self) -> &[u8] {
        self.output.get(self.sent..).unwrap_or_default()
    }

    /// `bytes` of the output have left.
    pub fn sent(&mut self, bytes: usize) {
        self.sent = self.output.len().min(self.sent.saturating_add(bytes));
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
    }

    /// When the connection is to be closed, whatever its state.
    pub const fn deadline(&self) -> Time {
        self.deadline
    }

    /// Where the connection comes from.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Name of the initiator, in normal form, once it is known.
    pub fn initiator_name(&self) -> Option<&str> {
        match &self.state {
            State::Login(phase) => phase.initiator_name(),
            State::Discovery(discovery) => Some(discovery.initiator_name()),
            State::Ended { initiator, .. } => initiator.as_deref(),
            State::HandedOver => None,
        }
    }

    /// Whether a discovery session is held.
    pub const fn is_discovery(&self) -> bool {
        matches!(self.state, State::Discovery(_))
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Login(_) | State::Discovery(_))
    }

    /// What a header alone tells: before its data is waited for.
    fn acceptable(&self, header: &Bhs) -> Result<(), CloseReason> {
        if let State::Login(phase) = &self.state
            && LoginRequest::parse(header).is_none()
        {
            let code = header.opcode();
            return Err(if phase.has_begun() {
                CloseReason::Refused(LoginError::Foreign(code))
            } else {
                CloseReason::NotALogin(code)
            });
        }
        match (header.ahs_len(), header.data_len() as usize) {
            (0, len) if len <= DATA_LEN_MAX => Ok(()),
            (0, len) => Err(CloseReason::TooLong(len)),
            _ => Err(CloseReason::HeaderSegments),
        }
    }

    /// One PDU; the result of a normal session's login.
    fn pdu(&mut self, now: Time, header: &Bhs, data: &[u8]) -> Option<Box<LoggedIn>> {
        match &mut self.state {
            State::Login(phase) => {
                let request = LoginRequest::parse(header)?;
                let mut edge = Edge {
                    config: &self.config,
                    local: self.local,
                    entropy: self.entropy.as_mut(),
                };
                match phase.request(&mut edge, &request, data, &mut self.output) {
                    Ok(Step::More) => {}
                    Ok(Step::Normal(logged_in)) => return Some(logged_in),
                    Ok(Step::Discovery(begins)) => {
                        self.deadline = now + self.config.limits.discovery_idle;
                        self.state = State::Discovery(Box::new(Discovery::new(*begins)));
                    }
                    Err(error) => self.refuse(header, CloseReason::Refused(error)),
                }
            }
            State::Discovery(discovery) => {
                let told = discovery.pdu(&self.config, self.local, header, data, &mut self.output);
                match told {
                    Ok(()) => self.deadline = now + self.config.limits.discovery_idle,
                    Err(reason) => self.end(reason),
                }
            }
            State::Ended { .. } | State::HandedOver => {}
        }
        None
    }

    /// Ends the connection, with a Login Response if `reason` has one.
    fn refuse(&mut self, header: &Bhs, reason: CloseReason) {
        if let (State::Login(phase), CloseReason::Refused(error)) = (&self.state, &reason) {
            phase.refuse(header.initiator_task_tag(), error, &mut self.output);
        }
        self.end(reason);
    }

    fn end(&mut self, reason: CloseReason) {
        let initiator = self.initiator_name().map(str::to_owned);
        self.state = State::Ended { reason, initiator };
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
