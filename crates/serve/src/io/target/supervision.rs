//! When the driver dies, or is to serve something else: the successor, and what if there is none.
//!
//! Until the fence has come nothing of a dead driver is repeated, answered or reused, however often
//! its successor fails to start. A target without a driver goes on trying to get one.

use std::sync::mpsc::Sender;

use outboard_scsi::Lun;
use outboard_slots::Time;

use super::Target;
use super::pauses::Pauses;
use crate::io::mailbox::Post;
use crate::io::plan::{Plan, Serves};
use crate::io::reservations::StateError;
use crate::io::supervisor::{self, DEATHS_MAX, Leave, Pause, Running, StartError, Started};
use crate::report::{Kind, Report, TASKS_NAMED, hex, now_ms};
use crate::status::DriverState;

/// How long a driver may take to run empty before it is replaced all the same, ns.
const RUN_EMPTY_NS: u64 = 5_000_000_000;
/// An incarnation that lives so long is not one of a row of deaths, ns.
const SOUND_NS: u64 = 10_000_000_000;
/// An incarnation that lives so long has come up, ns.
const UP_NS: u64 = 1_000_000_000;
/// Pause before another attempt where the fence has not come, ns.
const FENCE_AGAIN_NS: u64 = 1_000_000_000;
/// Pause before another attempt for a target whose driver does not start, ns.
const START_AGAIN_NS: u64 = 10_000_000_000;

/// What has happened to the driver.
#[derive(Debug)]
pub(super) struct Supervision {
    pub(super) state: DriverState,
    pub(super) restarts: u64,
    pub(super) violations: u64,
    pub(super) last_reason: Option<String>,
    pub(super) pauses: Pauses,
    /// in a row, without a completed task between
    deaths: usize,
    /// deaths by its own fault, in a row
    faults: usize,
    /// tasks completed when the present incarnation started
    completed_before: u64,
    /// when it started
    since: Option<Time>,
    lost_at: Time,
    /// a successor is being started
    is_starting: bool,
    /// when to try again
    again: Option<Time>,
}

/// Why a driver is given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lost {
    /// its process has ended: it crashed, or somebody killed it
    Ended,
    /// it runs and cannot go on: it says so, hangs, or answers what cannot be
    AtFault(Kind),
}

/// A replacement that was asked for.
#[derive(Debug)]
pub(super) struct Replacement {
    serves: Serves,
    done: Sender<Result<Vec<String>, String>>,
    give_up: Time,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// the driver runs empty
    Held,
    /// the successor is on its way; this was served before
    UnderWay(Serves),
    /// it cannot serve what is new, for this reason: what was before comes back
    Undoing(String),
}

impl Supervision {
    /// Of a driver that has just started.
    pub(super) fn running() -> Self {
        Self {
            state: DriverState::Running,
            restarts: 0,
            violations: 0,
            last_reason: None,
            pauses: Pauses::default(),
            deaths: 0,
            faults: 0,
            completed_before: 0,
            since: None,
            lost_at: Time::ZERO,
            is_starting: false,
            again: None,
        }
    }
}

impl Target {
    /// Whether a successor of the driver is on its way.
    pub fn is_replacing(&self) -> bool {
        self.supervision.is_starting
    }

    /// When the clock alone has something to do for the driver.
    pub(super) fn next_attempt(&self) -> Time {
        let held = match &self.replacement {
            Some(Replacement { step: Step::Held, give_up, .. }) if !self.is_replacing() => *give_up,
            _ => Time::NEVER,
        };
        self.supervision.again.map_or(held, |again| again.min(held))
    }

