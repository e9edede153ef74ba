//! Keeps a queue of commands full and sees each of them end.

use hdrhistogram::Histogram;
use outboard_host::stack::{Accepted, Answer, Command};
use outboard_scsi::{Status, TaskAttribute, command::build::Cdb};
use outboard_slots::{Memory, Time};

use super::error::RunError;
use super::session::Session;

/// One command of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io {
    pub(crate) cdb: Cdb,
    pub(crate) bytes: u64,
    /// the load's own name for it
    pub(crate) name: u64,
    pub(crate) write: bool,
}

/// Where commands come from.
pub(crate) trait Load {
    /// The next command, or the end of the load.
    fn next(&mut self, now: Time) -> Option<Io>;
    /// Fills a write's buffer.
    fn fill(&mut self, _io: &Io, _memory: &Memory, _offset: u64) {}
    /// A command has ended well. `false` if its data is not what was written.
    fn ended(&mut self, _io: &Io, _memory: &Memory, _offset: u64, _now: Time) -> bool {
        true
    }
}

/// What a run came to.
pub(crate) struct Tally {
    pub(crate) tasks: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) wall_ns: u64,
    pub(crate) host_cpu_ns: u64,
    pub(crate) driver_cpu_ns: u64,
    pub(crate) latency: Histogram<u64>,
    /// the first failed command, for the message
    pub(crate) first_error: Option<String>,
}

/// Commands handed over at a time: half the depth, so that the driver works on one half while this
/// side works on the other, but within these bounds.
const QUANTUM_MIN: u32 = 8;
const QUANTUM_MAX: u32 = 16;
/// Longest the loop sleeps without a completion before it looks at the driver's health, ns.
const LOOK_NS: u64 = 50_000_000;

/// Runs `load` at `depth` until it ends, submitting when at least `bundle` places are free.
pub(crate) fn drive(
    session: &mut Session,
    load: &mut impl Load,
    depth: u32,
    bundle: u32,
) -> Result<Tally, RunError> {
    let mut tally = Tally::new();
    let quantum = (depth / 2).clamp(QUANTUM_MIN, QUANTUM_MAX).max(bundle);
    let mut answers: Vec<Answer> = Vec::with_capacity(depth as usize * 2);
    let mut flying: Vec<Option<(Io, Time)>> = vec![None; depth as usize];
    let mut free: Vec<u32> = (0..depth).rev().collect();
    let mut held: Option<Io> = None;
    let (host_before, driver_before) = session.cpu_ns();
    let start = Time::now();
    let mut now = start;
    let mut more = true;
    while more || free.len() < depth as usize {
        let mut moved = false;
        let mut room = quantum;
        while more && (moved || free.len() >= bundle as usize) {
            if room == 0 {
                let handed = session.stack.hand_over(now, &mut *session.channel);
                handed.map_err(|e| session.lost(e))?;
                room = quantum;
            }
            let Some(&place) = free.last() else { break };
            let Some(io) = held.take().or_else(|| load.next(now)) else {
                more = false;
                break;
            };
            let command = Command {
                nexus: session.nexus,
                lun: session.lun,
                cdb: io.cdb.as_slice(),
                attribute: TaskAttribute::Simple,
                tag: u64::from(place) + 1,
                expected: io.bytes,
                cookie: u64::from(place),
            };
            match session.stack.submit(now, &command) {
                Accepted::Slot { slot, offset, .. } => {
                    if io.write {
                        load.fill(&io, &session.memory, offset);
                    }
                    session.stack.ready(slot, TaskAttribute::Simple);
                    flying[place as usize] = Some((io, now));
                    free.pop();
                    room -= 1;
                    moved = true;
                }
                Accepted::Full => {
                    held = Some(io);
                    break;
                }
                Accepted::Answered(answer) => {
                    tally.fail(&io, &answer);
                    moved = true;
                }
            }
        }
        let completed = session.stack.turn(now, &mut *session.channel, &mut answers);
        let completed = completed.map_err(|e| session.lost(e))?;
        // After the turn: on the synchronous paths the driver has worked in it.
        now = Time::now();
        for answer in answers.drain(..) {
            let place = answer.cookie as usize;
            let Some((io, began)) = flying.get_mut(place).and_then(Option::take) else { continue };
            free.push(place as u32);
            let good = answer.status == Status::Good && answer.transferred == io.bytes;
            if good && load.ended(&io, &session.memory, answer.offset, now) {
                tally.tasks += 1;
                tally.bytes += io.bytes;
                tally.latency.saturating_record(now.since(began).as_nanos() as u64);
            } else {
                tally.fail(&io, &answer);
            }
            if let Some(slot) = answer.slot {
                session.stack.finish(slot);
            }
        }
        if !completed && !moved {
            session.check_driver()?;
            if let Some(reason) = session.stack.unfit() {
                return Err(RunError::DriverFailed(reason.to_owned()));
            }
            if free.len() < depth as usize {
                session.channel.idle(now, now.plus_nanos(LOOK_NS), session.stack.in_driver());
                now = Time::now();
            } else if held.is_some() {
                let what = "none of its slots is free and no task is in flight".to_owned();
                return Err(RunError::DriverFailed(what));
            }
        }
    }
    let (host_after, driver_after) = session.cpu_ns();
    tally.wall_ns = Time::now().since(start).as_nanos() as u64;
    tally.host_cpu_ns = host_after.saturating_sub(host_before);
    tally.driver_cpu_ns = driver_after.saturating_sub(driver_before);
    Ok(tally)
}

impl Tally {
    fn new() -> Self {
        Self {
            tasks: 0,
            bytes: 0,
            errors: 0,
            wall_ns: 0,
            host_cpu_ns: 0,
            driver_cpu_ns: 0,
            latency: crate::sample::latency_histogram(),
            first_error: None,
        }
    }

    fn fail(&mut self, io: &Io, answer: &Answer) {
        self.errors += 1;
        self.tasks += 1;
        if self.first_error.is_none() {
            let sense = answer.sense.as_deref().and_then(outboard_scsi::Sense::parse);
            let what = match (answer.status, sense) {
                (Status::Good, _) if answer.transferred != io.bytes => {
                    format!("{} of {} bytes moved", answer.transferred, io.bytes)
                }
                (Status::Good, _) => "the data is not what was written".to_owned(),
                (status, Some(sense)) => format!("{status}, {sense}"),
                (status, None) => status.to_string(),
            };
            let kind = if io.write { "write" } else { "read" };
            self.first_error = Some(format!("{kind} of {} bytes: {what}", io.bytes));
        }
    }
}
