//! Tasks as a driver sees them, and how it ends them.

use outboard_slots::{Entry, ParallelTask, Region, ResponseHead};

use crate::stamps;
use crate::values::{Direction, ServiceResponse, TaskStatus, status};

/// One task: a private copy of its command slot, and the right to end it once.
#[must_use = "a task that is dropped never ends; complete its token"]
#[derive(Debug)]
pub struct Task {
    body: ParallelTask,
    token: Token,
}

/// The right to end one task. It cannot be copied: completing a task consumes it.
#[must_use = "a token that is dropped leaves its task to the host's deadline"]
#[derive(Debug)]
pub struct Token {
    entry: Entry,
    target_id: u64,
    identifier: u64,
}

impl Token {
    /// The slot of the task: unique among the tasks this queue owns, below the queue's slot count
    /// plus its first slot.
    #[inline]
    pub fn slot(&self) -> u16 {
        self.entry.index()
    }
}

impl Task {
    pub(crate) fn new(entry: Entry, body: ParallelTask) -> Self {
        let token =
            Token { entry, target_id: body.target_id, identifier: body.controller_task_identifier };
        Self { body, token }
    }

    /// The slot, as [`Token::slot`].
    #[inline]
    pub fn slot(&self) -> u16 {
        self.token.slot()
    }

    /// The CDB: 6, 10, 12 or 16 bytes, or none if the slot is malformed.
    #[inline]
    pub fn cdb(&self) -> &[u8] {
        self.body.cdb()
    }

    /// Offset (in the region's memory) and length in bytes of the data buffer: one contiguous
    /// range, the driver's until the task ends.
    #[inline]
    pub fn buffer(&self) -> (u64, u64) {
        (self.body.buffer_iovm_addr, self.body.requested_transfer_count)
    }

    /// Which way the data goes.
    pub fn direction(&self) -> Direction {
        Direction::from_bits(self.body.transfer_direction)
    }

    /// The target.
    #[inline]
    pub fn target(&self) -> u64 {
        self.body.target_id
    }

    /// The LUN's eight bytes (SAM-6 4.7).
    #[inline]
    pub fn lun(&self) -> [u8; 8] {
        self.body.logical_unit_bytes
    }

    /// The initiator's task tag; 0 = untagged.
    pub fn tag(&self) -> u64 {
        self.body.task_tag_identifier
    }

    /// Milliseconds until the host gives the task up; 0 = never.
    pub fn timeout_ms(&self) -> u32 {
        self.body.timeout_ms
    }

    /// The slot's content, for what has no accessor here.
    pub fn body(&self) -> &ParallelTask {
        &self.body
    }

    /// Keeps only the right to end the task.
    #[inline]
    pub fn into_token(self) -> Token {
        self.token
    }
}

/// Up to 32 tasks that arrived together, in order of submission.
#[derive(Debug)]
pub struct Bundle<'a> {
    region: &'a Region,
    entries: core::slice::Iter<'a, Entry>,
}

impl<'a> Bundle<'a> {
    pub(crate) fn new(region: &'a Region, entries: &'a [Entry]) -> Self {
        Self { region, entries: entries.iter() }
    }
}

impl Iterator for Bundle<'_> {
    type Item = Task;

    #[inline]
    fn next(&mut self) -> Option<Task> {
        for &entry in self.entries.by_ref() {
            // The runner has checked the index; a slot beyond the region is skipped all the same.
            if let Some(body) = self.region.read_task(entry.index()) {
                return Some(Task::new(entry, body));
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.entries.size_hint().1)
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Response<'a> {
    /// device status or kind of delivery failure
    pub status: TaskStatus,
    /// which of the two
    pub service: ServiceResponse,
    /// bytes transferred
    pub bytes: u64,
    /// sense data, at most 252 bytes (SPC-6 4.5.1); empty without CHECK CONDITION
    pub sense: &'a [u8],
}

impl Response<'static> {
    /// GOOD, with `bytes` transferred.
    #[inline]
    pub const fn good(bytes: u64) -> Self {
        Self { status: status::GOOD, service: ServiceResponse::TaskComplete, bytes, sense: &[] }
    }

    /// A status of the device without data or sense.
    pub const fn status(status: TaskStatus) -> Self {
        Self { status, service: ServiceResponse::TaskComplete, bytes: 0, sense: &[] }
    }

    /// The command did not reach the device, or the device was lost: see
    /// [`crate::values::delivery`].
    pub const fn delivery_failure(kind: TaskStatus) -> Self {
        Self {
            status: kind,
            service: ServiceResponse::DeliveryOrTargetFailure,
            bytes: 0,
            sense: &[],
        }
    }
}

impl<'a> Response<'a> {
    /// CHECK CONDITION with sense data.
    pub const fn check_condition(sense: &'a [u8], bytes: u64) -> Self {
        let (status, service) = (status::CHECK_CONDITION, ServiceResponse::TaskComplete);
        Self { status, service, bytes, sense }
    }
}

/// Where a driver ends its tasks. What is completed in one call goes to the host as one bundle.
#[derive(Debug)]
pub struct Completions<'a> {
    pub(crate) region: &'a Region,
    pub(crate) staged: &'a mut Vec<Entry>,
    pub(crate) owned: &'a mut [u64],
    pub(crate) written: &'a mut [ResponseHead],
    pub(crate) first_slot: u16,
    /// the host asks for the times of tasks
    pub(crate) traced: bool,
}

impl Completions<'_> {
    /// Ends the task: fills its response slot and gives both slots back to the host.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "a token is spent by completing its task")]
    pub fn complete(&mut self, token: Token, response: &Response<'_>) {
        let index = token.entry.index();
        let at = usize::from(index.wrapping_sub(self.first_slot));
        let (Some(owned), Some(written)) = (self.owned.get_mut(at), self.written.get_mut(at))
        else {
            return;
        };
        *owned = 0;
        let sense_length = response.sense.len().min(252) as u8;
        let head = ResponseHead {
            target_id: token.target_id,
            controller_task_identifier: token.identifier
                + u64::from(outboard_slots::planted::is("hba: a wrong identifier")),
            completion_status: response.status,
            service_response: response.service as u32,
            bytes_transferred: response.bytes,
            sense_length,
            ..ResponseHead::EMPTY
        };
        // A slot that says the same already is left alone: its lines stay in the host's cache.
        if *written != head {
            *written = head;
            self.region.write_response(index, &head);
        }
        if sense_length != 0 {
            self.region.write_sense(index, &response.sense[..usize::from(sense_length)]);
        }
        if self.traced {
            stamps::completed(self.region, index);
        }
        if outboard_slots::planted::is("hba: every task completed twice") {
            self.staged.push(token.entry);
        }
        self.staged.push(token.entry);
    }
}
