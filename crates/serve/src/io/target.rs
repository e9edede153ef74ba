//! One target: its sessions, its SCSI stack, its driver. One I/O thread drives it.

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use outboard_hba::Path;
use outboard_host::channel::{Channel, ChannelError, Completed};
use outboard_host::driver::DriverStatus;
use outboard_host::stack::{Answer, Stack};
use outboard_iscsi::server::{Server, SessionStatus};
use outboard_slots::{Entry, Memory, ParallelTask, Region, SENSE_BYTES, Time};

use super::backend::{Scsi, scsi_answer};
use super::mailbox::Post;
use super::reservations::Folder;
use super::supervisor::{self, DEATHS_MAX, Leave, Pause, Plan, Running, Started};
use super::tally::Tally;
use crate::config::Array;
use crate::status::{Counters, DriverState};

/// How long a driver may take to run empty before it is replaced all the same, ns.
const RUN_EMPTY_NS: u64 = 5_000_000_000;

/// A target.
pub struct Target {
    /// its iSCSI name
    pub name: String,
    /// its sessions
    pub server: Server,
    stack: Stack,
    region: Region,
    memory: Memory,
    running: Option<Running>,
    paths: Vec<PathBuf>,
    plan: Plan,
    tally: Tally,
    answers: Vec<Answer>,
    reservations: Option<Folder>,
    supervision: Supervision,
    replacement: Option<Replacement>,
}

/// What has happened to the driver.
#[derive(Debug, Default)]
struct Supervision {
    state: DriverState,
    restarts: u64,
    violations: u64,
    last_reason: Option<String>,
    /// in a row, without a completed task between
    deaths: usize,
    /// tasks completed when the present incarnation started
    completed_before: u64,
    lost_at: Time,
}

/// A replacement that was asked for.
#[derive(Debug)]
struct Replacement {
    units: Vec<(u16, Array)>,
    done: Sender<Result<Vec<String>, String>>,
    give_up: Time,
    /// the old driver is on its way out
    under_way: bool,
}

/// How a target is.
#[derive(Debug)]
pub struct TargetReport {
    /// its iSCSI name
    pub name: String,
    /// its driver's process
    pub pid: Option<u32>,
    /// what that does
    pub state: DriverState,
    /// how often it was replaced
    pub restarts: u64,
    /// completions that could not be
    pub violations: u64,
    /// why it was last replaced
    pub last_reason: Option<String>,
    /// slots in use, and all
    pub slots: (u64, u64),
    /// bytes of the pool in use, and all
    pub pool: (u64, u64),
    /// its LUNs
    pub luns: Vec<LunReport>,
    /// its sessions, with the age of each in ms
    pub sessions: Vec<(SessionStatus, u64)>,
}

/// How a LUN is.
#[derive(Debug)]
pub struct LunReport {
    /// its number
    pub lun: u16,
    /// unit serial number
    pub serial: String,
    /// logical blocks
    pub blocks: u64,
    /// bytes of one
    pub block_size: u32,
    /// writes are refused
    pub read_only: bool,
    /// the medium can be ejected
    pub removable: bool,
    /// thin provisioned
    pub thin: bool,
    /// what it has done
    pub counters: Counters,
}

impl Target {
    /// Around a driver that runs.
    pub fn new(
        name: String,
        server: Server,
        stack: Stack,
        running: Running,
        plan: Plan,
        reservations: Option<Folder>,
    ) -> Self {
        let region = running.driver.region().clone();
        Self {
            name,
            server,
            stack,
            memory: region.memory().clone(),
            region,
            paths: running.paths.clone(),
            running: Some(running),
            plan,
            tally: Tally::default(),
            answers: Vec::new(),
            reservations,
            supervision: Supervision { state: DriverState::Running, ..Supervision::default() },
            replacement: None,
        }
    }

