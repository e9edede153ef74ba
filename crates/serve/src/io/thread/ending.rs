//! The end of an I/O thread: initiators are asked to log out, commands that are there are answered,
//! sessions are dropped with a word.

use std::time::Duration;

use outboard_slots::Time;

use super::IoThread;

/// How long initiators may take to log out by themselves.
const LOGOUT: Duration = Duration::from_secs(1);
/// How long nothing may come before it is taken for certain that nothing is on its way.
const QUIET: Duration = Duration::from_millis(20);
/// How long peers that neither send what they announced nor read what they asked for are waited for.
const STUCK: Duration = Duration::from_secs(1);
/// How long the last words may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// The way to the end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// initiators have been asked to log out
    Asked {
        /// for so long
        until: Time,
        /// when tasks are given up
        give_up: Time,
    },
    /// no command is invited any more; those that are there are answered
    Draining {
        /// when something last moved
        moved: Time,
        /// when it is looked at again
        next: Time,
        /// when tasks are given up
        give_up: Time,
    },
    /// the sessions are over; their last PDUs leave
    Farewell {
        /// for so long
        until: Time,
    },
}

impl Ending {
    /// When it goes on by the clock alone.
    pub(super) fn next(&self) -> Time {
        match *self {
            Self::Asked { until, .. } | Self::Farewell { until } => until,
            Self::Draining { next, .. } => next,
        }
    }
}

impl IoThread {
    pub(super) fn begin_to_end(&mut self, now: Time, within: Duration) {
        if self.ending.is_some() {
            return;
        }
        let give_up = now + within;
        self.ending = Some(Ending::Asked { until: give_up.min(now + LOGOUT), give_up });
        for target in &mut self.targets {
            let (server, scsi, _) = target.lend(now);
            server.request_logout(&scsi, LOGOUT.as_secs().max(1) as u16);
        }
    }

    /// Goes on towards the end after a round that has `moved` something or not. Whether it has come.
    pub(super) fn has_ended(&mut self, now: Time, moved: bool) -> bool {
        match self.ending {
            None => false,
            Some(Ending::Asked { until, give_up }) => {
                if self.is_empty() {
                    return true;
                }
                if now >= until {
                    for target in &mut self.targets {
                        target.server.close_window();
                    }
                    self.ending = Some(Ending::Draining { moved: now, next: now, give_up });
                }
                false
            }
            Some(Ending::Draining { moved: last, give_up, .. }) => {
                let last = if moved { now } else { last };
                let pause = if self.is_quiet() { QUIET } else { STUCK };
                let next = give_up.min(last + pause);
                self.ending = Some(Ending::Draining { moved: last, next, give_up });
                if now >= give_up || (now >= next && self.is_idle()) {
                    self.bid_farewell(now);
                } else if now >= next {
                    // A driver has tasks: its answer is something that moves.
                    let next = give_up.min(now + QUIET);
                    self.ending = Some(Ending::Draining { moved: last, next, give_up });
                }
                false
            }
            Some(Ending::Farewell { until }) => now >= until || self.connections.is_empty(),
        }
    }

    /// Nobody is logged in, and nothing is left to do.
    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.is_quiet()
    }

    /// No driver has anything to do.
    fn is_idle(&self) -> bool {
        self.targets.iter().all(|target| target.in_driver() == 0 && !target.is_replacing())
    }

    /// All that came has been answered, and the answers have left.
    fn is_quiet(&self) -> bool {
        let targets = &self.targets;
        let has_output = |(target, connection): (usize, &super::Connection)| {
            targets.get(target).is_some_and(|t| t.server.output_len(connection.id()) != 0)
        };
        targets.iter().all(|target| target.in_use() == 0 && !target.is_replacing())
            && !self.connections.iter().any(has_output)
    }

    fn bid_farewell(&mut self, now: Time) {
        for target in &mut self.targets {
            if target.in_use() != 0 {
                tracing::warn!(target = target.name, tasks = target.in_use(), "tasks are given up");
            }
            let (server, mut scsi, _) = target.lend(now);
            server.drop_sessions(now, &mut scsi);
        }
        self.ending = Some(Ending::Farewell { until: now + FAREWELL });
    }
}
