//! A load that checks every byte: one initiator, many commands under way, a model of what its part
//! of the disk must hold.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use outboard_iscsi::initiator::{Completion, Wishes};
use outboard_scsi::Status;
use outboard_scsi::command::build::{
    compare_and_write, read_16, synchronize_cache_16, unmap, verify_16, write_16, write_same_16,
};

use super::server::Server;
use super::session::{BLOCK, Session, blocks};

/// The model's unit, and the most units of a command.
const UNIT: usize = 4096;
const UNITS_MAX: u64 = 64;
const UNIT_BLOCKS: u64 = (UNIT / BLOCK) as u64;

/// What one session did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) commands: u64,
    pub(crate) bytes: u64,
    pub(crate) logins: u64,
}

/// Part of the disk that one session has for itself.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) session: u64,
    pub(crate) first: u64,
    pub(crate) units: u64,
}

/// The load.
pub(crate) struct Mixed<'s> {
    server: &'s Server,
    wishes: Wishes,
    session: Session,
    part: Part,
    depth: usize,
    dice: u64,
    /// What each unit holds: 0 is zeros, else the number of the write.
    holds: Vec<u32>,
    /// Units that a command under way touches.
    busy: Vec<bool>,
    under_way: HashMap<u32, Task>,
    writes: u32,
    done: Done,
    /// Told of each completion.
    told: Option<&'s (dyn Fn() + Sync)>,
}

/// A command under way.
struct Task {
    at: u64,
    units: u64,
    /// What the units hold when it has ended; `None`: as before.
    then: Option<u32>,
    reads: bool,
}

impl<'s> Mixed<'s> {
    /// Logs in and finds its part as zeros.
    pub(crate) fn new(server: &'s Server, wishes: Wishes, part: Part, depth: usize) -> Self {
        let session = Session::open(server, wishes.clone());
        let units = usize::try_from(part.units).unwrap();
        Self {
            server,
            wishes,
            session,
            depth,
            dice: 0x5eed ^ part.session << 32 | 1,
            holds: vec![0; units],
            busy: vec![false; units],
            part,
            under_way: HashMap::new(),
            writes: 0,
            done: Done { logins: 1, ..Done::default() },
            told: None,
        }
    }

