//! An opinion of its own on what the host must refuse: reads the completion ring before the host
//! does, and counts the violations that it must find.

use std::sync::atomic::Ordering;

use outboard_hba::ServiceResponse;
use outboard_scsi::command::parse;
use outboard_scsi::{Command, Status};
use outboard_slots::task::VERSION;
use outboard_slots::{Entry, ParallelTask, Queue, ResponseHead};

/// What the driver has, as the submission ring told, and how far the host has read.
pub(crate) struct Audit {
    queue: Queue,
    submitted: u32,
    reaped: u32,
    /// by slot
    outstanding: Vec<Option<(u64, ParallelTask)>>,
}

impl Audit {
    pub(crate) fn new(queue: Queue) -> Self {
        let slots = queue.region().layout().slots() as usize;
        Self { queue, submitted: 0, reaped: 0, outstanding: vec![None; slots] }
    }

    /// Takes in what the host has just published; calls `each` with the tag of every task.
    pub(crate) fn learn(
        &mut self,
        mut each: impl FnMut(u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let ring = self.queue.words().submission;
        let tail = ring.tail.load(Ordering::Acquire);
        while self.submitted != tail {
            let at = self.submitted as usize & (ring.entries.len() - 1);
            let bits = ring.entries.get(at).map_or(0, |e| e.load(Ordering::Relaxed));
            let entry = Entry::from_bits(bits);
            let task = self.queue.region().read_task(entry.index());
            let task = task.ok_or("the host submits a slot that does not exist")?;
            let place = self.outstanding.get_mut(usize::from(entry.index()));
            let place = place.ok_or("the host submits a foreign slot")?;
            if place.is_some() {
                return Err(format!("slot {} is submitted, and not ended", entry.index()));
            }
            *place = Some((entry.generation(), task));
            each(task.task_tag_identifier)?;
            self.submitted = self.submitted.wrapping_add(1);
        }
        Ok(())
    }

    /// How many violations the next reap must find.
    pub(crate) fn reap(&mut self) -> u64 {
        let queue = self.queue.clone();
        let ring = queue.words().completion;
        let tail = ring.tail.load(Ordering::Acquire);
        if tail.wrapping_sub(self.reaped) as usize > ring.entries.len() {
            return 1;
        }
        let mut violations = 0;
        while self.reaped != tail {
            let at = self.reaped as usize & (ring.entries.len() - 1);
            let bits = ring.entries.get(at).map_or(0, |e| e.load(Ordering::Relaxed));
            let entry = Entry::from_bits(bits);
            self.reaped = self.reaped.wrapping_add(1);
            let Some(head) = queue.region().read_response(entry.index()) else {
                // The host stops here, and goes on with its next round.
                return violations + 1;
            };
            violations += u64::from(!self.ends(entry, &head));
        }
        violations
    }

    /// How many violations the host must find in what a dead driver has left.
    pub(crate) fn drain(&mut self) -> u64 {
        let mut violations = 0;
        loop {
            let before = self.reaped;
            violations += self.reap();
            if self.reaped == before {
                return violations;
            }
        }
    }

    /// Whether a completion may be what it says; the slot is the host's then.
    fn ends(&mut self, entry: Entry, head: &ResponseHead) -> bool {
        let Some(place) = self.outstanding.get_mut(usize::from(entry.index())) else {
            return false;
        };
        let Some((generation, task)) = place else { return false };
        if *generation != entry.generation() {
            return false;
        }
        let fits = fits(task, head);
        // A write whose end is not believed stays the driver's until the fence.
        if fits || !changes(task) {
            *place = None;
        }
        fits
    }
}

fn fits(task: &ParallelTask, head: &ResponseHead) -> bool {
    let status = u8::try_from(head.completion_status).ok().and_then(Status::from_code);
    let ended = head.service_response == ServiceResponse::TaskComplete as u32 && status.is_some();
    let failed = head.service_response == ServiceResponse::DeliveryOrTargetFailure as u32;
    head.version == VERSION
        && head.controller_task_identifier == task.controller_task_identifier
        && head.target_id == task.target_id
        && head.bytes_transferred <= task.requested_transfer_count
        && (ended || failed)
}

fn changes(task: &ParallelTask) -> bool {
    parse(&task.command_descriptor_block).as_ref().is_ok_and(Command::changes_medium)
}
