//! New connections and sessions, reinstatement, and the end of both (RFC 7143 6.3, 7.1.5, 7.2).
//!
//! A session ends at once for its initiator, but stays here until the backend has answered its last
//! task. Until then a new session of the same initiator port waits with its final Login Response:
//! no write of the old session may land behind a write of the new one.

use core::fmt::Write as _;

use outboard_slots::Time;

use super::connection::{Connection, State};
use super::session::Session;
use super::slab::Key;
use super::task::{Phase, Task};
use super::{Backend, Closing, ConnectionId, Function, Server};
use crate::login::LoggedIn;
use crate::pdu::{Bhs, LogoutOutcome, Sequence};

/// Status-Class and Status-Detail of a refused login (11.13.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    TooManyConnections = 0x0206,
    SessionDoesNotExist = 0x020A,
    OutOfResources = 0x0302,
}

impl Server {
    /// A connection has logged in: it begins a session, takes the place of one, or joins one. The
    /// final Login Response becomes the connection's first output.
    ///
    /// # Errors
    /// The Login Response that refuses it; the caller sends it and closes the socket.
    pub fn attach(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        logged_in: LoggedIn,
    ) -> Result<ConnectionId, Vec<u8>> {
        let soon = self.earliest_timeout();
        self.next_event = self.next_event.min(now + soon);
        if logged_in.tsih != 0 {
            return self.join(now, b, &logged_in);
        }
        let port = port_name(&logged_in);
        self.reinstate(now, b, &port, logged_in.portal_group_tag);
        let waiting = self.connections.iter().filter(|(_, c)| c.session.is_none()).count();
        if self.sessions.len() + waiting >= self.config.max_sessions {
            return Err(refuse(&logged_in, Refusal::OutOfResources));
        }
        let key = self.connections.insert(Connection::new(now, None, &logged_in));
        if self.session_of(&port, logged_in.portal_group_tag).is_some() {
            if let Some(connection) = self.connections.get_mut(key) {
                let logged_in = Box::new(logged_in);
                connection.state = State::Waiting { logged_in, since: now };
            }
            return Ok(ConnectionId(key));
        }
        self.establish(now, b, key, &logged_in).map(|()| ConnectionId(key)).inspect_err(|_| {
            self.connections.remove(key);
        })
    }

    /// The edge has closed a socket, or the peer has.
    pub fn disconnect(&mut self, now: Time, b: &mut impl Backend, id: ConnectionId) {
        let Some(mut connection) = self.connections.remove(id.0) else { return };
        connection.output.discard(|slot| b.finish(slot));
        if let Some(key) = connection.session {
            let lost = connection.is_open();
            if let Some(session) = self.sessions.get_mut(key) {
                session.connections.retain(|c| *c != id.0);
            }
            if lost {
                self.end_session(now, b, key);
            }
            if let Some(task) = connection.lent() {
                self.returned(now, b, task);
            }
            self.settle(now, b, key);
        }
        self.retry(now, b);
    }

    fn session_of(&self, port: &str, portal_group_tag: u16) -> Option<Key> {
        self.sessions
            .iter()
            .find(|(_, s)| s.port == port && s.portal_group_tag == portal_group_tag)
            .map(|(key, _)| key)
    }

