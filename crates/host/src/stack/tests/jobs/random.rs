//! Copies, sanitize operations and ordinary tasks, while aborts, resets and restarts come: each
//! command ends once, and every slot and buffer comes back.

use outboard_hba::values::status;
use outboard_scsi::TaskAttribute::Simple;
use outboard_scsi::command::{SanitizeAction, build};
use outboard_slots::RegionConfig;
use proptest::prelude::*;

use super::super::super::{Accepted, Function};
use super::super::{BLOCK, Bench, driver};
use super::{BLOCKS, Disks};

#[derive(Clone, Copy, Debug)]
enum Event {
    /// blocks from here to there
    Copy(u64, u64, u16),
    Sanitize {
        immediate: bool,
    },
    Write(u16),
    Turn,
    /// the driver ends its oldest task
    Execute,
    /// or says that it was aborted
    Aborted,
    /// an abort of the command with this cookie
    AbortTask(u64),
    Reset,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..900_u64, 0..900_u64, 0..100_u16).prop_map(|(from, to, n)| Event::Copy(from, to, n)),
        1 => any::<bool>().prop_map(|immediate| Event::Sanitize { immediate }),
        3 => (0..999_u16).prop_map(Event::Write),
        6 => Just(Event::Turn),
        8 => Just(Event::Execute),
        1 => Just(Event::Aborted),
        2 => (1..40_u64).prop_map(Event::AbortTask),
        1 => Just(Event::Reset),
        1 => Just(Event::Restart),
    ]
}

/// A unit of 1000 blocks behind twelve slots.
fn bench() -> Bench {
    let (mut report, region) = driver::report();
    report.maximum_task_count = 12;
    report.targets[0].units[0].max_write_same = 300 * BLOCK;
    let config = RegionConfig { slots_per_queue: 12, ..region.layout().config };
    let region = outboard_slots::Region::create(config).unwrap();
    let identifiers: Vec<u32> = (1..=12).collect();
    Bench::with((report, region), &identifiers)
}

struct World {
    bench: Bench,
    disks: Disks,
    next: u64,
    /// how often each command has ended, by cookie
    ended: Vec<u32>,
    confirm: Vec<u64>,
}

impl World {
    /// A command with its data-out; nothing if it is answered or refused at once.
    fn send(&mut self, cdb: build::Cdb, data: &[u8]) {
        let cookie = self.next;
        match self.bench.submit(0, cookie, cdb, data.len() as u64, Simple) {
            Accepted::Slot { slot, offset, .. } => {
                self.bench.driver.memory().write(offset, data).unwrap();
                self.bench.stack.ready(slot, Simple);
                self.ended.push(0);
                self.next += 1;
            }
            Accepted::Answered(_) | Accepted::Full => {}
        }
    }

    fn turn(&mut self) {
        for id in std::mem::take(&mut self.confirm) {
            self.bench.stack.confirmed(id);
        }
        for answer in self.bench.turn() {
            self.ended[answer.cookie as usize - 1] += 1;
        }
        let requests = self.bench.stack.requests(&self.bench.driver);
        self.confirm.extend(requests.iter().map(|request| request.id));
        self.bench.stack.managed();
    }

    fn happen(&mut self, event: Event, name: [u8; 8]) {
        let nexus = self.bench.nexuses[0];
        match event {
            Event::Copy(from, to, blocks) => {
                let list = super::copy::list_within(name, from, to, blocks);
                self.send(build::extended_copy(list.len() as u32), &list);
            }
            Event::Sanitize { immediate } => {
                let cdb = build::sanitize(SanitizeAction::Overwrite, immediate, 5);
                self.send(cdb, &[1, 0, 0, 1, 0xAA]);
            }
            Event::Write(lba) => {
                self.send(build::write_10(u32::from(lba), 1), &[7; BLOCK as usize]);
            }
            Event::Turn => self.turn(),
            Event::Execute => {
                self.disks.execute(&mut self.bench);
            }
            Event::Aborted if self.bench.driver.oldest().is_some() => {
                self.bench.driver.end_oldest(status::TASK_ABORTED);
            }
            Event::Aborted => {}
            Event::AbortTask(tag) => {
                let function = Function::AbortTask { nexus, lun: 3, tag };
                self.bench.stack.manage(self.bench.now, function, Some(tag));
            }
            Event::Reset => {
                let function = Function::LogicalUnitReset { lun: 3 };
                self.bench.stack.manage(self.bench.now, function, None);
            }
            Event::Restart => {
                self.confirm.clear();
                self.bench.restart();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_command_ends_once_and_everything_comes_back(
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut bench = bench();
        let name = super::copy::name(&mut bench, 3);
        let free = bench.stack.free_buffer_bytes();
        let disks = Disks::new(&[3]);
        let mut world = World { bench, disks, next: 1, ended: Vec::new(), confirm: Vec::new() };
        for event in events {
            world.happen(event, name);
        }
        let mut quiet = 0;
        while quiet < 4 {
            world.turn();
            quiet = if world.disks.execute(&mut world.bench) { 0 } else { quiet + 1 };
        }
        prop_assert!(world.ended.iter().all(|times| *times == 1), "{:?}", world.ended);
        prop_assert_eq!((world.bench.stack.in_use(), world.bench.stack.in_driver()), (0, 0));
        prop_assert_eq!(world.bench.stack.free_buffer_bytes(), free);
        prop_assert_eq!(world.disks.bytes[&3].len() as u64, BLOCKS * BLOCK);
    }
}
