//! The driver, honest or not.

use outboard_hba::ServiceResponse;
use outboard_hba::values::status;
use outboard_slots::{Consumer, Entry, ParallelTask, Producer, Region, ResponseHead};

use super::QUEUE;
use super::action::Misdeed;
use super::recorder::Recorder;

/// Statuses to choose from; GOOD is the frequent one. The last one means nothing.
const STATUSES: [u32; 8] = [
    status::GOOD,
    status::GOOD,
    status::CHECK_CONDITION,
    status::BUSY,
    status::TASK_SET_FULL,
    status::RESERVATION_CONFLICT,
    status::TASK_ABORTED,
    0x5A,
];

pub(super) struct Driver {
    region: Region,
    submission: Consumer,
    completion: Producer,
    held: Vec<(Entry, ParallelTask)>,
    last: Option<Entry>,
}

impl Driver {
    pub(super) fn new(region: Region) -> Self {
        let (submission, completion) = (Consumer::new(), Producer::new());
        Self { region, submission, completion, held: Vec::new(), last: None }
    }

    pub(super) fn act(&mut self, misdeed: Misdeed, recorder: &mut Recorder) {
        match misdeed {
            Misdeed::Take => self.take(),
            Misdeed::Complete { which, status, sense } => {
                let Some((entry, task)) = self.pick(which) else { return };
                let head = ResponseHead {
                    completion_status: STATUSES[usize::from(status) % STATUSES.len()],
                    sense_length: sense,
                    ..head_of(&task)
                };
                self.answer(entry, &task, &head, recorder);
            }
            Misdeed::Again => {
                if let Some(entry) = self.last {
                    self.push(entry, recorder);
                }
            }
            Misdeed::Generation { which, delta } => {
                let Some((entry, task)) = self.pick(which) else { return };
                let generation = entry.generation().wrapping_add(u64::from(delta));
                let entry = Entry::new(entry.index(), generation);
                self.answer(entry, &task, &head_of(&task), recorder);
            }
            Misdeed::Head { which, field, value } => {
                let Some((entry, task)) = self.pick(which) else { return };
                let head = spoiled(head_of(&task), field, value);
                self.answer(entry, &task, &head, recorder);
            }
            Misdeed::Entry { index, generation } => {
                self.push(Entry::new(index, u64::from(generation)), recorder);
            }
            Misdeed::Scribble { at, value } => {
                recorder.scribble();
                let at = u64::from(at) * 8 % self.region.layout().pool;
                // In range: the buffers begin on a page.
                let _ = self.region.memory().write(at, &[value; 8]);
            }
        }
    }

    /// Completes everything, honestly.
    pub(super) fn complete_all(&mut self, recorder: &mut Recorder) {
        self.take();
        for (entry, task) in std::mem::take(&mut self.held) {
            self.answer(entry, &task, &head_of(&task), recorder);
        }
    }

    fn take(&mut self) {
        let Some(words) = self.region.queue(QUEUE) else { return };
        if self.submission.poll(words.submission).is_err() {
            return;
        }
        while let Some(entry) = self.submission.take(words.submission) {
            if let Some(task) = self.region.read_task(entry.index()) {
                self.held.push((entry, task));
            }
        }
    }

    fn pick(&mut self, which: u8) -> Option<(Entry, ParallelTask)> {
        let count = self.held.len();
        (count != 0).then(|| self.held.swap_remove(usize::from(which) % count))
    }

    fn answer(
        &mut self,
        entry: Entry,
        task: &ParallelTask,
        head: &ResponseHead,
        recorder: &mut Recorder,
    ) {
        self.region.write_response(entry.index(), head);
        if is_sound(task, head) {
            recorder.answer(entry.index());
        }
        self.push(entry, recorder);
        self.last = Some(entry);
    }

    fn push(&mut self, entry: Entry, recorder: &mut Recorder) {
        let Some(words) = self.region.queue(QUEUE) else { return };
        recorder.claim(entry);
        self.completion.push(words.completion, entry);
        self.completion.publish(words.completion);
    }
}

fn head_of(task: &ParallelTask) -> ResponseHead {
    ResponseHead {
        target_id: task.target_id,
        controller_task_identifier: task.controller_task_identifier,
        completion_status: status::GOOD,
        service_response: ServiceResponse::TaskComplete as u32,
        bytes_transferred: task.requested_transfer_count,
        ..ResponseHead::EMPTY
    }
}

/// Whether `head` can be an answer to `task`.
fn is_sound(task: &ParallelTask, head: &ResponseHead) -> bool {
    let complete = head.service_response == ServiceResponse::TaskComplete as u32;
    let undelivered = head.service_response == ServiceResponse::DeliveryOrTargetFailure as u32;
    head.version == ResponseHead::EMPTY.version
        && head.target_id == task.target_id
        && head.controller_task_identifier == task.controller_task_identifier
        && head.bytes_transferred <= task.requested_transfer_count
        && (undelivered || (complete && status::is_known(head.completion_status)))
}

fn spoiled(mut head: ResponseHead, field: u8, value: u8) -> ResponseHead {
    match field % 6 {
        0 => head.version = u64::from(value),
        1 => head.target_id = u64::from(value),
        2 => head.controller_task_identifier = u64::from(value),
        3 => head.bytes_transferred = u64::from(value) << 56,
        4 => head.service_response = u32::from(value % 8),
        _ => head.completion_status = u32::from(value) * 0x0101,
    }
    head
}
