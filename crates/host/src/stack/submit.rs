//! Taking a command in: judged first, buffered after.

use outboard_scsi::command::opcode::{self, SANITIZE};
use outboard_scsi::unmap::UnmapList;
use outboard_scsi::{Direction, Lun, Sense, Status, TaskAttribute};
use outboard_slots::{Memory, ParallelTask, Time, planted, task::CDB_BYTES};
use outboard_spc::task_set::{Admission, TaskSetError};
use outboard_spc::{NexusId, Verdict};

use super::deadline::{TASK_TIMEOUT_NS, timeout_ns};
use super::{Answer, Stack};
use crate::ledger::SlotState;

/// A command as a front end received it.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// the nexus
    pub nexus: NexusId,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// the CDB
    pub cdb: &'a [u8],
    /// task attribute
    pub attribute: TaskAttribute,
    /// the initiator's tag; 0 = untagged
    pub tag: u64,
    /// bytes the initiator expects to move
    pub expected: u64,
    /// the front end's name for the task, in its answer
    pub cookie: u64,
}

/// What became of it.
#[derive(Debug)]
pub enum Accepted {
    /// the host has answered it
    Answered(Answer),
    /// a buffer waits for its data (write) or for the task to run (read): fill it and call
    /// [`Stack::ready`]
    Slot {
        /// the task's slot
        slot: u16,
        /// offset of its buffer in the region
        offset: u64,
        /// bytes of its buffer: of a read at most a block more than are expected
        len: u64,
    },
    /// no slot or no buffer is free: keep the command and try again after an answer
    Full,
}

impl Stack {
    /// Judges a command: LUN, unit attentions, CDB, ranges; then takes a slot and a buffer.
    #[inline]
    pub fn submit(&mut self, now: Time, command: &Command<'_>) -> Accepted {
        match self.target.forward(command.nexus, command.lun, command.cdb) {
            Some(f) => self.forward(now, command, f),
            None => self.judge(now, command),
        }
    }

    #[cold]
    fn judge(&mut self, now: Time, command: &Command<'_>) -> Accepted {
        match self.target.check(command.nexus, command.lun, command.cdb) {
            Verdict::Forward(f) if !f.fits(command.expected, self.block_size(f.lun)) => {
                // What is written once, or all or nothing, is not cut.
                let field = f.command.length_field().unwrap_or_default();
                self.refuse(command, &Sense::invalid_field_in_cdb(field, None))
            }
            Verdict::Forward(f) => {
                let accepted = self.forward(now, command, f);
                if let Accepted::Slot { slot, .. } = accepted {
                    if f.command.is_exclusive() && !planted::is("host: ranges not locked") {
                        self.make_exclusive(slot);
                    }
                    self.give_time(now, slot, &f.command);
                }
                accepted
            }
            Verdict::Data(parameters) => self.collect(now, command, parameters),
            Verdict::Answer(response) => {
                // What has no parameter list ends no tasks, so that nothing is waited for.
                self.carry_out_effects(None);
                let sense = response.sense.map(|s| self.encode(command.lun, &s));
                let mut data = response.data;
                let length = data.len() as u64;
                data.truncate(usize::try_from(command.expected).unwrap_or(usize::MAX));
                Accepted::Answered(Answer {
                    cookie: command.cookie,
                    status: response.status,
                    sense,
                    transferred: data.len() as u64,
                    length,
                    data,
                    ..Answer::EMPTY
                })
            }
        }
    }

    /// Bytes of a buffer for fewer bytes than a command moves. A disk reads whole blocks, so that a
    /// block of which the initiator expects a part is read whole.
    #[cold]
    fn cut(&self, expected: u64, length: u64, forwarded: &outboard_spc::Forwarded) -> u64 {
        match forwarded.direction {
            Direction::FromDevice => {
                let block = u64::from(self.block_size(forwarded.lun));
                expected.next_multiple_of(block.max(1)).min(length)
            }
            _ => expected,
        }
    }

    fn block_size(&self, lun: Lun) -> u32 {
        self.target.unit(lun).map_or(512, |unit| unit.config().capacity.block_size())
    }

