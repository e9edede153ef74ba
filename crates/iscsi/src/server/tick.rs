//! Time: pings, and what must not stay unfinished for ever.

use core::time::Duration;

use outboard_slots::Time;

use super::connection::State;
use super::slab::Key;
use super::task::Phase;
use super::{Backend, Closing, Server};

/// The least that data of a write must come at, bytes a second, once the command is
/// [`ServerConfig::data_timeout`](super::ServerConfig::data_timeout) old: a drip does not hold a
/// buffer.
const DATA_RATE_MIN: u64 = 8 << 10;
/// How long a login waits for the session it takes the place of; the host gives up on tasks
/// earlier.
const WAITING_TIMEOUT: Duration = Duration::from_secs(30);

impl Server {
    /// Does what is due. To be called when [`Self::next_event`] has come; earlier does no harm.
    pub fn tick(&mut self, now: Time, b: &mut impl Backend) {
        let mut next = if self.connections.len() == 0 && self.sessions.len() == 0 {
            Time::NEVER
        } else {
            // Whatever begins after this tick is not due before the shortest time.
            now + self.earliest_timeout()
        };
        for key in self.connections.keys() {
            let due = self.tick_connection(now, b, key);
            next = next.min(due);
        }
        for key in self.sessions.keys() {
            let due = self.tick_session(now, b, key);
            next = next.min(due);
        }
        self.retry(now, b);
        self.next_event = next;
    }

    /// When [`Self::tick`] is to be called next.
    #[must_use]
    pub const fn next_event(&self) -> Time {
        self.next_event
    }

    pub(super) fn earliest_timeout(&self) -> Duration {
        let c = &self.config;
        let shortest = c.nop_interval.min(c.nop_timeout).min(c.data_timeout).min(c.close_timeout);
        shortest.max(Duration::from_millis(1))
    }

    fn tick_connection(&mut self, now: Time, b: &mut impl Backend, key: Key) -> Time {
        let Some(connection) = self.connections.get(key) else { return Time::NEVER };
        let (due, lose) = match &connection.state {
            State::Open => match connection.ping {
                Some((sent, _)) => (sent + self.config.nop_timeout, true),
                None => (connection.last_received + self.config.nop_interval, false),
            },
            State::Waiting { since, .. } => (*since + WAITING_TIMEOUT, true),
            State::Closing { since, how: Closing::AfterOutput } => {
                (*since + self.config.close_timeout, true)
            }
            State::LoggingOut | State::Closing { .. } => return Time::NEVER,
        };
        if now < due {
            return due;
        }
        if lose {
            self.lose(now, b, key);
            return Time::NEVER;
        }
        self.ping(now, b, key);
        now + self.config.nop_timeout
    }

    /// A session whose data or CmdSN does not come holds buffers that others need.
    fn tick_session(&mut self, now: Time, b: &mut impl Backend, key: Key) -> Time {
        let Some(session) = self.sessions.get(key) else { return Time::NEVER };
        if session.ending {
            return Time::NEVER;
        }
        let tasks = session.tasks.values().filter_map(|task| self.tasks.get(*task));
        let stuck = tasks
            .filter(|task| !matches!(task.phase, Phase::Running))
            .map(|task| {
                let worth = Duration::from_millis(task.arrived * 1000 / DATA_RATE_MIN);
                task.since.min(task.began + worth)
            })
            .chain(session.gap_since)
            .min();
        let Some(since) = stuck else { return Time::NEVER };
        let due = since + self.config.data_timeout;
        if now >= due {
            self.end_session(now, b, key);
            return Time::NEVER;
        }
        due
    }
}
