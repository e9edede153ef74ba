//! One target: its sessions, its SCSI stack, its driver. One I/O thread drives it.

mod pauses;
mod requests;
mod supervision;

use outboard_disk::fence::FencedDisk;
use outboard_hba::Path;
use outboard_hba::control::ControlError;
use outboard_host::channel::{Channel, ChannelError, Completed, Drained};
use outboard_host::driver::DriverStatus;
use outboard_host::stack::{Answer, Stack};
use outboard_iscsi::server::{Server, SessionStatus};
use outboard_sandbox::Measure;
use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Entry, Memory, ParallelTask, Region, SENSE_BYTES, Time};

use self::requests::Requests;
use self::supervision::{Lost, Replacement, Supervision};
use super::backend::{Scsi, scsi_answer};
use super::mailbox::Post;
use super::plan::Plan;
use super::recorder::{Done, Recorder, Traced};
use super::reservations::Folder;
use super::supervisor::Running;
use super::tally::Tally;
use crate::report::Kind;
use crate::status::{Counters, DriverState, Latency, Pause};
use crate::trace::{TraceError, Wanted};

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
    /// what the dead driver had completed, until it is fenced
    drained: Option<Drained>,
    /// what the incarnations since the last fence have opened
    fenced: Vec<FencedDisk>,
    plan: Plan,
    tally: Tally,
    answers: Vec<Answer>,
    requests: Requests,
    reservations: Option<Folder>,
    supervision: Supervision,
    replacement: Option<Replacement>,
    /// while somebody asks for it
    trace: Option<Box<Recorder>>,
}