    /// The same, which tells of each completion.
    pub(crate) fn telling(self, told: &'s (dyn Fn() + Sync)) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Runs for a time, then reads all of its part.
    pub(crate) fn run(mut self, time: Duration) -> Done {
        let begun = Instant::now();
        while begun.elapsed() < time {
            while self.under_way.len() < self.depth {
                self.next_command();
            }
            self.finish_one();
            if self.roll(4000) == 0 {
                self.log_in_again();
            }
        }
        self.finish_all();
        for at in (0..self.part.units).step_by(usize::try_from(UNITS_MAX).unwrap()) {
            self.read(at, UNITS_MAX.min(self.part.units - at));
            self.finish_one();
        }
        self.done
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    /// A place whose units no other command touches.
    fn place(&mut self) -> (u64, u64) {
        let longest = if self.roll(4) == 0 { UNITS_MAX } else { 4 };
        loop {
            let units = 1 + self.roll(longest);
            let at = self.roll(self.part.units - units);
            let range = usize::try_from(at).unwrap()..usize::try_from(at + units).unwrap();
            if self.busy[range].iter().all(|busy| !busy) {
                return (at, units);
            }
        }
    }

    fn next_command(&mut self) {
        let (at, units) = self.place();
        match self.roll(100) {
            0..42 => self.read(at, units),
            42..84 => self.write(at, units),
            84..88 => self.zero(at, units, false),
            88..92 => self.zero(at, units, true),
            92..95 => self.verify(at, units),
            95..97 => self.compare_and_write(at),
            97 => self.unmap(at, units),
            98 => self.synchronize(at, units),
            _ => self.write_fua(at, units),
        }
    }

    fn lba(&self, at: u64) -> u64 {
        (self.part.first + at) * UNIT_BLOCKS
    }

    fn begin(&mut self, tag: u32, at: u64, units: u64, then: Option<u32>, reads: bool) {
        let range = usize::try_from(at).unwrap()..usize::try_from(at + units).unwrap();
        self.busy[range].fill(true);
        self.under_way.insert(tag, Task { at, units, then, reads });
        self.done.commands += 1;
        self.done.bytes += units * UNIT as u64;
    }

    fn read(&mut self, at: u64, units: u64) {
        let bytes = u32::try_from(units).unwrap() * UNIT as u32;
        let cdb = read_16(self.lba(at), blocks(bytes as usize));
        let tag = self.session.submit(&cdb, &[], bytes);
        self.begin(tag, at, units, None, true);
    }

    fn next_write(&mut self) -> u32 {
        self.writes += 1;
        self.writes
    }

    /// What units hold after a write, or now if `number` is none.
    fn content(&self, at: u64, units: u64, number: Option<u32>) -> Vec<u8> {
        let mut data = Vec::with_capacity(usize::try_from(units).unwrap() * UNIT);
        for unit in at..at + units {
            let number = number.unwrap_or_else(|| self.holds[usize::try_from(unit).unwrap()]);
            fill(&mut data, self.part.session, self.part.first + unit, number);
        }
        data
    }

    fn write(&mut self, at: u64, units: u64) {
        let number = self.next_write();
        let data = self.content(at, units, Some(number));
        let cdb = write_16(self.lba(at), blocks(data.len()));
        let tag = self.session.submit(&cdb, &data, 0);
        self.begin(tag, at, units, Some(number), false);
    }

    fn write_fua(&mut self, at: u64, units: u64) {
        let number = self.next_write();
        let data = self.content(at, units, Some(number));
        let cdb = write_16(self.lba(at), blocks(data.len()));
        let cdb = cdb.with(1, outboard_scsi::command::build::FUA);
        let tag = self.session.submit(&cdb, &data, 0);
        self.begin(tag, at, units, Some(number), false);
    }

    fn zero(&mut self, at: u64, units: u64, unmap: bool) {
        let count = u32::try_from(units * UNIT_BLOCKS).unwrap();
        let cdb = write_same_16(self.lba(at), count, unmap, false);
        let tag = self.session.submit(&cdb, &[0; BLOCK], 0);
        self.begin(tag, at, units, Some(0), false);
    }

    fn verify(&mut self, at: u64, units: u64) {
        let data = self.content(at, units, None);
        let cdb = verify_16(self.lba(at), blocks(data.len()), 1);
        let tag = self.session.submit(&cdb, &data, 0);
        self.begin(tag, at, units, None, false);
    }

    fn compare_and_write(&mut self, at: u64) {
        let number = self.next_write();
        let mut data = self.content(at, 1, None);
        data.extend(self.content(at, 1, Some(number)));
        let cdb = compare_and_write(self.lba(at), u8::try_from(UNIT_BLOCKS).unwrap());
        let tag = self.session.submit(&cdb, &data, 0);
        self.begin(tag, at, 1, Some(number), false);
    }

    /// UNMAP with one descriptor; what is unmapped reads as zeros (LBPRZ).
    fn unmap(&mut self, at: u64, units: u64) {
        let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
        list.extend(self.lba(at).to_be_bytes());
        list.extend(u32::try_from(units * UNIT_BLOCKS).unwrap().to_be_bytes());
        list.extend([0; 4]);
        let tag = self.session.submit(&unmap(24), &list, 0);
        self.begin(tag, at, units, Some(0), false);
    }

    fn synchronize(&mut self, at: u64, units: u64) {
        let count = u32::try_from(units * UNIT_BLOCKS).unwrap();
        let tag = self.session.submit(&synchronize_cache_16(self.lba(at), count), &[], 0);
        self.begin(tag, at, units, None, false);
    }

    fn finish_one(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let (tag, completion) = self.session.client.complete_any().unwrap();
        if let Some(told) = self.told {
            told();
        }
        let task = self.under_way.remove(&tag).unwrap();
        self.check(&task, &completion);
        let range =
            usize::try_from(task.at).unwrap()..usize::try_from(task.at + task.units).unwrap();
        if let Some(number) = task.then {
            self.holds[range.clone()].fill(number);
        }
        self.busy[range].fill(false);
    }

    fn finish_all(&mut self) {
        while !self.under_way.is_empty() {
            self.finish_one();
        }
    }

    fn check(&self, task: &Task, completion: &Completion) {
        let at = self.part.first + task.at;
        let who = self.part.session;
        assert_eq!(
            completion.status,
            Status::Good.code(),
            "session {who}, unit {at}: sense {:02x?}",
            completion.sense
        );
        if task.reads {
            let expected = self.content(task.at, task.units, None);
            let differs =
                completion.data.iter().zip(&expected).position(|(is, should)| is != should);
            assert!(
                differs.is_none() && completion.data.len() == expected.len(),
                "session {who}, units {at}+{}: {} bytes, byte {differs:?} differs",
                task.units,
                completion.data.len()
            );
        }
    }

    /// The connection ends without a word while reads are under way; a new login takes the place of
    /// the session, which the target may still hold.
    fn log_in_again(&mut self) {
        self.finish_all();
        for _ in 0..4 {
            let (at, units) = self.place();
            self.read(at, units);
        }
        self.under_way.clear();
        self.busy.fill(false);
        self.session = Session::open(self.server, self.wishes.clone());
        self.done.logins += 1;
    }
}

/// Appends what a unit holds after a write: no other unit and no other write has it.
pub(crate) fn fill(data: &mut Vec<u8>, session: u64, unit: u64, number: u32) {
    if number == 0 {
        data.resize(data.len() + UNIT, 0);
        return;
    }
    let mut word = (session << 56 | unit << 24) ^ u64::from(number) ^ 0x0b0a_4d00;
    for _ in 0..UNIT / 8 {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        data.extend((word ^ word >> 29).to_le_bytes());
    }
}
