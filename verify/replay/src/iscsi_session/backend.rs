//! A backend of a few slots that knows whose turn each is.

use std::collections::VecDeque;

use outboard_iscsi::server::{
    Backend, Function, Managed, ScsiAnswer, ScsiCommand, Submitted, Want,
};
use outboard_scsi::{Direction, Status, TaskAttribute};

const SLOTS: usize = 6;
const BUFFER: usize = 8192;
const BLOCK: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Filling,
    Running,
    Sending,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    state: State,
    cookie: u64,
    nexus: u64,
    tag: u64,
    length: u64,
    len: u64,
    aborted: bool,
    /// the edge receives into its buffer
    lent: bool,
}

pub(super) struct Watched {
    region: Vec<u8>,
    slots: [Option<Task>; SLOTS],
    pub(super) answers: VecDeque<ScsiAnswer>,
    pub(super) managed: VecDeque<u64>,
    pub(super) nexuses: Vec<u64>,
    next: u64,
}

impl Watched {
    pub(super) fn new() -> Self {
        Self {
            region: vec![0; SLOTS * BUFFER],
            slots: [None; SLOTS],
            answers: VecDeque::new(),
            managed: VecDeque::new(),
            nexuses: Vec::new(),
            next: 0,
        }
    }

    fn task(&mut self, slot: u16) -> &mut Task {
        self.slots[usize::from(slot)].as_mut().expect("a slot that is not in use")
    }

    fn of(&mut self, offset: u64, len: u64) -> &mut Task {
        let slot = offset as usize / BUFFER;
        assert!(offset as usize + len as usize <= slot * BUFFER + BUFFER, "beyond the buffer");
        let task = self.task(slot as u16);
        assert!(offset - (slot * BUFFER) as u64 + len <= task.len, "beyond the data");
        task
    }

    pub(super) fn in_use(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    pub(super) fn settled(&self) -> bool {
        !self.slots.iter().flatten().any(|t| t.aborted && t.state != State::Sending)
    }

    /// Answers up to `count` tasks.
    pub(super) fn run(&mut self, count: usize) {
        for slot in 0..SLOTS.min(count) {
            if self.slots[slot].is_some_and(|t| t.state == State::Running) {
                self.end(slot);
            }
        }
    }

    fn end(&mut self, slot: usize) {
        let Some(task) = self.slots[slot].as_mut() else { return };
        task.state = State::Sending;
        let transferred = if task.aborted { 0 } else { task.len };
        self.answers.push_back(ScsiAnswer {
            cookie: task.cookie,
            slot: Some(slot as u16),
            status: Status::Good,
            aborted: task.aborted,
            sense: None,
            transferred,
            length: task.length,
            offset: (slot * BUFFER) as u64,
            data: Vec::new(),
        });
    }

    fn abort(&mut self, concerned: impl Fn(&Task) -> bool) {
        for slot in 0..SLOTS {
            let Some(task) = self.slots[slot].as_mut() else { continue };
            if concerned(task) {
                task.aborted = true;
                if task.state == State::Running {
                    self.end(slot);
                }
            }
        }
    }

    pub(super) fn lend(&mut self, want: &Want) {
        if let Want::Data { offset, len } = *want {
            let task = self.of(offset, u64::from(len));
            assert_eq!(task.state, State::Filling);
            task.lent = true;
        }
    }

    pub(super) fn take_back(&mut self, want: &Want) {
        if let Want::Data { offset, .. } = *want {
            let task = self.task((offset as usize / BUFFER) as u16);
            assert!(task.lent);
            task.lent = false;
        }
    }

    pub(super) fn land(&mut self, offset: u64, bytes: &[u8]) {
        let task = self.of(offset, bytes.len() as u64);
        assert!(task.state == State::Filling && task.lent);
        let at = offset as usize;
        self.region[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn sending(&mut self, offset: u64, len: u64) -> &[u8] {
        assert_eq!(self.of(offset, len).state, State::Sending);
        &self.region[offset as usize..(offset + len) as usize]
    }
}

impl Backend for Watched {
    fn open_nexus(&mut self, _initiator_port: &str, _relative_target_port: u16) -> Option<u64> {
        if self.nexuses.len() >= 3 {
            return None;
        }
        self.next += 1;
        self.nexuses.push(self.next);
        Some(self.next)
    }

    fn close_nexus(&mut self, nexus: u64) {
        let at = self.nexuses.iter().position(|n| *n == nexus).expect("an open nexus");
        self.nexuses.swap_remove(at);
        self.abort(|t| t.nexus == nexus);
    }

    fn submit(&mut self, command: &ScsiCommand<'_>) -> Submitted {
        assert!(self.nexuses.contains(&command.nexus));
        let length = u64::from(command.cdb[8]) * BLOCK;
        if length == 0 {
            return Submitted::Answered(ScsiAnswer {
                cookie: command.cookie,
                slot: None,
                status: Status::CheckCondition,
                aborted: false,
                sense: Some([0x70; 18].into()),
                transferred: 0,
                length: 0,
                offset: 0,
                data: Vec::new(),
            });
        }
        let Some(slot) = self.slots.iter().position(Option::is_none) else {
            return Submitted::Full;
        };
        let len = length.min(command.expected);
        self.slots[slot] = Some(Task {
            state: State::Filling,
            cookie: command.cookie,
            nexus: command.nexus,
            tag: command.tag,
            length,
            len,
            aborted: false,
            lent: false,
        });
        let direction =
            if command.cdb[0] == 0x2A { Direction::ToDevice } else { Direction::FromDevice };
        Submitted::Buffer { slot: slot as u16, offset: (slot * BUFFER) as u64, len, direction }
    }

    fn ready(&mut self, slot: u16, _attribute: TaskAttribute) {
        let task = self.task(slot);
        assert!(task.state == State::Filling && !task.lent);
        task.state = State::Running;
        if task.aborted {
            self.end(usize::from(slot));
        }
    }

    fn cancel(&mut self, slot: u16) {
        let task = self.task(slot);
        assert!(task.state == State::Filling && !task.lent);
        self.slots[usize::from(slot)] = None;
    }

    fn finish(&mut self, slot: u16) {
        assert_eq!(self.task(slot).state, State::Sending);
        self.slots[usize::from(slot)] = None;
    }

    fn manage(&mut self, function: &Function, cookie: u64) -> Managed {
        match *function {
            Function::AbortTask { nexus, tag, .. } => {
                self.abort(|t| t.nexus == nexus && t.tag == tag);
            }
            Function::AbortTaskSet { nexus, .. } => self.abort(|t| t.nexus == nexus),
            _ => self.abort(|_| true),
        }
        self.managed.push_back(cookie);
        Managed::Begun
    }

    fn copy_in(&mut self, offset: u64, bytes: &[u8]) {
        let task = self.of(offset, bytes.len() as u64);
        assert!(task.state == State::Filling && !task.lent);
        let at = offset as usize;
        self.region[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn crc32c(&self, crc: u32, offset: u64, len: u64) -> u32 {
        let mut crc = !crc;
        for byte in &self.region[offset as usize..(offset + len) as usize] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 != 0 { 0x82F6_3B78 } else { 0 };
            }
        }
        !crc
    }

    fn free_slots(&self) -> u32 {
        (SLOTS - self.in_use()) as u32
    }
}
