//! Taking a completion in: checked against the ledger, then answered.

use outboard_hba::ServiceResponse;
use outboard_hba::values::{delivery, status};
use outboard_scsi::{Lun, Sense, SenseKey, Status};
use outboard_slots::task::VERSION;
use outboard_slots::{ResponseHead, SENSE_BYTES, Time, planted};

use super::jobs::Outcome;
use super::{Stack, Unfit, VIOLATION_WINDOW_NS, VIOLATIONS_MAX};
use crate::channel::{Channel, Completed};
use crate::ledger::{Record, SlotState, Violation};

/// Violations that are kept for the report.
const VIOLATIONS_KEPT: usize = 64;

/// One in this many slots may be in quarantine; then the driver is restarted.
const QUARANTINE_SHARE: usize = 4;

/// How a task ended, for the initiator.
#[derive(Clone, Debug)]
pub struct Answer {
    /// the front end's name for the task
    pub cookie: u64,
    /// its slot, to [`Stack::finish`] once the data has left; `None` if it never had one
    pub slot: Option<u16>,
    /// status
    pub status: Status,
    /// an initiator has had it aborted: no status is sent (SAM-6 5.3.1, TAS = 0)
    pub aborted: bool,
    /// sense data, encoded
    pub sense: Option<Box<[u8]>>,
    /// bytes moved; of a read up to the end of the last block of which any were expected
    pub transferred: u64,
    /// bytes the command would have moved if the initiator had expected as many: more than
    /// `expected` is an overflow, fewer an underflow
    pub length: u64,
    /// offset of the data in the region
    pub offset: u64,
    /// the host's own data-in
    pub data: Vec<u8>,
}

impl Answer {
    /// GOOD, and nothing else.
    pub const EMPTY: Self = Self {
        cookie: 0,
        slot: None,
        status: Status::Good,
        aborted: false,
        sense: None,
        transferred: 0,
        length: 0,
        offset: 0,
        data: Vec::new(),
    };
}

impl Stack {
    /// Checks completions and ends their tasks.
    pub(super) fn complete_all(
        &mut self,
        now: Time,
        channel: &dyn Channel,
        completed: &[Completed],
        answers: &mut Vec<Answer>,
    ) {
        for c in completed {
            self.complete(now, channel, c, answers);
        }
    }

    /// Checks a completion and ends its task.
    #[inline]
    fn complete(
        &mut self,
        now: Time,
        channel: &dyn Channel,
        completed: &Completed,
        answers: &mut Vec<Answer>,
    ) {
        let slot = completed.entry.index();
        let record = match self.ledger.owned(completed.entry) {
            Ok(record) => record,
            Err(violation) => return self.violated(now, violation),
        };
        let status = match check(slot, record, &completed.head) {
            Ok(status) => status,
            Err(violation) => return self.violated(now, violation),
        };
        if record.internal {
            return self.complete_internal(channel, slot, status, &completed.head);
        }
        let mut answer = Answer {
            cookie: record.cookie,
            slot: Some(slot),
            status,
            aborted: record.is_silent(),
            transferred: completed.head.bytes_transferred + u64::from(record.moved),
            length: u64::from(record.length).max(completed.head.bytes_transferred),
            offset: record.buffer.offset,
            ..Answer::EMPTY
        };
        if status == Status::Good {
            if record.then_flush && !record.aborted {
                return self.flush_after(slot);
            }
            if record.then_flush && record.by_host {
                self.tell_given_up(slot, &mut answer);
            }
            if record.writes && !planted::is("host: acknowledged writes not noted") {
                self.acked.note(record.order, record.lun, record.range);
            }
        } else if status == Status::TaskAborted && (record.by_host || record.given_up != 0) {
            self.tell_given_up(slot, &mut answer);
        } else {
            let (lun, writes) = (record.task.logical_unit_bytes, record.writes);
            answer.sense = self.sense_of(channel, slot, &completed.head, lun, writes);
        }
        self.counters.completed += 1;
        self.leave_driver(slot);
        answers.push(answer);
    }

    /// The host had the task aborted: with TAS = 0 no TASK ABORTED says so.
    #[cold]
    fn tell_given_up(&self, slot: u16, answer: &mut Answer) {
        let Some(record) = self.ledger.record(slot) else { return };
        answer.status = Status::CheckCondition;
        answer.sense = Some(self.encode(record.task.logical_unit_bytes, &Sense::ABORTED_COMMAND));
        answer.transferred = 0;
    }