    /// The driver is dead or unfit: fence it and start its successor.
    pub(super) fn lose(&mut self, now: Time, why: Lost, reason: String, post: &Post, index: usize) {
        let Some(running) = self.running.take() else { return };
        let supervision = &mut self.supervision;
        let completed = self.stack.counters().completed;
        let lived = supervision.since.is_none_or(|since| now >= since.plus_nanos(SOUND_NS));
        // An idle driver has nothing to complete; one that does not outlive its start is in vain.
        let came_up = supervision.since.is_none_or(|since| now >= since.plus_nanos(UP_NS));
        let idle = came_up && self.stack.in_driver() == 0;
        let in_vain = completed == supervision.completed_before && !idle;
        supervision.deaths = match in_vain && !lived {
            true => supervision.deaths + 1,
            false => 1,
        };
        // One that fails again and again keeps the machine busy with its restarts, whatever it does
        // between.
        supervision.faults = match (why, lived) {
            (Lost::Ended, true) => 0,
            (Lost::Ended, false) => supervision.faults,
            (Lost::AtFault(_), true) => 1,
            (Lost::AtFault(_), false) => supervision.faults + 1,
        };
        supervision.violations = self.stack.counters().violations;
        supervision.state = DriverState::Replacing;
        supervision.lost_at = now;
        supervision.pauses.lost(now);
        tracing::warn!(target = self.name, pid = running.driver.pid(), reason, "driver lost");
        supervision.last_reason = Some(reason);
        let leave = Leave::Killed { deaths: supervision.deaths.max(supervision.faults) };
        let kind = match why {
            Lost::Ended => Kind::Ended,
            Lost::AtFault(kind) => kind,
        };
        let report = self.death_report(kind, &running, now);
        self.stack.driver_lost();
        self.begin_replacing(Some((running, Some(report))), leave, post, index);
    }

    /// What is known of a death before the process is looked at.
    fn death_report(&self, kind: Kind, running: &Running, now: Time) -> Box<Report> {
        let (driver, supervision) = (&running.driver, &self.supervision);
        let tasks = self.stack.last_tasks(TASKS_NAMED);
        Box::new(Report {
            at_ms: now_ms(),
            target: self.name.clone(),
            identifier: driver.manifest().identifier.clone(),
            version: driver.manifest().version.clone(),
            pid: driver.pid(),
            kind,
            reason: supervision.last_reason.clone().unwrap_or_default(),
            lived_ms: supervision.since.map(|since| now.since(since).as_millis() as u64),
            deaths: supervision.deaths as u64,
            tasks_in_driver: self.stack.in_driver() as u64,
            tasks: tasks.into_iter().map(Into::into).collect(),
            ..Report::default()
        })
    }

    fn begin_replacing(
        &mut self,
        old: Option<(Running, Option<Box<Report>>)>,
        leave: Leave,
        post: &Post,
        index: usize,
    ) {
        if let Some(replacement) = &mut self.replacement
            && let Step::Held = replacement.step
        {
            // Whatever the reason, the successor has what is new.
            let before = std::mem::replace(&mut self.plan.serves, replacement.serves.clone());
            replacement.step = Step::UnderWay(before);
        }
        self.supervision.is_starting = true;
        self.supervision.again = None;
        self.requests.clear();
        let mut erasures = self.stack.erasures();
        if let Some(Replacement { step: Step::UnderWay(before), .. }) = &self.replacement {
            // The key of another array that comes in its place is nobody's to erase.
            let serves = &self.plan.serves;
            erasures.retain(|lun| before.encrypted(*lun) == serves.encrypted(*lun));
        }
        let (plan, region) = (Plan { erasures, ..self.plan.clone() }, self.region.clone());
        supervisor::replace(old, self.fenced.clone(), leave, plan, region, post.clone(), index);
    }