/// How a target is.
#[derive(Debug)]
pub struct TargetReport {
    /// its iSCSI name
    pub name: String,
    /// its driver's process
    pub pid: Option<u32>,
    /// what confines that, and what could not
    pub sandbox: Vec<Measure>,
    /// what that does
    pub state: DriverState,
    /// how often it was replaced
    pub restarts: u64,
    /// completions that could not be
    pub violations: u64,
    /// why it was last replaced
    pub last_reason: Option<String>,
    /// the last pauses
    pub pauses: Vec<Pause>,
    /// all pauses by length
    pub pause: Latency,
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
            fenced: running.fenced.clone(),
            running: Some(running),
            drained: None,
            plan,
            tally: Tally::default(),
            answers: Vec::new(),
            requests: Requests::default(),
            reservations,
            supervision: Supervision::running(),
            replacement: None,
            trace: None,
        }
    }

    /// The region's memory, and the sessions with the stack lent to them.
    pub fn lend(&mut self, now: Time) -> (&mut Server, Scsi<'_>, &Memory) {
        let scsi = Scsi {
            now,
            stack: &mut self.stack,
            memory: &self.memory,
            tally: &mut self.tally,
            trace: self.trace.as_deref_mut(),
        };
        (&mut self.server, scsi, &self.memory)
    }

    /// One round: to the driver, from the driver, to the sessions. Whether anything moved.
    pub fn turn(&mut self, now: Time, post: &Post, index: usize) -> bool {
        let mut moved = self.look_at_driver(now, post, index);
        self.try_again(now, post, index);
        let turned = match (&mut self.running, &mut self.trace) {
            (Some(running), None) => self.stack.turn(now, &mut *running.channel, &mut self.answers),
            (Some(running), Some(recorder)) => {
                let (inner, region) = (&mut *running.channel, &self.region);
                self.stack.turn(now, &mut Traced { inner, region, recorder }, &mut self.answers)
            }
            (None, _) => self.stack.turn(now, &mut NoDriver, &mut self.answers),
        };
        match turned {
            Ok(answered) => moved |= answered,
            Err(error) => {
                self.lose(now, Lost::AtFault(Kind::Channel), error.to_string(), post, index);
            }
        }
        self.supervision.pauses.completed(now, self.stack.counters().completed);
        if (self.stack.has_requests() || self.requests.wait())
            && let Some(running) = &self.running
        {
            let new = self.stack.requests(&*running.channel);
            match self.requests.send(now, new, |request| running.driver.manage(request)) {
                // A closed control socket is a dead driver: the watcher tells.
                Ok(()) | Err(ControlError::Closed) => {}
                Err(error) => {
                    self.lose(now, Lost::AtFault(Kind::Channel), error.to_string(), post, index);
                }
            }
        }
        if let Some(reason) = self.stack.unfit() {
            let reason = reason.to_owned();
            let kind = self.stack.unfit_kind().map_or(Kind::Unknown, Kind::from);
            self.lose(now, Lost::AtFault(kind), reason, post, index);
        }
        moved |= self.keep_reservations();
        self.answer(now);
        if self.trace.as_ref().is_some_and(|trace| trace.is_over(now)) {
            self.end_trace();
        }
        self.begin_erasures(now);
        self.go_on_with_replacement(now, post, index);
        moved
    }

    /// Gives the sessions what has ended, then what management functions have ended.
    fn answer(&mut self, now: Time) {
        let mut answers = std::mem::take(&mut self.answers);
        for answer in answers.drain(..) {
            self.tally.end(now, &answer);
            if let Some(trace) = &mut self.trace {
                trace.answered(&answer);
            }
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
        let trace = self.trace.as_ref().map_or(Time::NEVER, |trace| trace.until());
        let requests = self.requests.next_event();
        stack.min(self.server.next_event()).min(self.next_attempt()).min(trace).min(requests)
    }

    /// Records tasks from now on, for `done`; one at a time.
    pub fn trace(&mut self, now: Time, wanted: Wanted, done: Done) {
        if self.trace.as_ref().is_some_and(|trace| !trace.is_over(now)) {
            let _ = done.send(Err(TraceError::Busy(self.name.clone())));
            return;
        }
        self.end_trace();
        self.region.set_traced(true);
        self.trace = Some(Box::new(Recorder::new(now, wanted, done)));
    }

    fn end_trace(&mut self) {
        let Some(trace) = self.trace.take() else { return };
        self.region.set_traced(false);
        let nexuses = self.stack.target().nexuses();
        trace.end(&self.name, |index| {
            let nexus = nexuses.nexus(nexuses.at(index)?)?;
            Some(nexus.initiator_port.clone())
        });
    }

    /// The driver's queue, and the tasks it has.
    pub fn channel(&mut self) -> Option<(&mut dyn Channel, usize)> {
        let in_driver = self.stack.in_driver();
        self.running.as_mut().map(|running| (&mut *running.channel as &mut dyn Channel, in_driver))
    }

    /// Announces to the driver that this thread sleeps: `None` if there is no driver, `Some(None)` if
    /// it has something already, for this thread not to sleep on.
    pub fn announce(&mut self) -> Option<Option<Doorbell<'_>>> {
        let Running { driver, channel, .. } = self.running.as_mut()?;
        let doorbell = channel.announce();
        // One that died before the announcement has rung for nobody.
        Some(doorbell.filter(|_| !driver.has_news()))
    }

    /// Tasks that the driver has.
    pub fn in_driver(&self) -> usize {
        self.stack.in_driver()
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
        // Asking for the status takes the news; answers that come later are news again.
        let status = running.driver.status();
        for (id, _) in running.driver.managed() {
            self.stack.confirmed(id);
        }
        match status {
            DriverStatus::Running => {}
            DriverStatus::Failed(reason) => {
                self.lose(now, Lost::AtFault(Kind::Failed), reason, post, index);
            }
            DriverStatus::Gone => {
                let reason = "its process has ended".to_owned();
                self.lose(now, Lost::Ended, reason, post, index);
            }
        }
        true
    }

    /// How it is.
    pub fn report(&mut self, now: Time) -> TargetReport {
        let supervision = &self.supervision;
        let violations = supervision.violations.max(self.stack.counters().violations);
        let used = self.stack.in_use() as u64;
        let pool = self.region.layout().config.pool_bytes;
        let (pauses, pause) = supervision.pauses.report();
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
            sandbox: self.running.as_ref().map_or_else(Vec::new, |r| r.driver.measures().to_vec()),
            state: supervision.state,
            restarts: supervision.restarts,
            violations,
            last_reason: supervision.last_reason.clone(),
            pauses,
            pause,
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