    /// The region's memory, and the sessions with the stack lent to them.
    pub fn lend(&mut self, now: Time) -> (&mut Server, Scsi<'_>, &Memory) {
        let scsi =
            Scsi { now, stack: &mut self.stack, memory: &self.memory, tally: &mut self.tally };
        (&mut self.server, scsi, &self.memory)
    }

    /// One round: to the driver, from the driver, to the sessions. Whether anything moved.
    pub fn turn(&mut self, now: Time, post: &Post, index: usize) -> bool {
        let mut moved = self.look_at_driver(now, post, index);
        for (id, _) in self.running.as_ref().map(|r| r.driver.managed()).unwrap_or_default() {
            self.stack.confirmed(id);
            moved = true;
        }
        let turned = match &mut self.running {
            Some(running) => self.stack.turn(now, &mut *running.channel, &mut self.answers),
            None => self.stack.turn(now, &mut NoDriver, &mut self.answers),
        };
        match turned {
            Ok(answered) => moved |= answered,
            Err(error) => self.lose(now, error.to_string(), post, index),
        }
        if self.stack.has_requests()
            && let Some(running) = &mut self.running
        {
            for request in self.stack.requests(&*running.channel) {
                // A closed control socket is a dead driver: the watcher tells.
                let _ = running.driver.manage(request);
            }
        }
        if let Some(reason) = self.stack.unfit() {
            let reason = reason.to_owned();
            self.lose(now, reason, post, index);
        }
        moved |= self.keep_reservations();
        self.answer(now);
        self.go_on_with_replacement(now, post, index);
        moved
    }

    /// Gives the sessions what has ended, then what management functions have ended.
    fn answer(&mut self, now: Time) {
        let mut answers = std::mem::take(&mut self.answers);
        for answer in answers.drain(..) {
            self.tally.end(now, &answer);
            let (server, mut scsi, _) = self.lend(now);
            server.answer(now, &mut scsi, scsi_answer(answer));
        }
        self.answers = answers;
        for managed in self.stack.managed() {
            let (server, mut scsi, _) = self.lend(now);
            server.managed(now, &mut scsi, managed.cookie);
        }
        if now >= self.server.next_event() {
            let (server, mut scsi, _) = self.lend(now);
            server.tick(now, &mut scsi);
        }
    }

    /// Puts changed reservations on the medium; the commands that changed them are answered in the
    /// next turn. Returns whether there were any.
    fn keep_reservations(&mut self) -> bool {
        let records = self.stack.state_records();
        for record in &records {
            let written = self.reservations.as_ref().map_or(Ok(()), |f| f.write(&record.change));
            if let Err(error) = &written {
                tracing::error!(target = self.name, %error, "persistent reservations are not kept");
            }
            self.stack.state_kept(record, written.is_ok());
        }
        !records.is_empty()
    }

    /// When this target next wants a turn by the clock alone.
    pub fn next_event(&self) -> Time {
        let stack = match self.stack.in_use() {
            0 => Time::NEVER,
            _ => self.stack.next_deadline(),
        };
        let replacement = self.replacement.as_ref().map_or(Time::NEVER, |r| r.give_up);
        stack.min(self.server.next_event()).min(replacement)
    }

    /// The driver's queue, and the tasks it has.
    pub fn channel(&mut self) -> Option<(&mut dyn Channel, usize)> {
        let in_driver = self.stack.in_driver();
        self.running.as_mut().map(|running| (&mut *running.channel as &mut dyn Channel, in_driver))
    }

    /// Tasks of any kind.
    pub fn in_use(&self) -> usize {
        self.stack.in_use()
    }

    fn look_at_driver(&mut self, now: Time, post: &Post, index: usize) -> bool {
        let Some(running) = &self.running else { return false };
        if !running.driver.has_news() {
            return false;
        }
        match running.driver.status() {
            DriverStatus::Running => {}
            DriverStatus::Failed(reason) => self.lose(now, reason, post, index),
            DriverStatus::Gone => {
                self.lose(now, "its process has ended".to_owned(), post, index);
            }
        }
        true
    }

