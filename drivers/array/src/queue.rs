//! One I/O queue of the array controller.

use core::ops::Range;

use outboard_disk::Engine;
use outboard_hba::values::status;
use outboard_hba::{Bundle, Completions, IoQueue, Response, ServiceResponse, Task, Token};
use outboard_sbc::{BufferRange, LogicalUnit, Outcome, TaskIn};
use outboard_scsi::{Lun, Sense};
use outboard_slots::Time;
use outboard_slots::doorbell::Doorbell;

/// The units on one engine, and the tasks they hold.
pub struct ArrayQueue {
    engine: Engine,
    units: Vec<Unit>,
    /// index in `units` by LUN
    by_lun: Vec<Option<usize>>,
    first_slot: u16,
    outcomes: Vec<Outcome>,
}

struct Unit {
    logical: LogicalUnit,
    /// the right to end each task this unit has, by slot from the queue's first
    tokens: Vec<Option<Token>>,
}

impl ArrayQueue {
    pub(crate) fn new(engine: Engine, units: Vec<(u16, LogicalUnit)>, slots: Range<u32>) -> Self {
        let mut by_lun = Vec::new();
        for (i, (lun, _)) in units.iter().enumerate() {
            let at = usize::from(*lun);
            if by_lun.len() <= at {
                by_lun.resize(at + 1, None);
            }
            by_lun[at] = Some(i);
        }
        let units = units
            .into_iter()
            .map(|(_, logical)| Unit { logical, tokens: slots.clone().map(|_| None).collect() })
            .collect();
        let outcomes = Vec::with_capacity(slots.len() * 2);
        Self { engine, units, by_lun, first_slot: slots.start as u16, outcomes }
    }

    #[inline]
    fn start(&mut self, task: Task, completions: &mut Completions<'_>) {
        let lun = Lun::decode(task.lun()).ok().map(|l| usize::from(l.number()));
        let unit = lun.and_then(|l| self.by_lun.get(l).copied().flatten());
        let Some(unit) = unit.and_then(|u| self.units.get_mut(u)) else {
            let sense = Sense::LOGICAL_UNIT_NOT_SUPPORTED.encode_fixed();
            completions.complete(task.into_token(), &Response::check_condition(&sense, 0));
            return;
        };
        let id = task.slot() - self.first_slot;
        let (offset, len) = task.buffer();
        let input = TaskIn { id, cdb: task.cdb(), buffer: BufferRange { offset, len } };
        let started = unit.logical.start(&mut self.engine, input, &mut self.outcomes);
        if started.is_err() {
            // A slot in use twice: the runner keeps that from happening.
            let sense = Sense::INTERNAL_TARGET_FAILURE.encode_fixed();
            completions.complete(task.into_token(), &Response::check_condition(&sense, 0));
            return;
        }
        unit.tokens[usize::from(id)] = Some(task.into_token());
        if !self.outcomes.is_empty() {
            end(unit, &mut self.outcomes, completions);
        }
    }
}

/// Ends the tasks that the unit has ended.
#[inline]
fn end(unit: &mut Unit, outcomes: &mut Vec<Outcome>, completions: &mut Completions<'_>) {
    for outcome in outcomes.drain(..) {
        let Some(token) = unit.tokens.get_mut(usize::from(outcome.id)).and_then(Option::take)
        else {
            continue;
        };
        let status = u32::from(outcome.status.code());
        if status == status::GOOD {
            completions.complete(token, &Response::good(outcome.bytes_transferred));
            continue;
        }
        let mut sense = [0; 64];
        // The host gives it the format that initiators chose; the fixed one holds small LBAs only.
        let long = |s: &Sense| s.information.is_some_and(|i| u32::try_from(i).is_err());
        let len = outcome.sense.map_or(0, |s| s.encode(long(&s), &mut sense));
        let response = Response {
            status,
            service: ServiceResponse::TaskComplete,
            bytes: outcome.bytes_transferred,
            sense: &sense[..len.min(64)],
        };
        completions.complete(token, &response);
    }
}

impl IoQueue for ArrayQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        now: Time,
        bundle: Bundle<'_>,
        completions: &mut Completions<'_>,
    ) {
        self.engine.set_now(now);
        for task in bundle {
            self.start(task, completions);
        }
    }

    fn process_parallel_task(
        &mut self,
        now: Time,
        task: Task,
        completions: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.engine.set_now(now);
        self.start(task, completions);
        ServiceResponse::RequestInProcess
    }

    fn poll(&mut self, now: Time, completions: &mut Completions<'_>) {
        self.engine.turn(now);
        for unit in &mut self.units {
            unit.logical.poll(&mut self.engine, &mut self.outcomes);
            if !self.outcomes.is_empty() {
                end(unit, &mut self.outcomes, completions);
            }
        }
    }

    fn wait(&mut self, doorbell: Doorbell<'_>, until: Time) {
        self.engine.wait(doorbell, until);
    }

    fn next_event(&self) -> Time {
        self.units.iter().map(|u| u.logical.next_event()).min().unwrap_or(Time::NEVER)
    }

    fn in_kernel(&self) -> u32 {
        self.engine.in_kernel()
    }

    fn abort(&mut self, slot: u16) {
        let id = slot - self.first_slot;
        for unit in &mut self.units {
            if unit.tokens[usize::from(id)].is_some() {
                unit.logical.abort(id);
            }
        }
    }
}
