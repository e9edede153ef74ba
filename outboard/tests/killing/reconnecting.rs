//! An initiator that comes back: when its connection ends it logs in again, looks what has become of
//! the writes that were not acknowledged, and supersedes them. Each acknowledged write must be there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use outboard_iscsi::initiator::{Client, ClientError, Command, Wishes};
use outboard_scsi::Status;
use outboard_scsi::command::build::{Cdb, FUA, read_16, synchronize_cache_16, write_16};

use crate::iscsi::mixed::{Part, fill};
use crate::iscsi::session::{BLOCK, Session, blocks, connect};

const UNIT: usize = 4096;
const UNIT_BLOCKS: u64 = (UNIT / BLOCK) as u64;
const UNITS_MAX: u64 = 16;
const DEPTH: usize = 8;
/// A server that has been started again accepts within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) commands: u64,
    pub(crate) reconnects: u64,
    /// writes without an answer when the connection ended
    pub(crate) in_doubt: u64,
    /// of those, units that had landed
    pub(crate) landed: u64,
    /// the longest time from the end of a connection to the next log-in
    pub(crate) away: Duration,
}

/// The initiator.
pub(crate) struct Reconnecting {
    portal: SocketAddr,
    lun: [u8; 8],
    wishes: Wishes,
    session: Session,
    part: Part,
    dice: u64,
    /// what each unit holds: 0 is zeros, else the number of the write
    holds: Vec<u32>,
    busy: Vec<bool>,
    under_way: HashMap<u32, Task>,
    writes: u32,
    done: Done,
}

#[derive(Debug)]
struct Task {
    at: u64,
    units: u64,
    /// of a write: what the units hold afterwards
    then: Option<u32>,
    reads: bool,
}

impl Reconnecting {
    /// Logs in and takes its part as zeros.
    pub(crate) fn new(first: Session, portal: SocketAddr, wishes: Wishes, part: Part) -> Self {
        let units = usize::try_from(part.units).unwrap();
        Self {
            portal,
            lun: first.lun,
            wishes,
            session: first,
            dice: super::seed() << 8 ^ 0x5eed ^ part.session << 32 | 1,
            holds: vec![0; units],
            busy: vec![false; units],
            part,
            under_way: HashMap::new(),
            writes: 0,
            done: Done::default(),
        }
    }

