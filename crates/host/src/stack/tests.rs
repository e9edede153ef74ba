//! The stack over a driver that a test plays: tasks are what was pushed, answers what is told.

mod adopt;
mod alone;
mod deadlines;
mod driver;
mod everything;
mod jobs;
mod management;
mod nexuses;
mod order;
mod parameters;
mod pulse;
mod ranges;
mod replay;
mod restart;
mod rights;
mod through;
mod violations;

use outboard_hba::HbaReport;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::{Lun, Sense, Status, TaskAttribute};
use outboard_slots::{Region, Time};
use outboard_spc::NexusId;

use super::{Accepted, Answer, Command, Stack};
use driver::PlayedDriver;

const BLOCK: u64 = 512;

/// A stack of four slots with two nexuses to LUN 3, and the driver that is played.
struct Bench {
    stack: Stack,
    driver: PlayedDriver,
    nexuses: [NexusId; 2],
    now: Time,
    free: u64,
    /// answers of a fence, which the next turn tells
    fenced: Vec<Answer>,
}

impl Bench {
    fn new() -> Self {
        Self::over(driver::report())
    }

    fn over(driver: (HbaReport, Region)) -> Self {
        Self::with(driver, &[11, 12, 13, 14])
    }

    fn with((report, region): (HbaReport, Region), identifiers: &[u32]) -> Self {
        let mut stack = Stack::new(&report, 0, identifiers, &region, 0).unwrap();
        let nexuses = ["a", "b"].map(|port| stack.open_nexus(port, 1).unwrap());
        let free = stack.free_buffer_bytes();
        let driver = PlayedDriver::new(region);
        let mut bench =
            Self { stack, driver, nexuses, now: Time::from_nanos(1), free, fenced: Vec::new() };
        for nexus in 0..2 {
            let told = bench.submit(nexus, 0, build::test_unit_ready(), 0, TaskAttribute::Simple);
            assert!(matches!(told, Accepted::Answered(a) if a.status == Status::CheckCondition));
        }
        bench
    }

    fn submit(
        &mut self,
        nexus: usize,
        cookie: u64,
        cdb: Cdb,
        expected: u64,
        attribute: TaskAttribute,
    ) -> Accepted {
        let command = Command {
            nexus: self.nexuses[nexus],
            lun: Lun::new(3).unwrap().encode(),
            cdb: cdb.as_slice(),
            attribute,
            tag: cookie,
            expected,
            cookie,
        };
        self.stack.submit(self.now, &command)
    }

    /// Sends a command up to ready; its slot.
    fn send(&mut self, nexus: usize, cookie: u64, cdb: Cdb, attribute: TaskAttribute) -> u16 {
        let expected = if cdb.as_slice()[0] == 0x35 { 0 } else { BLOCK };
        let Accepted::Slot { slot, .. } = self.submit(nexus, cookie, cdb, expected, attribute)
        else {
            panic!("no slot")
        };
        self.stack.ready(slot, attribute);
        slot
    }

    /// Sends a command with data-out up to ready; its slot.
    fn send_list(&mut self, nexus: usize, cookie: u64, cdb: Cdb, list: &[u8]) -> u16 {
        let expected = list.len() as u64;
        let accepted = self.submit(nexus, cookie, cdb, expected, TaskAttribute::Simple);
        let Accepted::Slot { slot, offset, .. } = accepted else { panic!("{accepted:?}") };
        self.driver.memory().write(offset, list).unwrap();
        self.stack.ready(slot, TaskAttribute::Simple);
        slot
    }

    fn read(&mut self, cookie: u64) -> u16 {
        self.send(0, cookie, build::read_10(0, 1), TaskAttribute::Simple)
    }

    fn write(&mut self, cookie: u64, lba: u32) -> u16 {
        self.send(0, cookie, build::write_10(lba, 1), TaskAttribute::Simple)
    }

    /// A turn; the answers' slots are finished.
    fn turn(&mut self) -> Vec<Answer> {
        let mut answers = std::mem::take(&mut self.fenced);
        self.stack.turn(self.now, &mut self.driver, &mut answers).unwrap();
        for answer in &answers {
            if let Some(slot) = answer.slot {
                self.stack.finish(slot);
            }
        }
        answers
    }

    /// The next turn after `ns`.
    fn turn_after(&mut self, ns: u64) -> Vec<Answer> {
        self.now = self.now.plus_nanos(ns);
        self.turn()
    }

    /// Tags of the tasks that the driver got since the last call.
    fn pushed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.driver.pushed)
    }

    /// The driver has died, the fence has passed, a successor is there.
    fn restart(&mut self) {
        self.stack.driver_lost();
        self.stack.driver_fenced(self.now, &mut self.driver, &mut self.fenced);
        self.driver.forget();
        self.stack.driver_replaced(self.now);
    }

    #[track_caller]
    fn assert_conserved(&self) {
        assert_eq!((self.stack.in_use(), self.stack.in_driver()), (0, 0));
        assert_eq!(self.stack.free_buffer_bytes(), self.free);
    }
}

/// Cookies, in order.
fn cookies(answers: &[Answer]) -> Vec<u64> {
    answers.iter().map(|a| a.cookie).collect()
}

/// The sense data of a CHECK CONDITION that was not aborted.
#[track_caller]
fn sense(answer: &Answer) -> Sense {
    assert_eq!((answer.status, answer.aborted), (Status::CheckCondition, false));
    Sense::parse(answer.sense.as_deref().unwrap()).unwrap()
}

/// A disk reads whole blocks, so that the part of one that is expected can be sent.
#[test]
fn a_block_that_is_expected_in_part_is_read_whole() {
    let mut bench = Bench::new();
    let cases = [(0, 0), (200, BLOCK), (BLOCK, BLOCK), (BLOCK + 1, 2 * BLOCK), (5000, 2 * BLOCK)];
    for (expected, bytes) in cases {
        let accepted = bench.submit(0, 1, build::read_10(0, 2), expected, TaskAttribute::Simple);
        let Accepted::Slot { slot, len, .. } = accepted else { panic!("{accepted:?}") };
        assert_eq!(len, bytes, "{expected}");
        bench.stack.ready(slot, TaskAttribute::Simple);
        bench.turn();
        bench.driver.good(&[1]);
        let answers = bench.turn();
        assert_eq!((answers[0].transferred, answers[0].length), (bytes, 2 * BLOCK));
    }
    // What is not sent is not written.
    let accepted = bench.submit(0, 1, build::write_10(0, 2), 200, TaskAttribute::Simple);
    let Accepted::Slot { slot, len: 200, .. } = accepted else { panic!("{accepted:?}") };
    bench.stack.cancel(slot);
    bench.assert_conserved();
}
