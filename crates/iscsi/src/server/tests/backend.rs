//! A backend whose disk is memory: READ(10), WRITE(10), TEST UNIT READY, INQUIRY.

use std::collections::{BTreeMap, VecDeque};

use outboard_scsi::{Direction, Lun, Status, TaskAttribute};

use crate::server::{Backend, Function, Managed, ScsiAnswer, ScsiCommand, Submitted};

pub(super) const BLOCK: usize = 512;
const SLOTS: usize = 32;
const BUFFER: usize = 1 << 20;

#[derive(Debug)]
struct Task {
    cookie: u64,
    nexus: u64,
    lun: [u8; 8],
    tag: u64,
    write: bool,
    lba: usize,
    length: u64,
    len: usize,
    ready: bool,
    aborted: bool,
    /// answered, its data on its way
    sending: bool,
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) region: Vec<u8>,
    pub(super) disk: Vec<u8>,
    tasks: BTreeMap<u16, Task>,
    free: Vec<u16>,
    pub(super) answers: VecDeque<ScsiAnswer>,
    pub(super) managed: VecDeque<u64>,
    pub(super) nexuses: Vec<String>,
    pub(super) open: Vec<u64>,
    /// the backend answers only when told to
    pub(super) slow: bool,
    pub(super) functions: Vec<Function>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            region: vec![0xEE; SLOTS * BUFFER],
            disk: (0..4096 * BLOCK).map(|at| (at / BLOCK) as u8 ^ at as u8).collect(),
            tasks: BTreeMap::new(),
            free: (0..SLOTS as u16).rev().collect(),
            answers: VecDeque::new(),
            managed: VecDeque::new(),
            nexuses: Vec::new(),
            open: Vec::new(),
            slow: false,
            functions: Vec::new(),
        }
    }

    /// Takes all slots but `left`.
    pub(super) fn shrink(&mut self, left: usize) {
        self.free.truncate(left);
    }

    pub(super) fn slots_in_use(&self) -> usize {
        self.tasks.len()
    }

    /// Runs all that is ready.
    pub(super) fn run(&mut self) {
        let slots: Vec<u16> = self
            .tasks
            .iter()
            .filter(|(_, t)| t.ready && !t.sending)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in slots {
            self.run_one(slot);
        }
    }

    fn run_one(&mut self, slot: u16) {
        let task = self.tasks.get_mut(&slot).unwrap();
        task.sending = true;
        let offset = usize::from(slot) * BUFFER;
        let disk = task.lba * BLOCK..task.lba * BLOCK + task.len;
        let region = offset..offset + task.len;
        if !task.aborted {
            if task.write {
                self.disk[disk].copy_from_slice(&self.region[region]);
            } else {
                self.region[region].copy_from_slice(&self.disk[disk]);
            }
        }
        self.answers.push_back(ScsiAnswer {
            cookie: task.cookie,
            slot: Some(slot),
            status: Status::Good,
            aborted: task.aborted,
            sense: None,
            transferred: if task.aborted { 0 } else { task.len as u64 },
            length: task.length,
            offset: offset as u64,
            data: Vec::new(),
        });
    }

    fn abort(&mut self, concerned: impl Fn(&Task) -> bool) {
        for task in self.tasks.values_mut().filter(|t| concerned(t)) {
            task.aborted = true;
        }
        let slots: Vec<u16> = self
            .tasks
            .iter()
            .filter(|(_, t)| t.aborted && t.ready && !t.sending)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in slots {
            self.run_one(slot);
        }
    }

    pub(super) fn settled(&self) -> bool {
        !self.tasks.values().any(|t| t.aborted && !t.sending)
    }
}

impl Backend for Memory {
    fn open_nexus(&mut self, initiator_port: &str, _relative_target_port: u16) -> Option<u64> {
        if self.nexuses.len() >= 100 {
            return None;
        }
        self.nexuses.push(initiator_port.to_owned());
        let nexus = self.nexuses.len() as u64;
        self.open.push(nexus);
        Some(nexus)
    }

    fn close_nexus(&mut self, nexus: u64) {
        assert!(self.open.contains(&nexus), "a nexus closed twice");
        self.open.retain(|n| *n != nexus);
        self.abort(|t| t.nexus == nexus);
    }