    /// Session reinstatement (6.3.5): the older session of the same port ends.
    fn reinstate(&mut self, now: Time, b: &mut impl Backend, port: &str, portal_group_tag: u16) {
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get(key) else { continue };
            if let State::Waiting { logged_in, .. } = &connection.state
                && logged_in.portal_group_tag == portal_group_tag
                && port_name(logged_in) == port
            {
                self.close(now, key, Closing::Now);
            }
        }
        if let Some(key) = self.session_of(port, portal_group_tag) {
            self.end_session(now, b, key);
        }
    }

    fn establish(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        logged_in: &LoggedIn,
    ) -> Result<(), Vec<u8>> {
        let port = port_name(logged_in);
        let nexus = b.open_nexus(&port, logged_in.portal_group_tag);
        let nexus = nexus.ok_or_else(|| refuse(logged_in, Refusal::OutOfResources))?;
        let tsih = self.new_tsih();
        let mut session = Session::new(now, port, tsih, nexus, logged_in);
        session.connections.push(key);
        let session = self.sessions.insert(session);
        self.welcome(b, key, session, tsih, logged_in);
        Ok(())
    }

    /// A further connection of a session, or a new one in place of a lost one (6.3.4).
    fn join(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        logged_in: &LoggedIn,
    ) -> Result<ConnectionId, Vec<u8>> {
        let found = self.sessions.iter().find(|(_, s)| {
            !s.ending
                && s.logout.is_none()
                && s.tsih == logged_in.tsih
                && s.isid == logged_in.isid
                && s.initiator_name == logged_in.initiator_name
                && s.portal_group_tag == logged_in.portal_group_tag
        });
        let Some((session_key, session)) = found else {
            return Err(refuse(logged_in, Refusal::SessionDoesNotExist));
        };
        let same = session
            .connections
            .iter()
            .copied()
            .find(|c| self.connections.get(*c).is_some_and(|c| c.cid == logged_in.cid));
        let count = session.connections.len() - usize::from(same.is_some());
        if count >= session.max_connections {
            return Err(refuse(logged_in, Refusal::TooManyConnections));
        }
        if let Some(old) = same {
            self.end_tasks_of(now, b, old);
            self.close(now, old, Closing::Now);
            if let Some(session) = self.sessions.get_mut(session_key) {
                session.connections.retain(|c| *c != old);
            }
        }
        let connection = Connection::new(now, Some(session_key), logged_in);
        let key = self.connections.insert(connection);
        if let Some(session) = self.sessions.get_mut(session_key) {
            session.connections.push(key);
        }
        self.welcome(b, key, session_key, logged_in.tsih, logged_in);
        Ok(ConnectionId(key))
    }

    /// Opens a connection with its final Login Response.
    fn welcome(&mut self, b: &impl Backend, key: Key, session: Key, tsih: u16, l: &LoggedIn) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.session = Some(session);
            connection.state = State::Open;
        }
        let sequence = Sequence { stat_sn: l.stat_sn, ..self.sequence(b, key) };
        let mut response = l.final_response.clone();
        if let Some(header) = response.first_chunk_mut() {
            let mut bhs = Bhs(*header);
            bhs.set_half::<14>(tsih);
            bhs.set_word::<24>(sequence.stat_sn);
            bhs.set_word::<28>(sequence.exp_cmd_sn);
            bhs.set_word::<32>(sequence.max_cmd_sn);
            *header = bhs.0;
        }
        if let Some(connection) = self.connections.get_mut(key) {
            connection.output.bytes(&response);
        }
        self.touch(key);
    }

    fn new_tsih(&mut self) -> u16 {
        loop {
            self.last_tsih = self.last_tsih.wrapping_add(1);
            let tsih = self.last_tsih;
            // There are far fewer sessions than numbers.
            if tsih != 0 && self.sessions.iter().all(|(_, s)| s.tsih != tsih) {
                return tsih;
            }
        }
    }

    /// Closes a connection for the edge: at once, or once its output has left.
    pub(super) fn close(&mut self, now: Time, key: Key, how: Closing) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.state {
            State::Closing { how: Closing::Now, .. } => return,
            State::Closing { .. } if how == Closing::AfterOutput => return,
            _ => connection.state = State::Closing { since: now, how },
        }
        self.touch(key);
    }

    /// A connection cannot go on: its session ends (7.1.5, error recovery level 0).
    pub(super) fn lose(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        self.close(now, key, Closing::Now);
        if let Some(session) = self.connections.get(key).and_then(|c| c.session) {
            self.end_session(now, b, session);
        }
    }

    /// The same, but what waits to be sent is sent first.
    pub(super) fn lose_after_output(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        self.close(now, key, Closing::AfterOutput);
        self.lose_session_of(now, b, key);
    }

    fn lose_session_of(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        if let Some(session) = self.connections.get(key).and_then(|c| c.session) {
            self.end_session(now, b, session);
        }
    }

    /// Ends a session: its connections, what it holds, its tasks.
    pub(super) fn end_session(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.ending {
            return;
        }
        session.ending = true;
        session.pending.clear();
        session.gap.clear();
        session.gap_since = None;
        session.held_bytes = 0;
        let nexus = session.nexus;
        let asked = session.logout.map(|l| l.on);
        let connections = session.connections.clone();
        let tasks: Vec<Key> = session.tasks.values().copied().collect();
        for connection in connections {
            let closing = self.connections.get(connection).map(|c| &c.state);
            let keep = asked == Some(connection) && matches!(closing, Some(State::LoggingOut));
            if !keep && !matches!(closing, Some(State::Closing { .. })) {
                self.close(now, connection, Closing::Now);
            }
        }
        for task in tasks {
            self.end_task(b, task);
        }
        b.close_nexus(nexus);
        self.settle(now, b, key);
        self.retry(now, b);
    }

    /// Ends the tasks of one connection whose session goes on.
    pub(super) fn end_tasks_of(&mut self, now: Time, b: &mut impl Backend, connection: Key) {
        let Some(session_key) = self.connections.get(connection).and_then(|c| c.session) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let nexus = session.nexus;
        let mut freed = 0;
        session.pending.retain(|held| {
            if held.connection == connection {
                freed += held.cost();
            }
            held.connection != connection
        });
        session.held_bytes = session.held_bytes.saturating_sub(freed);
        let tasks: Vec<Key> = session.tasks.values().copied().collect();
        for key in tasks {
            let Some(task) = self.tasks.get(key) else { continue };
            if task.connection != connection {
                continue;
            }
            let (lun, tag) = (task.lun, Task::tag(task.task_tag));
            if self.end_task(b, key) {
                // Nobody waits for its end: an unknown cookie.
                b.manage(&Function::AbortTask { nexus, lun, tag }, u64::MAX);
            }
        }
        self.retry(now, b);
    }

    /// Gives up on a task; whether the backend has still to answer it.
    fn end_task(&mut self, b: &mut impl Backend, key: Key) -> bool {
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let lent = self.connections.get(task.connection).and_then(|c| c.lent()) == Some(key);
        task.silent = true;
        match (&task.phase, task.slot) {
            (Phase::Running, _) => return true,
            (Phase::Collecting | Phase::Doomed { .. }, Some(_)) if lent => {
                task.phase = Phase::Doomed { cancel: true };
            }
            (Phase::Collecting | Phase::Doomed { .. }, Some(slot)) => {
                b.cancel(slot);
                self.remove_task(key);
            }
            (Phase::Draining(answer), _) => {
                if let Some(slot) = answer.slot {
                    b.finish(slot);
                }
                self.remove_task(key);
            }
            _ => {
                self.remove_task(key);
            }
        }
        false
    }

    /// Does what waited for the end of tasks: answers a logout, forgets a session.
    #[inline]
    pub(super) fn settle(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(session) = self.sessions.get(key) else { return };
        if session.ending {
            if session.live == 0 {
                self.gone(now, b, key);
            }
        } else if session.logout.is_some() {
            self.settle_logout(now, b, key);
        }
    }

    /// The last task of an ending session has ended.
    #[cold]
    fn gone(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(session) = self.sessions.get(key) else { return };
        if let Some(logout) = session.logout
            && let Some(State::LoggingOut) = self.connections.get(logout.on).map(|c| &c.state)
        {
            self.logout_response(b, logout.on, logout.task_tag, LogoutOutcome::Closed);
            self.close(now, logout.on, Closing::AfterOutput);
        }
        let Some(session) = self.sessions.remove(key) else { return };
        let next = self.connections.keys().into_iter().find(|c| {
            matches!(
                self.connections.get(*c).map(|c| &c.state),
                Some(State::Waiting { logged_in, .. })
                    if logged_in.portal_group_tag == session.portal_group_tag
                        && port_name(logged_in) == session.port
            )
        });
        let Some(next) = next else { return };
        let Some(connection) = self.connections.get_mut(next) else { return };
        let State::Waiting { logged_in, .. } =
            std::mem::replace(&mut connection.state, State::Open)
        else {
            return;
        };
        if let Err(refusal) = self.establish(now, b, next, &logged_in) {
            if let Some(connection) = self.connections.get_mut(next) {
                connection.output.bytes(&refusal);
            }
            self.close(now, next, Closing::AfterOutput);
        }
    }

    #[cold]
    fn settle_logout(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(logout) = session.logout else { return };
        let Some(closed) = logout.closes else { return };
        if self.connections.get(closed).is_some_and(|c| c.tasks != 0) {
            return;
        }
        session.logout = None;
        session.connections.retain(|c| *c != closed);
        self.logout_response(b, logout.on, logout.task_tag, LogoutOutcome::Closed);
        let how = if logout.on == closed { Closing::AfterOutput } else { Closing::Now };
        self.close(now, closed, how);
    }
}

/// The initiator port's name (RFC 7143 4.2.7.1, SPC TransportID): `<name>,i,0x<ISID>`.
fn port_name(logged_in: &LoggedIn) -> String {
    let mut port = format!("{},i,0x", logged_in.initiator_name);
    for byte in logged_in.isid {
        // Writing to a string does not fail.
        let _ = write!(port, "{byte:02x}");
    }
    port
}

/// A Login Response with this status, after which the connection closes.
fn refuse(logged_in: &LoggedIn, refusal: Refusal) -> Vec<u8> {
    let mut bhs = Bhs::read(&logged_in.final_response).unwrap_or(Bhs([0; 48]));
    bhs.0[1] = 0;
    bhs.set_data_len(0);
    bhs.set_half::<14>(logged_in.tsih);
    bhs.set_word::<24>(logged_in.stat_sn);
    bhs.set_word::<28>(logged_in.cmd_sn);
    bhs.set_word::<32>(logged_in.cmd_sn);
    bhs.set_half::<36>(refusal as u16);
    bhs.0.to_vec()
}