    /// A deadline for what is not over at once.
    fn give_time(&mut self, now: Time, slot: u16, command: &outboard_scsi::Command) {
        let timeout = timeout_ns(command);
        if timeout != TASK_TIMEOUT_NS
            && let Some(record) = self.ledger.record_mut(slot)
        {
            record.deadline = now.plus_nanos(timeout);
            record.task.timeout_ms = (timeout / 1_000_000) as u32;
        }
    }

    /// The host's own end of a command, with sense data.
    fn refuse(&self, command: &Command<'_>, sense: &Sense) -> Accepted {
        Accepted::Answered(Answer {
            cookie: command.cookie,
            status: Status::CheckCondition,
            sense: Some(self.encode(command.lun, sense)),
            ..Answer::EMPTY
        })
    }

    #[inline]
    pub(super) fn forward(
        &mut self,
        now: Time,
        command: &Command<'_>,
        forwarded: outboard_spc::Forwarded,
    ) -> Accepted {
        let Some(slot) = self.ledger.take() else { return Accepted::Full };
        let mut len = u64::from(forwarded.length);
        if command.expected < len {
            len = self.cut(command.expected, len, &forwarded);
        }
        let Some(buffer) = self.buffers.take(len) else {
            self.ledger.release(slot);
            return Accepted::Full;
        };
        let lun = forwarded.lun.number();
        let rights = self.target.generation(lun);
        let mut cdb = [0; CDB_BYTES];
        let size = command.cdb.len().min(CDB_BYTES);
        cdb[..size].copy_from_slice(&command.cdb[..size]);
        let identifier = self.identifiers.get(usize::from(slot)).copied().unwrap_or(0);
        let Some(record) = self.ledger.record_mut(slot) else { return Accepted::Full };
        record.writes = forwarded.command.changes_medium();
        record.lun = lun;
        record.rights = rights;
        record.nexus = u32::from(command.nexus.index());
        record.length = match forwarded.command {
            // Its answer is as long as it is.
            outboard_scsi::Command::GetLbaStatus(_) => 0,
            _ => forwarded.length,
        };
        record.cookie = command.cookie;
        record.deadline = now.plus_nanos(TASK_TIMEOUT_NS);
        record.buffer = buffer;
        record.range = match forwarded.command.lba_range() {
            Some(r) if r.blocks != 0 => (r.lba, r.blocks),
            // To the end of the medium, or as the parameter list will say (UNMAP).
            Some(r) => (r.lba, u64::MAX),
            None => (0, u64::MAX),
        };
        record.task = ParallelTask {
            target_id: self.target_id,
            controller_task_identifier: u64::from(identifier),
            requested_transfer_count: len,
            buffer_iovm_addr: buffer.offset,
            task_attribute: command.attribute as u32,
            task_tag_identifier: command.tag,
            logical_unit_bytes: command.lun,
            command_descriptor_block: cdb,
            command_size: cdb_size(cdb[0]),
            transfer_direction: match forwarded.direction {
                Direction::None => 0,
                Direction::ToDevice => 1,
                Direction::FromDevice => 2,
            },
            timeout_ms: (TASK_TIMEOUT_NS / 1_000_000) as u32,
            ..ParallelTask::EMPTY
        };
        if forwarded.through {
            record.write_through();
        }
        Accepted::Slot { slot, offset: buffer.offset, len }
    }

