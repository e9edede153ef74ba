//! The front end: initiators that do what they like, and the checks.

use std::collections::HashMap;

use outboard_hba::testkit::Ram;
use outboard_hba::{HbaReport, TaskManagement};
use outboard_host::stack::{Accepted, Answer, Command, Function, Stack};
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::{Lun, Status, TaskAttribute};
use outboard_slots::{Region, Time};
use outboard_spc::NexusId;

use super::recorder::Recorder;
use super::{QUEUE, SLOTS};

/// Bytes of the queue's buffers: fewer than its slots can ask for.
pub(super) const POOL_BYTES: u64 = 64 << 10;

const BLOCK: u64 = 512;
const TENTH_NS: u64 = 100_000_000;

pub(super) struct Front {
    stack: Stack,
    now: Time,
    nexuses: [NexusId; 2],
    free_bytes: u64,
    /// Every command sent, by cookie, and not yet answered.
    open: HashMap<u64, Sent>,
    /// Slots whose buffer is being filled, and slots whose data is leaving.
    filling: Vec<(u64, u16)>,
    sending: Vec<u16>,
    /// Functions in progress, by cookie, with the commands each must wait for.
    functions: HashMap<u64, Vec<u64>>,
    requests: Vec<TaskManagement>,
    answers: Vec<Answer>,
    next_cookie: u64,
}

struct Sent {
    nexus: usize,
    lun: u16,
    attribute: TaskAttribute,
    expected: u64,
    slot: Option<u16>,
}

impl Front {
    pub(super) fn new(region: &Region) -> Self {
        let identifiers: Vec<u32> = (1..=2 * SLOTS).collect();
        let mut stack =
            Stack::new(&report(), 0, &identifiers, region, QUEUE).expect("a sound report");
        let nexuses = ["one", "two"].map(|name| stack.open_nexus(name, 1).expect("room for two"));
        Self {
            now: Time::ZERO,
            nexuses,
            free_bytes: stack.free_buffer_bytes(),
            stack,
            open: HashMap::new(),
            filling: Vec::new(),
            sending: Vec::new(),
            functions: HashMap::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            next_cookie: 1,
        }
    }

    pub(super) fn submit(&mut self, kind: u8, extent: u8, nexus: u8, lun: u8, attribute: u8) {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        let (cdb, expected) = command(kind, extent);
        let attribute = match attribute {
            0 => TaskAttribute::Simple,
            1 => TaskAttribute::Ordered,
            2 => TaskAttribute::HeadOfQueue,
            _ => TaskAttribute::Aca,
        };
        let (nexus, lun) = (usize::from(nexus), u16::from(lun));
        let command = Command {
            nexus: self.nexuses[nexus],
            lun: Lun::new(lun).unwrap_or(Lun::ZERO).encode(),
            cdb: cdb.as_slice(),
            attribute,
            // The recorder knows a task by its tag.
            tag: cookie,
            expected,
            cookie,
        };
        let accepted = self.stack.submit(self.now, &command);
        let mut sent = Sent { nexus, lun, attribute, expected, slot: None };
        match accepted {
            Accepted::Answered(answer) => {
                self.open.insert(cookie, sent);
                self.ended(&answer, None);
            }
            Accepted::Slot { slot, len, .. } => {
                assert!(len <= expected, "a buffer of {len} bytes for {expected}");
                sent.slot = Some(slot);
                self.open.insert(cookie, sent);
                self.filling.push((cookie, slot));
            }
            Accepted::Full => {
                assert_ne!(self.stack.in_use(), 0, "full, with every slot and buffer free");
            }
        }
    }

    pub(super) fn ready(&mut self, which: u8) {
        if let Some((cookie, slot)) = pick(&mut self.filling, which) {
            self.stack.ready(slot, self.open[&cookie].attribute);
        }
    }

    pub(super) fn ready_all(&mut self) {
        while !self.filling.is_empty() {
            self.ready(0);
        }
    }

    pub(super) fn cancel(&mut self, which: u8) {
        if let Some((cookie, slot)) = pick(&mut self.filling, which) {
            self.stack.cancel(slot);
            self.open.remove(&cookie);
        }
    }

    pub(super) fn finish(&mut self, which: u8) {
        if let Some(slot) = pick(&mut self.sending, which) {
            self.stack.finish(slot);
        }
    }

    pub(super) fn finish_all(&mut self) {
        while !self.sending.is_empty() {
            self.finish(0);
        }
    }

    pub(super) fn manage(&mut self, kind: u8, nexus: u8, lun: u8, which: u8) {
        let (index, lun) = (usize::from(nexus), u16::from(lun));
        let nexus = self.nexuses[index];
        let of = |sent: &Sent| sent.lun == lun;
        let mut concerned = self.in_stack(|_, sent| of(sent));
        let function = match kind % 5 {
            0 => {
                let tag = concerned.get(usize::from(which) % concerned.len().max(1)).copied();
                let tag = tag.unwrap_or_else(|| which.into());
                concerned =
                    self.in_stack(|cookie, sent| cookie == tag && of(sent) && sent.nexus == index);
                Function::AbortTask { nexus, lun, tag }
            }
            1 => {
                concerned = self.in_stack(|_, sent| of(sent) && sent.nexus == index);
                Function::AbortTaskSet { nexus, lun }
            }
            2 => Function::ClearTaskSet { nexus, lun },
            3 => Function::LogicalUnitReset { lun },
            _ => {
                concerned = self.in_stack(|_, _| true);
                Function::TargetReset
            }
        };
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        self.functions.insert(cookie, concerned);
        self.stack.manage(self.now, function, Some(cookie));
    }

