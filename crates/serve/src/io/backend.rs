//! The SCSI stack as the sessions see it.

use outboard_host::stack::{Accepted, Answer, Command, Function as StackFunction, Stack};
use outboard_iscsi::server::{Backend, Function, Managed, ScsiAnswer, ScsiCommand, Submitted};
use outboard_scsi::{Lun, TaskAttribute};
use outboard_slots::{Memory, Time};
use outboard_spc::NexusId;

use super::recorder::Recorder;
use super::tally::Tally;

/// Bytes that a digest is computed over at a time: shared memory is never looked at in place.
const CRC_BYTES: usize = 16 << 10;

/// One target's stack, lent to its sessions for one call.
pub struct Scsi<'a> {
    /// now
    pub now: Time,
    /// the stack
    pub stack: &'a mut Stack,
    /// the region's memory
    pub memory: &'a Memory,
    /// counts by LUN
    pub tally: &'a mut Tally,
    /// what records tasks while somebody asks for it
    pub trace: Option<&'a mut Recorder>,
}

impl Backend for Scsi<'_> {
    fn open_nexus(&mut self, initiator_port: &str, relative_target_port: u16) -> Option<u64> {
        match self.stack.open_nexus(initiator_port, relative_target_port) {
            Ok(nexus) => Some(nexus.to_bits()),
            Err(error) => {
                tracing::warn!(initiator_port, %error, "no nexus for a session");
                None
            }
        }
    }

    fn close_nexus(&mut self, nexus: u64) {
        self.stack.close_nexus(NexusId::from_bits(nexus));
    }

    #[inline]
    fn submit(&mut self, command: &ScsiCommand<'_>) -> Submitted {
        match self.trace {
            None => self.take_in(command),
            Some(_) => self.submit_traced(command),
        }
    }

    #[inline]
    fn ready(&mut self, slot: u16, attribute: TaskAttribute) {
        if let Some(trace) = &mut self.trace {
            trace.ready(slot);
        }
        self.stack.ready(slot, attribute);
    }

    fn cancel(&mut self, slot: u16) {
        if let Some(trace) = &mut self.trace {
            trace.close(slot);
        }
        self.tally.cancelled(slot);
        self.tally.shares.give_back(slot);
        self.stack.cancel(slot);
    }

    #[inline]
    fn finish(&mut self, slot: u16) {
        if let Some(trace) = &mut self.trace {
            trace.finished(slot);
        }
        self.tally.shares.give_back(slot);
        self.stack.finish(slot);
    }

    fn manage(&mut self, function: &Function, cookie: u64) -> Managed {
        let known = |lun: [u8; 8]| {
            Lun::decode(lun).ok().filter(|lun| self.stack.target().unit(*lun).is_some())
        };
        let function = match *function {
            Function::AbortTask { nexus, lun, tag } => known(lun).map(|lun| {
                let nexus = NexusId::from_bits(nexus);
                StackFunction::AbortTask { nexus, lun: lun.number(), tag }
            }),
            Function::AbortTaskSet { nexus, lun } => known(lun).map(|lun| {
                let nexus = NexusId::from_bits(nexus);
                StackFunction::AbortTaskSet { nexus, lun: lun.number() }
            }),
            Function::ClearTaskSet { nexus, lun } => known(lun).map(|lun| {
                let nexus = NexusId::from_bits(nexus);
                StackFunction::ClearTaskSet { nexus, lun: lun.number() }
            }),
            Function::LogicalUnitReset { lun, .. } => {
                known(lun).map(|lun| StackFunction::LogicalUnitReset { lun: lun.number() })
            }
            Function::TargetReset { .. } => Some(StackFunction::TargetReset),
        };
        let Some(function) = function else { return Managed::NoLun };
        self.stack.manage(self.now, function, Some(cookie));
        Managed::Begun
    }

    fn copy_in(&mut self, offset: u64, bytes: &[u8]) {
        // The stack has given the range out: it lies inside.
        let _ = self.memory.write(offset, bytes);
    }

    fn crc32c(&self, crc: u32, offset: u64, len: u64) -> u32 {
        let mut crc = crc;
        let mut copy = [0; CRC_BYTES];
        let (mut at, end) = (offset, offset.saturating_add(len));
        while at < end {
            let step = CRC_BYTES.min(usize::try_from(end - at).unwrap_or(CRC_BYTES));
            let Some(part) = copy.get_mut(..step) else { break };
            if self.memory.read(at, part).is_err() {
                break;
            }
            crc = crc32c::crc32c_append(crc, part);
            at += step as u64;
        }
        crc
    }

    fn free_slots(&self) -> u32 {
        self.stack.free_slots()
    }
}

impl Scsi<'_> {
    /// A command on its way to the stack, as far as the session's share of buffers goes.
    #[inline]
    fn take_in(&mut self, command: &ScsiCommand<'_>) -> Submitted {
        let lun = command.lun;
        let nexus = NexusId::from_bits(command.nexus).index();
        let free = self.stack.free_buffer_bytes();
        if !self.tally.shares.allow(nexus, command.expected, free) {
            return Submitted::Full;
        }
        let accepted = self.stack.submit(
            self.now,
            &Command {
                nexus: NexusId::from_bits(command.nexus),
                lun,
                cdb: command.cdb,
                attribute: command.attribute,
                tag: command.tag,
                expected: command.expected,
                cookie: command.cookie,
            },
        );
        match accepted {
            Accepted::Slot { slot, offset, len } => {
                let direction = self.stack.direction(slot);
                self.tally.begin(self.now, slot, lun, direction);
                self.tally.shares.take(slot, nexus, len);
                Submitted::Buffer { slot, offset, len, direction }
            }
            Accepted::Answered(answer) => {
                self.tally.answered_at_once(lun, &answer);
                Submitted::Answered(scsi_answer(answer))
            }
            Accepted::Full => Submitted::Full,
        }
    }

    #[cold]
    fn submit_traced(&mut self, command: &ScsiCommand<'_>) -> Submitted {
        let at = Time::now();
        let submitted = self.take_in(command);
        if let Some(trace) = &mut self.trace {
            match &submitted {
                Submitted::Buffer { slot, len, .. } => trace.received(at, command, *slot, *len),
                Submitted::Answered(_) => trace.answered_at_once(),
                _ => {}
            }
        }
        submitted
    }
}

/// The stack's answer in the sessions' terms.
#[inline]
pub fn scsi_answer(answer: Answer) -> ScsiAnswer {
    let Answer { cookie, slot, status, aborted, sense, transferred, length, offset, data } = answer;
    ScsiAnswer { cookie, slot, status, aborted, sense, transferred, length, offset, data }
}