    /// A successor has been started, or not.
    pub fn driver_started(&mut self, now: Time, started: Started, post: &Post, index: usize) {
        self.supervision.is_starting = false;
        let Started { result, drained, erased, given, unwritten, pause } = started;
        self.supervision.pauses.tried(&pause);
        if drained.is_some() {
            self.drained = drained;
        }
        let fenced = !matches!(result, Err(StartError::Fence(_) | StartError::Thread(_)));
        if fenced {
            // One that did not come up may have touched them: they are fenced before the next.
            self.fenced = given;
        }
        if unwritten {
            self.stack.driver_lost();
        }
        if fenced && let Some(mut drained) = self.drained.take() {
            self.stack.driver_fenced(now, &mut drained, &mut self.answers);
        }
        for (lun, erased) in erased {
            self.stack.erased(lun, erased);
        }
        let taken = match result {
            Ok(running) => self.take_over(now, running, pause),
            Err(error) => Err(Failed { reason: error.to_string(), fenced, running: None }),
        };
        let replacement = self.replacement.take();
        match (taken, replacement) {
            (taken, Some(replacement)) if matches!(replacement.step, Step::Held) => {
                // It was asked for meanwhile.
                self.replacement = Some(replacement);
                if let Err(failed) = taken {
                    self.start_failed(now, failed, post, index);
                }
            }
            (Ok(changes), Some(Replacement { step, done, .. })) => {
                let outcome = match step {
                    Step::Undoing(reason) => Err(reason),
                    _ => Ok(changes),
                };
                let _ = done.send(outcome);
            }
            (Err(failed), Some(mut replacement)) => {
                if let Step::UnderWay(before) = replacement.step {
                    let reason = failed.reason;
                    tracing::error!(target = self.name, reason, "goes on with what was before");
                    self.plan.serves = before;
                    replacement.step = Step::Undoing(reason);
                    self.replacement = Some(replacement);
                    let leave = Leave::Killed { deaths: 1 };
                    self.begin_replacing(failed.running.map(|r| (*r, None)), leave, post, index);
                } else {
                    if let Step::Undoing(reason) = replacement.step {
                        let now = "and what was before cannot be served again now";
                        let _ = replacement.done.send(Err(format!("{reason}; {now}")));
                    }
                    self.start_failed(now, failed, post, index);
                }
            }
            (Ok(_), None) => {}
            (Err(failed), None) => self.start_failed(now, failed, post, index),
        }
    }

    fn take_over(
        &mut self,
        now: Time,
        running: Running,
        pause: Pause,
    ) -> Result<Vec<String>, Failed> {
        let driver = &running.driver;
        let adopted = match self.stack.adopt(driver.report(), driver.identifiers()) {
            Ok(adopted) => adopted,
            Err(error) => {
                let reason = error.to_string();
                let running = Some(Box::new(running));
                return Err(Failed { reason, fenced: true, running });
            }
        };
        for lun in adopted.removed.iter().chain(&adopted.replaced) {
            self.server.unit_lost(Lun::new(*lun).unwrap_or(Lun::ZERO).encode());
        }
        let mut changes = Vec::new();
        for (what, luns) in [
            ("added", &adopted.added),
            ("removed", &adopted.removed),
            ("replaced", &adopted.replaced),
            ("changed", &adopted.changed),
        ] {
            changes.extend(luns.iter().map(|lun| format!("{}: LUN {lun} {what}", self.name)));
        }
        self.plan.serves.tell_encrypted(self.stack.target_mut());
        for lun in adopted.added.iter().chain(&adopted.replaced) {
            self.restore_reservations(Lun::new(*lun).unwrap_or(Lun::ZERO));
        }
        let waits = matches!(&self.replacement, Some(Replacement { step: Step::Held, .. }));
        self.stack.hold(waits);
        self.stack.driver_replaced(now);
        self.tally.sweep(|slot| self.stack.holds(slot));
        for poison in self.stack.poison() {
            tracing::error!(
                target = self.name,
                lun = poison.lun,
                initiator = poison.initiator,
                tag = poison.tag,
                cdb = hex(&poison.cdb),
                deaths = poison.deaths,
                "a command ended with HARDWARE ERROR: each driver that had it died"
            );
        }
        let supervision = &mut self.supervision;
        supervision.state = DriverState::Running;
        supervision.restarts += 1;
        supervision.completed_before = self.stack.counters().completed;
        supervision.since = Some(now);
        supervision.pauses.taken_over(now, supervision.completed_before, self.stack.in_use() == 0);
        let total = now.since(supervision.lost_at);
        tracing::info!(
            target = self.name,
            pid = driver.pid(),
            total_ms = total.as_millis() as u64,
            end_ms = pause.end.as_millis() as u64,
            fence_ms = pause.fence.as_millis() as u64,
            start_ms = pause.start.as_millis() as u64,
            "driver replaced"
        );
        self.running = Some(running);
        Ok(changes)
    }