    /// The task's data is in its buffer (or it has none): it may go to the driver as soon as the
    /// task set lets it.
    #[inline]
    pub fn ready(&mut self, slot: u16, attribute: TaskAttribute) {
        let at = slot.wrapping_sub(self.first_slot);
        if self.jobs.sanitizing && self.ends_for_sanitize(slot) {
            return;
        }
        let Some(record) = self.ledger.record(slot) else { return };
        if record.state != SlotState::Filling {
            return;
        }
        if record.rights != self.target.generation(record.lun) && self.ends_refused(slot) {
            return;
        }
        let Some(record) = self.ledger.record_mut(slot) else { return };
        if record.aborted {
            return match record.gone {
                false => self.end_aborted(slot),
                true => self.end_with_sense(slot, &Sense::LOGICAL_UNIT_NOT_SUPPORTED),
            };
        }
        if record.task.command_descriptor_block[0] == opcode::UNMAP {
            record.range = unmapped(&self.memory, record.buffer.offset, record.buffer.len);
        }
        let lun = record.lun;
        // SANITIZE is processed as if it came with HEAD OF QUEUE (SBC-4).
        let sanitizes = record.host && record.task.command_descriptor_block[0] == SANITIZE;
        let attribute = if sanitizes { TaskAttribute::HeadOfQueue } else { attribute };
        let attribute = match planted::is("host: attributes ignored") {
            true => TaskAttribute::Simple,
            false => attribute,
        };
        let Some(Some(set)) = self.task_sets.get_mut(usize::from(lun)) else {
            return self.end_with_sense(slot, &Sense::LOGICAL_UNIT_NOT_SUPPORTED);
        };
        match set.insert(at, attribute) {
            Ok(Admission::Start) => {
                record.state = SlotState::Waiting;
                self.outbox.push(slot);
            }
            Ok(Admission::Wait) => record.state = SlotState::Waiting,
            Err(TaskSetError::AcaNotSupported(_)) => {
                self.end_with_sense(slot, &Sense::INVALID_MESSAGE_ERROR);
            }
            // A slot is in one task set at a time, and slots are below the set's capacity.
            Err(_) => self.end_with_sense(slot, &Sense::INTERNAL_TARGET_FAILURE),
        }
    }

    /// The answer's data has left the buffer: slot and buffer are free.
    #[inline]
    pub fn finish(&mut self, slot: u16) {
        let Some(record) = self.ledger.record(slot) else { return };
        if record.state != SlotState::Sending {
            return;
        }
        self.host_tasks -= usize::from(record.host);
        if !planted::is("host: a buffer not given back") {
            self.buffers.give_back(record.buffer);
        }
        self.ledger.release(slot);
        if self.jobs.is_hungry() {
            self.feed_jobs();
        }
    }

    /// The front end gives up on a task it has not called ready: its initiator is gone.
    pub fn cancel(&mut self, slot: u16) {
        let Some(record) = self.ledger.record(slot) else { return };
        if record.state == SlotState::Filling {
            self.host_tasks -= usize::from(record.host);
            self.buffers.give_back(record.buffer);
            self.ledger.release(slot);
        }
    }

    /// Encodes sense data in the format the LUN's mode pages choose.
    pub(super) fn encode(&self, lun: [u8; 8], sense: &Sense) -> Box<[u8]> {
        let unit = Lun::decode(lun).ok().and_then(|l| self.target.unit(l));
        let descriptor = unit.is_some_and(|u| u.descriptor_sense());
        let mut out = [0; 252];
        let len = sense.encode(descriptor, &mut out);
        out[..len.min(252)].into()
    }

    /// Ends a task that never reached the driver, with sense data.
    pub(super) fn end_with_sense(&mut self, slot: u16, sense: &Sense) {
        self.end_with(slot, &(*sense).into());
    }
}

/// The blocks from the first to the last that an UNMAP's parameter list names; the whole medium for
/// a list that cannot be read.
#[cold]
fn unmapped(memory: &Memory, offset: u64, len: u64) -> (u64, u64) {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0).min(UNMAP_LIST_MAX)];
    let read = memory.read(offset, &mut bytes).is_ok();
    let Some(list) = UnmapList::parse(&bytes).ok().filter(|_| read) else {
        return (0, u64::MAX);
    };
    let ends = list.ranges().map(|range| range.lba.saturating_add(range.blocks));
    match (list.ranges().map(|range| range.lba).min(), ends.max()) {
        (Some(first), Some(end)) => (first, end.saturating_sub(first)),
        _ => (0, 0),
    }
}

/// Longest parameter list of an UNMAP: its length field has 16 bits.
const UNMAP_LIST_MAX: usize = 0xFFFF;

/// Length of a CDB by its operation code's group (SPC-6 4.2.5.1).
const fn cdb_size(opcode: u8) -> u8 {
    match opcode >> 5 {
        0 => 6,
        1 | 2 => 10,
        5 => 12,
        _ => 16,
    }
}
