//! New connections and sessions, and reinstatement (RFC 7143 6.3).
//!
//! An initiator's name is a claim: what proves it is the user of its login. A session that a user
//! has begun is that user's to take the place of, or to join.

use core::fmt::Write as _;

use outboard_slots::Time;

use super::connection::{Connection, State};
use super::refusal::{Refusal, Refused};
use super::session::Session;
use super::slab::Key;
use super::{Backend, Closing, ConnectionId, Server};
use crate::login::LoggedIn;
use crate::pdu::{Bhs, Sequence};

impl Server {
    /// A connection has logged in: it begins a session, takes the place of one, or joins one. The
    /// final Login Response becomes the connection's first output.
    ///
    /// # Errors
    /// Why not, with the Login Response that says so; the caller sends it and closes the socket.
    pub fn attach(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        logged_in: LoggedIn,
    ) -> Result<ConnectionId, Refused> {
        let soon = self.earliest_timeout();
        self.next_event = self.next_event.min(now + soon);
        if logged_in.tsih != 0 {
            return self.join(now, b, &logged_in);
        }
        let port = port_name(&logged_in);
        if self.is_anothers(&port, &logged_in) {
            return Err(Refused::new(&logged_in, Refusal::AnotherUser));
        }
        self.reinstate(now, b, &port, logged_in.portal_group_tag);
        let waiting = self.connections.iter().filter(|(_, c)| c.session.is_none()).count();
        if self.sessions.len() + waiting >= self.config.max_sessions {
            return Err(Refused::new(&logged_in, Refusal::OutOfResources));
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

    /// Whether the session of an initiator port, or a login that waits to begin one, belongs to a
    /// user as whom this login does not come. What is ending is nobody's any more.
    fn is_anothers(&self, port: &str, logged_in: &LoggedIn) -> bool {
        let tag = logged_in.portal_group_tag;
        let sessions = self.sessions.iter().filter(|(_, s)| !s.ending && s.port == port);
        let users = sessions
            .filter(|(_, s)| s.portal_group_tag == tag)
            .map(|(_, session)| session.user.as_deref());
        let waiting = self.connections.iter().filter_map(|(_, connection)| {
            let State::Waiting { logged_in: other, .. } = &connection.state else { return None };
            let same = other.portal_group_tag == tag && port_name(other) == port;
            same.then_some(other.user.as_deref())
        });
        users.chain(waiting).any(|user| !may_succeed(user, logged_in))
    }

    pub(super) fn session_of(&self, port: &str, portal_group_tag: u16) -> Option<Key> {
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

    pub(super) fn establish(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        logged_in: &LoggedIn,
    ) -> Result<(), Refused> {
        let port = port_name(logged_in);
        let nexus = b.open_nexus(&port, logged_in.portal_group_tag);
        let nexus = nexus.ok_or_else(|| Refused::new(logged_in, Refusal::OutOfResources))?;
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
    ) -> Result<ConnectionId, Refused> {
        let found = self.sessions.iter().find(|(_, s)| {
            !s.ending
                && s.logout.is_none()
                && s.tsih == logged_in.tsih
                && s.isid == logged_in.isid
                && s.initiator_name == logged_in.initiator_name
                && s.portal_group_tag == logged_in.portal_group_tag
        });
        let Some((session_key, session)) = found else {
            return Err(Refused::new(logged_in, Refusal::SessionDoesNotExist));
        };
        let same = session
            .connections
            .iter()
            .copied()
            .find(|c| self.connections.get(*c).is_some_and(|c| c.cid == logged_in.cid));
        if !may_succeed(session.user.as_deref(), logged_in) {
            return Err(Refused::new(logged_in, Refusal::SessionOfAnotherUser));
        }
        let count = session.connections.len() - usize::from(same.is_some());
        if count >= session.max_connections {
            return Err(Refused::new(logged_in, Refusal::TooManyConnections));
        }
        if let Some(old) = same {
            self.end_tasks_of(now, b, old);
            self.close(now, old, Closing::Now);
            if let Some(session) = self.sessions.get_mut(session_key) {
                session.connections.retain(|c| *c != old);
            }
        }
        let mut connection = Connection::new(now, Some(session_key), logged_in);
        let logged_in = Box::new(logged_in.clone());
        connection.state = State::Waiting { logged_in, since: now };
        let key = self.connections.insert(connection);
        if let Some(session) = self.sessions.get_mut(session_key) {
            session.connections.push(key);
            session.joining = true;
        }
        self.settle(now, b, session_key);
        Ok(ConnectionId(key))
    }

    /// Welcomes the connections that wait to join a session, once it has no task left of a
    /// connection that it has not any more.
    #[cold]
    pub(super) fn settle_joining(&mut self, b: &impl Backend, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let tasks = session.tasks.values().filter_map(|task| self.tasks.get(*task));
        if !tasks.map(|task| task.connection).all(|c| session.connections.contains(&c)) {
            return;
        }
        session.joining = false;
        for id in session.connections.clone() {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            if !matches!(connection.state, State::Waiting { .. }) {
                continue;
            }
            let waiting = std::mem::replace(&mut connection.state, State::Open);
            if let State::Waiting { logged_in, .. } = waiting {
                self.welcome(b, id, key, logged_in.tsih, &logged_in);
            }
        }
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
}

/// The initiator port's name (RFC 7143 4.2.7.1, SPC TransportID): `<name>,i,0x<ISID>`.
pub(super) fn port_name(logged_in: &LoggedIn) -> String {
    let mut port = format!("{},i,0x", logged_in.initiator_name);
    for byte in logged_in.isid {
        // Writing to a string does not fail.
        let _ = write!(port, "{byte:02x}");
    }
    port
}

/// Whether a login may take the place of what `user` has begun, or join it. What has no user, from
/// before the target asked for one, proves nothing.
fn may_succeed(user: Option<&str>, logged_in: &LoggedIn) -> bool {
    user.is_none() || user == logged_in.user.as_deref()
}