    /// A unit that is new here has the reservations that its file keeps; those of another disk, which
    /// had its number before, are set aside.
    fn restore_reservations(&mut self, lun: Lun) {
        let Some(folder) = &self.reservations else { return };
        let restored = match folder.restore(self.stack.target_mut(), lun) {
            Err(StateError::Content { path, source }) => {
                tracing::warn!(path = %path.display(), %source, "reservations are set aside");
                folder.set_aside(lun)
            }
            other => other,
        };
        if let Err(error) = restored {
            tracing::error!(target = self.name, %error, "reservations are not restored");
        }
    }

    /// The successor did not come up: try again a few times, then answer without a driver.
    fn start_failed(&mut self, now: Time, failed: Failed, post: &Post, index: usize) {
        let Failed { reason, fenced, running } = failed;
        let supervision = &mut self.supervision;
        let known = supervision.last_reason.as_ref() == Some(&reason);
        if !(known && supervision.state == DriverState::Failed) {
            tracing::error!(target = self.name, reason, "no driver");
        }
        supervision.last_reason = Some(reason);
        supervision.deaths += 1;
        if !fenced {
            // Neither repetition nor end before the fence.
            supervision.again = Some(now.plus_nanos(FENCE_AGAIN_NS));
            return;
        }
        if supervision.deaths <= DEATHS_MAX && supervision.state != DriverState::Failed {
            let leave = Leave::Killed { deaths: supervision.deaths };
            return self.begin_replacing(running.map(|r| (*r, None)), leave, post, index);
        }
        supervisor::end_unwanted(running);
        supervision.again = Some(now.plus_nanos(START_AGAIN_NS));
        if supervision.state != DriverState::Failed {
            supervision.state = DriverState::Failed;
            self.stack.hold(false);
            self.stack.driver_gone_for_good();
            self.tally.sweep(|slot| self.stack.holds(slot));
        }
    }

    /// A target without a driver tries to get one, now and then.
    pub(super) fn try_again(&mut self, now: Time, post: &Post, index: usize) {
        if self.supervision.again.is_some_and(|again| now >= again) {
            self.begin_replacing(None, Leave::Killed { deaths: 1 }, post, index);
        }
    }

    /// Serves something else from now on: the driver runs empty, then its successor has it.
    pub fn replace(
        &mut self,
        now: Time,
        serves: Serves,
        done: Sender<Result<Vec<String>, String>>,
    ) {
        if self.replacement.is_some() {
            let _ = done.send(Err(format!("{}: a replacement is under way", self.name)));
            return;
        }
        let give_up = now.plus_nanos(RUN_EMPTY_NS);
        self.stack.hold(true);
        self.replacement = Some(Replacement { serves, done, give_up, step: Step::Held });
    }

    /// Begins the replacement of a driver whose units are to forget their keys: each start of a
    /// successor does what of that is to be done.
    pub(super) fn begin_erasures(&mut self, now: Time) {
        let underway = self.replacement.is_some() || self.is_replacing() || self.running.is_none();
        if !underway && !self.stack.erasures().is_empty() {
            let (done, _) = std::sync::mpsc::channel();
            self.replace(now, self.plan.serves.clone(), done);
        }
    }

    pub(super) fn go_on_with_replacement(&mut self, now: Time, post: &Post, index: usize) {
        let Some(Replacement { step: Step::Held, give_up, .. }) = &self.replacement else { return };
        let empty = self.stack.in_driver() == 0;
        if self.is_replacing() || !(empty || now >= *give_up) {
            return;
        }
        let old = self.running.take();
        self.supervision.lost_at = now;
        self.supervision.pauses.lost(now);
        self.supervision.state = DriverState::Replacing;
        self.supervision.deaths = 0;
        self.supervision.faults = 0;
        let leave = match empty {
            true => {
                self.stack.driver_left();
                Leave::InOrder
            }
            false => {
                self.stack.driver_lost();
                Leave::Killed { deaths: 1 }
            }
        };
        self.begin_replacing(old.map(|old| (old, None)), leave, post, index);
    }
}

/// Why there is no successor.
struct Failed {
    reason: String,
    /// the last I/O of its predecessor has ended
    fenced: bool,
    /// a process that runs and cannot be used
    running: Option<Box<Running>>,
}
