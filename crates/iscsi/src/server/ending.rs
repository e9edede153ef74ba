//! The end of connections and sessions (RFC 7143 7.1.5, 7.2).
//!
//! A session ends at once for its initiator, but stays here until the backend has answered its last
//! task. Until then a new session of the same initiator port waits with its final Login Response:
//! no write of the old session may land behind a write of the new one. Nor may one of an old
//! connection behind one of the connection that takes its place.

use outboard_slots::Time;

use super::attach::port_name;
use super::connection::State;
use super::slab::Key;
use super::task::{Phase, Task};
use super::{Backend, Closing, ConnectionId, Function, Server};
use crate::pdu::LogoutOutcome;

impl Server {
    /// The edge has closed a socket, or the peer has.
    pub fn disconnect(&mut self, now: Time, b: &mut impl Backend, id: ConnectionId) {
        let Some(mut connection) = self.connections.remove(id.0) else { return };
        connection.output.discard(|slot| b.finish(slot));
        if let Some(key) = connection.session {
            let lost = matches!(connection.state, State::Open | State::Waiting { .. });
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
            return;
        }
        let joining = session.joining;
        if session.logout.is_some() {
            self.settle_logout(now, b, key);
        }
        if joining {
            self.settle_joining(b, key);
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
                connection.output.bytes(&refusal.response);
            }
            self.close(now, next, Closing::AfterOutput);
        }
    }

    #[cold]
    fn settle_logout(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(logout) = session.logout else { return };
        let Some(closed) = logout.closes else { return };
        let mut tasks = session.tasks.values().filter_map(|task| self.tasks.get(*task));
        if tasks.any(|task| task.connection == closed) {
            return;
        }
        session.logout = None;
        session.connections.retain(|c| *c != closed);
        self.logout_response(b, logout.on, logout.task_tag, LogoutOutcome::Closed);
        let how = if logout.on == closed { Closing::AfterOutput } else { Closing::Now };
        self.close(now, closed, how);
    }
}