    /// Runs for a time, then reads all of its part.
    pub(crate) fn run(mut self, time: Duration) -> Done {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if self.turn().is_err() {
                self.come_back();
            }
        }
        while !self.under_way.is_empty() {
            if self.finish_one().is_err() {
                self.come_back();
            }
        }
        for at in (0..self.part.units).step_by(UNITS_MAX as usize) {
            let units = UNITS_MAX.min(self.part.units - at);
            let data = self.read(at, units);
            assert!(data == self.content(at, units, None), "unit {at} in the end");
        }
        self.done
    }

    fn turn(&mut self) -> Result<(), ClientError> {
        while self.under_way.len() < DEPTH {
            self.next_command()?;
        }
        self.finish_one()
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    fn next_command(&mut self) -> Result<(), ClientError> {
        let (at, units) = loop {
            let units = 1 + self.roll(UNITS_MAX);
            let at = self.roll(self.part.units - units);
            if self.busy[range(at, units)].iter().all(|busy| !busy) {
                break (at, units);
            }
        };
        let (lba, count) = (self.lba(at), blocks(units as usize * UNIT));
        match self.roll(100) {
            0..40 => {
                let room = u32::try_from(units as usize * UNIT).unwrap();
                self.submit(at, units, &read_16(lba, count), None, room)
            }
            40..50 => self.submit(at, units, &synchronize_cache_16(lba, count), None, 0),
            kind => {
                self.writes += 1;
                let cdb = write_16(lba, count);
                let cdb = if kind < 70 { cdb.with(1, FUA) } else { cdb };
                self.submit(at, units, &cdb, Some(self.writes), 0)
            }
        }
    }

    fn submit(
        &mut self,
        at: u64,
        units: u64,
        cdb: &Cdb,
        then: Option<u32>,
        room: u32,
    ) -> Result<(), ClientError> {
        let data = then.map(|number| self.content(at, units, Some(number))).unwrap_or_default();
        let command = Command::new(self.lun, cdb.as_slice());
        let command = Command { data_out: &data, expected_in: room, ..command };
        let sent = self.session.client.submit(&command);
        // What could not be sent whole may have been sent in part: it is in doubt as the others.
        let tag = *sent.as_ref().unwrap_or(&u32::MAX);
        self.under_way.insert(tag, Task { at, units, then, reads: room > 0 });
        self.busy[range(at, units)].fill(true);
        sent.map(|_| self.done.commands += 1)
    }

    fn finish_one(&mut self) -> Result<(), ClientError> {
        let (tag, completion) = self.session.client.complete_any()?;
        let task = self.under_way.remove(&tag).unwrap();
        let who = self.part.session;
        assert_eq!(completion.status, Status::Good.code(), "{who}: {task:?} {completion:02x?}");
        if task.reads {
            let expected = self.content(task.at, task.units, None);
            assert!(completion.data == expected, "{who}: {task:?} reads something else");
        }
        if let Some(number) = task.then {
            self.holds[range(task.at, task.units)].fill(number);
        }
        self.busy[range(task.at, task.units)].fill(false);
        Ok(())
    }

    /// The connection has ended: another one, and no doubt is left.
    fn come_back(&mut self) {
        let begun = Instant::now();
        self.session = loop {
            match self.log_in() {
                Some(session) => break session,
                None => assert!(begun.elapsed() < PATIENCE, "the server does not come back"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.done.reconnects += 1;
        self.done.away = self.done.away.max(begun.elapsed());
        self.busy.fill(false);
        for task in std::mem::take(&mut self.under_way).into_values() {
            let Some(number) = task.then else { continue };
            self.done.in_doubt += 1;
            self.judge(&task, number);
        }
    }

    fn log_in(&self) -> Option<Session> {
        let client = Client::login(connect(self.portal).ok()?, self.wishes.clone()).ok()?;
        let mut session = Session { client, lun: self.lun };
        session.settle();
        Some(session)
    }

    /// Each block of a write in doubt is as before or as written; then something else is written
    /// there, which nothing of the dead server may overwrite.
    fn judge(&mut self, task: &Task, number: u32) {
        let (at, units) = (task.at, task.units);
        let found = self.read(at, units);
        let (old, new) = (self.content(at, units, None), self.content(at, units, Some(number)));
        for (index, block) in found.chunks(BLOCK).enumerate() {
            let place = index * BLOCK..(index + 1) * BLOCK;
            let landed = block == &new[place.clone()];
            assert!(landed || block == &old[place], "{task:?}: block {index} is neither");
            self.done.landed += u64::from(landed && index % UNIT_BLOCKS as usize == 0);
        }
        self.writes += 1;
        let data = self.content(at, units, Some(self.writes));
        self.session.write(self.lba(at), &data);
        self.holds[range(at, units)].fill(self.writes);
    }

    fn read(&mut self, at: u64, units: u64) -> Vec<u8> {
        self.session.read(self.lba(at), units as usize * UNIT)
    }

    fn lba(&self, at: u64) -> u64 {
        (self.part.first + at) * UNIT_BLOCKS
    }

    fn content(&self, at: u64, units: u64, number: Option<u32>) -> Vec<u8> {
        let mut data = Vec::with_capacity(units as usize * UNIT);
        for unit in at..at + units {
            let number = number.unwrap_or_else(|| self.holds[unit as usize]);
            fill(&mut data, self.part.session, self.part.first + unit, number);
        }
        data
    }
}

fn range(at: u64, units: u64) -> std::ops::Range<usize> {
    at as usize..(at + units) as usize
}