    /// The driver has given the slot back: the task set goes on without it.
    #[inline]
    fn leave_driver(&mut self, slot: u16) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        record.state = SlotState::Sending;
        let lun = usize::from(record.lun);
        self.in_driver -= 1;
        self.leave_task_set(slot, lun);
    }

    /// Takes a running task out of its task set; those that it held back start.
    #[inline]
    pub(super) fn leave_task_set(&mut self, slot: u16, lun: usize) {
        let (first_slot, outbox) = (self.first_slot, &mut self.outbox);
        if let Some(Some(set)) = self.task_sets.get_mut(lun) {
            // The task is in the set and running: it was handed to the driver.
            let _ = set.end(slot.wrapping_sub(first_slot), &mut |id| outbox.push(id + first_slot));
        }
    }

    #[cold]
    pub(super) fn sense_of(
        &mut self,
        channel: &dyn Channel,
        slot: u16,
        head: &ResponseHead,
        lun: [u8; 8],
        writes: bool,
    ) -> Option<Box<[u8]>> {
        if head.service_response == ServiceResponse::DeliveryOrTargetFailure as u32 {
            let sense = match head.completion_status {
                delivery::DEVICE_NOT_PRESENT => Sense::LOGICAL_UNIT_COMMUNICATION_FAILURE,
                _ => Sense::INTERNAL_TARGET_FAILURE,
            };
            return Some(self.encode(lun, &sense));
        }
        if head.completion_status != status::CHECK_CONDITION {
            return None;
        }
        let mut sense = [0; SENSE_BYTES];
        channel.sense(slot, &mut sense);
        let given = &sense[..usize::from(head.sense_length)];
        // A driver that forgets sense data leaves the initiator without a reason.
        let Some(parsed) = Sense::parse(given) else {
            return Some(self.encode(lun, &Sense::INTERNAL_TARGET_FAILURE));
        };
        let unit = Lun::decode(lun).ok();
        if let (SenseKey::MediumError, Some(unit)) = (parsed.key, unit) {
            self.target.note_medium_error(unit, writes);
        }
        // The format is the initiators' to choose (D_SENSE), not the driver's.
        let unit = unit.and_then(|lun| self.target.unit(lun));
        let wanted = unit.is_some_and(|unit| unit.descriptor_sense());
        let is = given.first().is_some_and(|code| code & 0x02 != 0);
        match wanted == is {
            true => Some(given.into()),
            false => Some(self.encode(lun, &parsed)),
        }
    }

    /// A completion is refused: counted, reported, and the task it should have ended is ended.
    #[cold]
    pub(super) fn violated(&mut self, now: Time, violation: Violation) {
        self.counters.violations += 1;
        if self.violations.len() == VIOLATIONS_KEPT {
            self.violations.remove(0);
        }
        self.violations.push((now, violation));
        let recent = self
            .violations
            .iter()
            .filter(|(t, _)| now.since(*t).as_nanos() < u128::from(VIOLATION_WINDOW_NS));
        if recent.count() >= VIOLATIONS_MAX {
            let reason = format!("{VIOLATIONS_MAX} violations in 10 s, the last: {violation}");
            self.declare_unfit(Unfit::Violates, reason);
        }
        if let Violation::Ring(_) = violation {
            self.declare_unfit(Unfit::Violates, violation.to_string());
        }
        let Some(slot) = violation.task() else { return };
        let Some(record) = self.ledger.record_mut(slot) else { return };
        if record.writes {
            // Whether the write landed, and whether it still may, only the fence can tell.
            let reason = format!("an unbelievable answer to a write: {violation}");
            self.declare_unfit(Unfit::Violates, reason);
            return;
        }
        // A read: its initiator is told at once; the driver may still fill the buffer.
        record.state = SlotState::Quarantined;
        let reused = planted::is("host: no quarantine");
        let buffer = record.buffer;
        let (cookie, aborted, internal) = (record.cookie, record.is_silent(), record.internal);
        let (lun, set) = (record.task.logical_unit_bytes, usize::from(record.lun));
        self.in_driver -= 1;
        self.leave_task_set(slot, set);
        if internal {
            self.jobs.note(cookie, Outcome::Lost);
        } else {
            let sense = Some(self.encode(lun, &Sense::ABORTED_COMMAND));
            let status = Status::CheckCondition;
            self.answers.push(Answer { cookie, status, aborted, sense, ..Answer::EMPTY });
        }
        if reused {
            self.buffers.give_back(buffer);
            self.ledger.release(slot);
        }
        // Slots come back from quarantine by a restart alone: before they run out.
        let held = self.ledger.in_order(SlotState::Quarantined).len();
        if held * QUARANTINE_SHARE >= self.ledger.slots() {
            let reason = format!("{held} slots in quarantine, the last: {violation}");
            self.declare_unfit(Unfit::Violates, reason);
        }
    }
}

/// Whether a response can be the answer to the task; its status if so.
#[inline]
fn check(slot: u16, record: &Record, head: &ResponseHead) -> Result<Status, Violation> {
    let task = &record.task;
    if head.version != VERSION && !planted::is("host: version not checked") {
        return Err(Violation::Version { slot, version: head.version });
    }
    if (head.controller_task_identifier != task.controller_task_identifier
        || head.target_id != task.target_id)
        && !planted::is("host: identifier not checked")
    {
        return Err(Violation::Identifier {
            slot,
            got: head.controller_task_identifier,
            target: head.target_id,
            expected: task.controller_task_identifier,
        });
    }
    if head.bytes_transferred > task.requested_transfer_count
        && !planted::is("host: bytes not checked")
    {
        let (bytes, expected) = (head.bytes_transferred, task.requested_transfer_count);
        return Err(Violation::Bytes { slot, bytes, expected });
    }
    let misfit =
        Violation::Status { slot, service: head.service_response, status: head.completion_status };
    if head.service_response == ServiceResponse::TaskComplete as u32 {
        u8::try_from(head.completion_status).ok().and_then(Status::from_code).ok_or(misfit)
    } else if head.service_response == ServiceResponse::DeliveryOrTargetFailure as u32 {
        Ok(Status::CheckCondition)
    } else {
        Err(misfit)
    }
}