    /// The driver is dead or unfit: fence it and start its successor.
    fn lose(&mut self, now: Time, reason: String, post: &Post, index: usize) {
        let Some(running) = self.running.take() else { return };
        let supervision = &mut self.supervision;
        let completed = self.stack.counters().completed;
        supervision.deaths = match completed == supervision.completed_before {
            true => supervision.deaths + 1,
            false => 1,
        };
        supervision.violations = self.stack.counters().violations;
        supervision.state = DriverState::Replacing;
        supervision.lost_at = now;
        tracing::warn!(target = self.name, pid = running.driver.pid(), reason, "driver lost");
        supervision.last_reason = Some(reason);
        self.stack.driver_lost();
        let leave = Leave::Killed { deaths: supervision.deaths };
        self.begin_replacing(Some(running), leave, post, index);
    }

    fn begin_replacing(&mut self, old: Option<Running>, leave: Leave, post: &Post, index: usize) {
        if let Some(replacement) = &mut self.replacement {
            // Whatever the reason, the successor has the new units.
            replacement.under_way = true;
            self.plan.units.clone_from(&replacement.units);
        }
        let paths = std::mem::take(&mut self.paths);
        let (plan, region) = (self.plan.clone(), self.region.clone());
        supervisor::replace(old, paths, leave, plan, region, post.clone(), index);
    }

    /// A successor has been started, or not.
    pub fn driver_started(&mut self, now: Time, started: Started, post: &Post, index: usize) {
        let Started { result, pause } = started;
        let adopted = match result {
            Ok(running) => self.take_over(now, running, pause),
            Err(error) => Err(error.to_string()),
        };
        let replacement = self.replacement.take();
        match adopted {
            Ok(changes) => {
                if let Some(replacement) = replacement {
                    let _ = replacement.done.send(Ok(changes));
                }
            }
            Err(reason) => {
                tracing::error!(target = self.name, reason, "no driver");
                if let Some(replacement) = replacement {
                    let _ = replacement.done.send(Err(reason.clone()));
                }
                self.start_failed(reason, post, index);
            }
        }
    }

    fn take_over(
        &mut self,
        now: Time,
        running: Running,
        pause: Pause,
    ) -> Result<Vec<String>, String> {
        let driver = &running.driver;
        let adopted = self.stack.adopt(driver.report(), driver.identifiers());
        let adopted = adopted.map_err(|error| error.to_string())?;
        let mut changes = Vec::new();
        for (what, luns) in [
            ("added", &adopted.added),
            ("removed", &adopted.removed),
            ("replaced", &adopted.replaced),
            ("changed", &adopted.changed),
        ] {
            changes.extend(luns.iter().map(|lun| format!("{}: LUN {lun} {what}", self.name)));
        }
        if let Some(folder) = &self.reservations {
            for lun in adopted.added.iter().chain(&adopted.replaced) {
                let lun = outboard_scsi::Lun::new(*lun).unwrap_or(outboard_scsi::Lun::ZERO);
                if let Err(error) = folder.restore(self.stack.target_mut(), lun) {
                    tracing::error!(target = self.name, %error, "reservations are not restored");
                }
            }
        }
        self.stack.hold(false);
        self.stack.driver_replaced(now);
        let supervision = &mut self.supervision;
        supervision.state = DriverState::Running;
        supervision.restarts += 1;
        supervision.completed_before = self.stack.counters().completed;
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
        self.paths.clone_from(&running.paths);
        self.running = Some(running);
        Ok(changes)
    }

    /// The successor did not come up: try again a few times, then answer without a driver.
    fn start_failed(&mut self, reason: String, post: &Post, index: usize) {
        let supervision = &mut self.supervision;
        supervision.last_reason = Some(reason);
        supervision.deaths += 1;
        if supervision.deaths <= DEATHS_MAX {
            let leave = Leave::Killed { deaths: supervision.deaths };
            self.begin_replacing(None, leave, post, index);
        } else {
            supervision.state = DriverState::Failed;
            self.stack.driver_gone_for_good();
        }
    }

