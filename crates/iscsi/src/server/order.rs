//! The order of requests: CmdSN, the command window, requests that wait (RFC 7143 4.2.2.1).

use outboard_slots::Time;

use super::config::MIN_WINDOW;
use super::session::{Held, Session};
use super::slab::Key;
use super::{Backend, Server};
use crate::pdu::serial::{after, before};
use crate::pdu::{Bhs, CommandRequest, Request};

/// What is to be done with a request by its CmdSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// it is its turn
    Now,
    /// predecessors are missing
    Early,
    /// outside of the window, or there already: silently ignored
    Ignore,
}

impl Session {
    #[inline]
    pub(super) fn admit(&self, bhs: &Bhs) -> Admission {
        let sn = bhs.cmd_sn();
        if bhs.immediate() || (sn == self.exp_cmd_sn && !after(sn, self.max_cmd_sn)) {
            Admission::Now
        } else if before(sn, self.exp_cmd_sn)
            || after(sn, self.max_cmd_sn)
            || self.gap.iter().any(|held| held.bhs.cmd_sn() == sn)
        {
            Admission::Ignore
        } else {
            Admission::Early
        }
    }

    /// Opens the window as far as tasks and backend have room; it never closes again. As long as
    /// the session is below its depth some commands fit, so that there is always an answer to come
    /// that opens it further.
    #[inline]
    pub(super) fn open_window(&mut self, depth: u32, free: u32) -> u32 {
        let taken = self.live.saturating_add(self.pending.len() as u32);
        let room = depth.saturating_sub(taken).min(free.max(MIN_WINDOW));
        let max = self.exp_cmd_sn.wrapping_add(room).wrapping_sub(1);
        if after(max, self.max_cmd_sn) {
            self.max_cmd_sn = max;
        }
        self.max_cmd_sn
    }

    #[inline]
    pub(super) const fn next_cmd_sn(&mut self) {
        self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
    }

    /// Counts what is kept for a request; what is too much is dropped, and the request with it.
    pub(super) fn charge(&mut self, held: &mut Held, bound: usize) {
        if self.held_bytes.saturating_add(held.cost()) > bound {
            held.refused = true;
            held.data = Vec::new();
        }
        self.held_bytes += held.cost();
    }

    pub(super) fn discharge(&mut self, held: &Held) {
        self.held_bytes = self.held_bytes.saturating_sub(held.cost());
    }

    /// Lets a request wait for its predecessors.
    pub(super) fn push_gap(&mut self, now: Time, held: Held) {
        let sn = held.bhs.cmd_sn();
        let at = self.gap.partition_point(|other| before(other.bhs.cmd_sn(), sn));
        self.gap.insert(at, held);
        self.gap_since.get_or_insert(now);
    }
}

impl Server {
    /// A request with a CmdSN is there, with all of its data.
    pub(super) fn request(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        bhs: &Bhs,
        data: &[u8],
    ) {
        let bound = self.config.held_bytes;
        let Some(connection) = self.connections.get(key) else { return };
        let (ahs, gone) = (connection.rx.ahs.clone(), connection.rx.gone);
        let Some(session_key) = connection.session else { return };
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let admission = session.admit(bhs);
        if admission == Admission::Ignore {
            return;
        }
        let mut held = Held::new(key, *bhs);
        held.ahs = ahs;
        held.data = data.to_vec();
        held.received = data.len() as u32;
        if let Ok(Request::Command(request)) = Request::parse(bhs) {
            held.unsolicited = self.announces_data(session_key, &request);
            held.gone = gone;
        }
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        if admission == Admission::Early {
            session.charge(&mut held, bound);
            return session.push_gap(now, held);
        }
        if !bhs.immediate() {
            session.next_cmd_sn();
        }
        self.execute(now, b, session_key, held, true);
        self.close_gap(now, b, session_key);
    }

    /// Whether unsolicited Data-Out PDUs follow a command.
    pub(super) fn announces_data(&self, session: Key, request: &CommandRequest) -> bool {
        request.write && !request.last && self.sessions.get(session).is_some_and(|s| !s.initial_r2t)
    }

    /// Carries out what waited for a CmdSN that has come.
    pub(super) fn close_gap(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return };
            if session.gap.is_empty() {
                return;
            }
            let next = session.gap.first().map(|held| held.bhs.cmd_sn());
            if session.ending || next != Some(session.exp_cmd_sn) {
                return;
            }
            let held = session.gap.remove(0);
            session.next_cmd_sn();
            session.gap_since = (!session.gap.is_empty()).then_some(now);
            session.discharge(&held);
            if !held.void {
                self.execute(now, b, key, held, false);
            }
        }
    }

    /// Carries out a request whose turn it is. What it kept is not charged to the session.
    fn execute(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        session_key: Key,
        held: Held,
        fresh: bool,
    ) {
        let key = held.connection;
        if !self.connections.get(key).is_some_and(|c| c.is_open()) {
            return;
        }
        match Request::parse(&held.bhs) {
            Ok(Request::Command(_)) => self.execute_command(now, b, session_key, held),
            Ok(Request::Task(request)) => self.task_management(b, key, &request),
            Ok(Request::NopOut(request)) => self.nop_out(b, key, &request, &held.data),
            Ok(Request::Text(request)) if fresh || !held.refused => {
                self.text(b, key, &held.bhs, &request, &held.data);
            }
            Ok(Request::Logout(request)) => self.logout(now, b, key, &request),
            _ => {}
        }
    }

    fn execute_command(&mut self, now: Time, b: &mut impl Backend, session_key: Key, held: Held) {
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let immediate = held.bhs.immediate();
        if !immediate && !session.pending.is_empty() {
            return self.push_pending(session_key, held);
        }
        if let Err(mut held) = self.start(now, b, session_key, held) {
            if immediate {
                // Only what is numbered may wait; the window bounds it.
                held.refused = true;
                let _ = self.start(now, b, session_key, held);
            } else {
                self.push_pending(session_key, held);
            }
        }
    }

    /// Lets a command wait for room in the backend.
    fn push_pending(&mut self, key: Key, mut held: Held) {
        let bound = self.config.held_bytes;
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.charge(&mut held, bound);
        session.pending.push_back(held);
        if !session.waiting {
            session.waiting = true;
            self.waiting.push_back(key);
        }
    }

    /// Something has become free: starts what waits for room, each session in turn.
    pub(super) fn retry(&mut self, now: Time, b: &mut impl Backend) {
        // Each once, and again after each that went on: one that has had its share holds up nobody.
        let mut turns = self.waiting.len();
        while turns != 0 {
            turns -= 1;
            let Some(key) = self.waiting.pop_front() else { return };
            let Some(session) = self.sessions.get_mut(key) else { continue };
            session.waiting = false;
            let Some(held) = session.pending.pop_front() else { continue };
            session.discharge(&held);
            let full = match self.start(now, b, key, held) {
                Ok(()) => false,
                Err(held) => {
                    if let Some(session) = self.sessions.get_mut(key) {
                        session.held_bytes += held.cost();
                        session.pending.push_front(held);
                    }
                    true
                }
            };
            if let Some(session) = self.sessions.get_mut(key)
                && !session.pending.is_empty()
                && !session.waiting
            {
                session.waiting = true;
                self.waiting.push_back(key);
                turns += usize::from(!full);
            }
        }
    }
}