    fn submit(&mut self, command: &ScsiCommand<'_>) -> Submitted {
        assert!(self.open.contains(&command.nexus));
        let answered = |status, data: Vec<u8>, sense: Option<Box<[u8]>>| {
            let mut data = data;
            let length = data.len() as u64;
            data.truncate(command.expected as usize);
            Submitted::Answered(ScsiAnswer {
                cookie: command.cookie,
                slot: None,
                status,
                aborted: false,
                sense,
                transferred: data.len() as u64,
                length,
                offset: 0,
                data,
            })
        };
        let write = match command.cdb[0] {
            0x00 => return answered(Status::Good, Vec::new(), None),
            0x12 => return answered(Status::Good, (0..36).collect(), None),
            0x28 => false,
            0x2A => true,
            _ => return answered(Status::CheckCondition, Vec::new(), Some(vec![0x70; 18].into())),
        };
        let cdb = command.cdb;
        let lba = u32::from_be_bytes([cdb[2], cdb[3], cdb[4], cdb[5]]) as usize;
        let length = usize::from(u16::from_be_bytes([cdb[7], cdb[8]])) * BLOCK;
        if lba * BLOCK + length > self.disk.len() {
            return answered(Status::CheckCondition, Vec::new(), Some(vec![0x70; 18].into()));
        }
        let Some(slot) = self.free.pop() else { return Submitted::Full };
        let len = length.min(command.expected as usize);
        let task = Task {
            cookie: command.cookie,
            nexus: command.nexus,
            lun: command.lun,
            tag: command.tag,
            write,
            lba,
            length: length as u64,
            len,
            ready: false,
            aborted: false,
            sending: false,
        };
        let offset = usize::from(slot) * BUFFER;
        self.region[offset..offset + len].fill(0xEE);
        self.tasks.insert(slot, task);
        let direction = if write { Direction::ToDevice } else { Direction::FromDevice };
        Submitted::Buffer { slot, offset: offset as u64, len: len as u64, direction }
    }

    fn ready(&mut self, slot: u16, _attribute: TaskAttribute) {
        let task = self.tasks.get_mut(&slot).unwrap();
        assert!(!task.ready, "made ready twice");
        task.ready = true;
        let aborted = task.aborted;
        if !self.slow || aborted {
            self.run_one(slot);
        }
    }

    fn cancel(&mut self, slot: u16) {
        let task = self.tasks.remove(&slot).expect("a slot that is not in use is cancelled");
        assert!(!task.ready);
        self.free.push(slot);
    }

    fn finish(&mut self, slot: u16) {
        let task = self.tasks.remove(&slot).expect("a slot that is not in use is finished");
        assert!(task.sending);
        self.free.push(slot);
    }

    fn manage(&mut self, function: &Function, cookie: u64) -> Managed {
        self.functions.push(*function);
        match *function {
            Function::AbortTask { nexus, lun, tag } => {
                self.abort(|t| t.nexus == nexus && unit(t.lun) == unit(lun) && t.tag == tag);
            }
            Function::AbortTaskSet { nexus, lun } => {
                self.abort(|t| t.nexus == nexus && unit(t.lun) == unit(lun));
            }
            Function::ClearTaskSet { lun, .. } | Function::LogicalUnitReset { lun, .. } => {
                if lun[1] > 7 {
                    return Managed::NoLun;
                }
                self.abort(|t| unit(t.lun) == unit(lun));
            }
            Function::TargetReset { .. } => self.abort(|_| true),
        }
        self.managed.push_back(cookie);
        Managed::Begun
    }

    fn copy_in(&mut self, offset: u64, bytes: &[u8]) {
        let offset = offset as usize;
        self.region[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn crc32c(&self, crc: u32, offset: u64, len: u64) -> u32 {
        crc32c::crc32c_append(crc, &self.region[offset as usize..(offset + len) as usize])
    }

    fn free_slots(&self) -> u32 {
        self.free.len() as u32
    }
}

fn unit(lun: [u8; 8]) -> Lun {
    Lun::decode(lun).unwrap()
}