    /// Serves other arrays from now on: the driver runs empty, then its successor has them.
    pub fn replace(
        &mut self,
        now: Time,
        units: Vec<(u16, Array)>,
        done: Sender<Result<Vec<String>, String>>,
    ) {
        if self.replacement.is_some() {
            let _ = done.send(Err(format!("{}: a replacement is under way", self.name)));
            return;
        }
        let give_up = now.plus_nanos(RUN_EMPTY_NS);
        self.stack.hold(true);
        self.replacement = Some(Replacement { units, done, give_up, under_way: false });
    }

    fn go_on_with_replacement(&mut self, now: Time, post: &Post, index: usize) {
        let Some(replacement) = &self.replacement else { return };
        let empty = self.stack.in_driver() == 0;
        if replacement.under_way || !(empty || now >= replacement.give_up) {
            return;
        }
        if self.running.is_none() && self.supervision.state == DriverState::Replacing {
            return;
        }
        let old = self.running.take();
        self.supervision.lost_at = now;
        self.supervision.state = DriverState::Replacing;
        self.stack.driver_lost();
        let leave = if empty { Leave::InOrder } else { Leave::Killed { deaths: 1 } };
        self.begin_replacing(old, leave, post, index);
    }

    /// How it is.
    pub fn report(&mut self, now: Time) -> TargetReport {
        let supervision = &self.supervision;
        let violations = supervision.violations.max(self.stack.counters().violations);
        let used = self.stack.in_use() as u64;
        let pool = self.region.layout().config.pool_bytes;
        let mut luns = Vec::new();
        let numbers: Vec<_> = self.stack.target().luns().collect();
        for lun in numbers {
            let Some(unit) = self.stack.target().unit(lun) else { continue };
            let config = unit.config();
            luns.push(LunReport {
                lun: lun.number(),
                serial: config.identity.serial().to_owned(),
                blocks: config.capacity.blocks(),
                block_size: config.capacity.block_size(),
                read_only: config.read_only,
                removable: config.removable,
                thin: config.provisioning.thin().is_some(),
                counters: self.tally.of(lun.number()),
            });
        }
        let sessions = self.server.sessions().map(|session| {
            let age = now.since(session.since).as_millis() as u64;
            (session, age)
        });
        TargetReport {
            name: self.name.clone(),
            pid: self.running.as_ref().map(|r| r.driver.pid()),
            state: supervision.state,
            restarts: supervision.restarts,
            violations,
            last_reason: supervision.last_reason.clone(),
            slots: (used, used + u64::from(self.stack.free_slots())),
            pool: (pool - self.stack.free_buffer_bytes().min(pool), pool),
            luns,
            sessions: sessions.collect(),
        }
    }

    /// Ends the driver in order.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.channel);
            if let Err(error) = running.driver.stop() {
                tracing::warn!(target = self.name, %error, "the driver's end is not known");
            }
        }
    }
}

/// The channel while there is no driver: nothing goes over it.
struct NoDriver;

impl Channel for NoDriver {
    fn path(&self) -> Path {
        Path::Bundled
    }

    fn push(&mut self, _: Entry, _: u32, _: &ParallelTask) -> Result<(), ChannelError> {
        Err(ChannelError::Gone)
    }

    fn publish(&mut self, _now: Time) -> Result<(), ChannelError> {
        Ok(())
    }

    fn reap(&mut self, _now: Time, _completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        Ok(())
    }

    fn sense(&self, _slot: u16, _out: &mut [u8; SENSE_BYTES]) {}

    fn idle(&mut self, _now: Time, _until: Time, _outstanding: usize) {}

    fn sequence(&self) -> u32 {
        0
    }
}