    pub(super) fn advance(&mut self, tenths: u8) {
        self.now = self.now.plus_nanos(u64::from(tenths) * TENTH_NS);
    }

    pub(super) fn turn(&mut self, channel: &mut Recorder) {
        // What cannot go on over this channel is the supervisor's: it sees it by `unfit`.
        let _ = self.stack.turn(self.now, channel, &mut self.answers);
        for answer in std::mem::take(&mut self.answers) {
            self.ended(&answer, Some(channel));
        }
    }

    pub(super) fn collect_requests(&mut self, channel: &mut Recorder) {
        self.requests.extend(self.stack.requests(channel));
    }

    /// The driver confirms a function, or one that nobody asked for.
    pub(super) fn confirm(&mut self, which: u8) {
        let request = pick(&mut self.requests, which);
        self.stack.confirmed(request.map_or_else(|| which.into(), |request| request.id));
    }

    pub(super) fn confirm_all(&mut self) {
        while !self.requests.is_empty() {
            self.confirm(0);
        }
    }

    /// Takes the ends of functions; call it after a turn.
    pub(super) fn take_managed(&mut self) {
        for managed in self.stack.managed() {
            let concerned = self.functions.remove(&managed.cookie).expect("one end a function");
            for cookie in concerned {
                assert!(!self.open.contains_key(&cookie), "a function ended before its task");
            }
        }
    }

    pub(super) fn unfit(&self) -> bool {
        self.stack.unfit().is_some()
    }

    pub(super) fn driver_lost(&mut self) {
        self.stack.driver_lost();
        self.requests.clear();
    }

    pub(super) fn driver_replaced(&mut self) {
        self.stack.driver_replaced(self.now);
    }

    pub(super) fn assert_all_ended(&self) {
        assert!(self.open.is_empty(), "commands without an answer: {:?}", self.open.keys());
        assert!(self.functions.is_empty(), "functions without an end: {:?}", self.functions);
        assert_eq!(self.stack.in_driver(), 0, "tasks the driver should have");
        assert_eq!(self.stack.in_use(), 0, "slots that nobody has");
        assert_eq!(self.stack.free_buffer_bytes(), self.free_bytes, "buffers that nobody has");
    }

    /// Commands that the front end has handed over and that have no answer.
    fn in_stack(&self, concerned: impl Fn(u64, &Sent) -> bool) -> Vec<u64> {
        let filling = |cookie: u64| self.filling.iter().any(|(filling, _)| *filling == cookie);
        let open = self.open.iter().filter(|(cookie, sent)| concerned(**cookie, sent));
        let mut cookies: Vec<u64> =
            open.map(|(cookie, _)| *cookie).filter(|cookie| !filling(*cookie)).collect();
        cookies.sort_unstable();
        cookies
    }

    fn ended(&mut self, answer: &Answer, channel: Option<&mut Recorder>) {
        let sent = self.open.remove(&answer.cookie).expect("answered twice, or never sent");
        assert!(answer.transferred <= sent.expected, "more bytes than were asked for");
        assert_eq!(answer.status == Status::CheckCondition, answer.sense.is_some());
        if let Some(slot) = answer.slot {
            assert_eq!(Some(slot), sent.slot);
            self.sending.push(slot);
            if let Some(channel) = channel
                && channel.has(slot, answer.cookie)
            {
                channel.believed(slot, answer.cookie);
            } else {
                assert_ne!(answer.status, Status::Good, "GOOD without the driver");
            }
        } else if channel.is_some() {
            assert_ne!(answer.status, Status::Good, "GOOD without a slot");
        }
    }
}

fn report() -> HbaReport {
    let mut report = Ram::report();
    report.highest_lun = 1;
    for target in &mut report.targets {
        let mut second = target.units.first().cloned().expect("the RAM disk has a unit");
        second.lun = 1;
        second.unmap_granularity = Some(BLOCK);
        target.units.push(second);
    }
    report
}

/// A command and the bytes its initiator expects to move.
fn command(kind: u8, extent: u8) -> (Cdb, u64) {
    let (lba, blocks) = (u32::from(extent & 0x0F) * 4, u16::from(extent >> 4) * 4);
    let bytes = u64::from(blocks) * BLOCK;
    match kind % 10 {
        0 | 1 => (build::read_10(lba, blocks), bytes),
        2 | 3 => (build::write_10(lba, blocks), bytes),
        4 => (build::read_16(u64::from(lba), u32::from(blocks)), bytes / 2),
        5 => (build::write_16(u64::from(lba) << 12, u32::from(blocks)), bytes),
        6 => (build::synchronize_cache_10(lba, blocks), 0),
        7 => (build::unmap(24), 24),
        8 => (build::test_unit_ready(), 0),
        _ => (build::inquiry(None, 96), 96),
    }
}

fn pick<T>(from: &mut Vec<T>, which: u8) -> Option<T> {
    let count = from.len();
    (count != 0).then(|| from.swap_remove(usize::from(which) % count))
}
