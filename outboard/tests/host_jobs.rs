//! EXTENDED COPY and SANITIZE over the real array driver and memory disks: the blocks are there.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::time::{Duration, Instant};

use outboard_array::{ArrayController, ArrayOptions, UnitOptions};
use outboard_disk::open::{OpenOptions, open};
use outboard_hba::Path;
use outboard_host::channel::{Channel, Resident};
use outboard_host::driver::{Options, attach_resident};
use outboard_host::stack::{Accepted, Answer, Command, Stack};
use outboard_scsi::command::SanitizeAction;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::copy::{Cscd, ListIdUsage, Segment, encode};
use outboard_scsi::sanitize::Overwrite;
use outboard_scsi::{Lun, Status, TaskAttribute};
use outboard_slots::{Memory, Time};
use outboard_spc::NexusId;

const BLOCKS: u64 = 4096;
const BLOCK: usize = 512;
const PATIENCE: Duration = Duration::from_secs(20);

struct Host {
    stack: Stack,
    memory: Memory,
    channel: Resident,
    nexus: NexusId,
}

impl Host {
    /// Two units of memory, LUN 0 and 1.
    fn new() -> Self {
        let (mut units, mut descriptors) = (Vec::new(), Vec::new());
        for lun in 0..2 {
            let disk = open(&"mem:2Mi".parse().unwrap(), &OpenOptions::default()).unwrap();
            let name = format!("unit {lun}");
            let (unit, mut of_unit) = UnitOptions::new(lun, &name, None, vec![disk]);
            units.push(unit);
            descriptors.append(&mut of_unit);
        }
        let options = ArrayOptions { units, maximum_task_count: 16, max_transfer: 1 << 20 };
        let options = serde_json::to_value(&options).unwrap();
        let attach = Options::new(Path::Resident, 16, 4 << 20);
        let (report, identifiers, region, channels) =
            attach_resident(ArrayController::default(), options, descriptors, &attach).unwrap();
        let channel = channels.into_iter().next().unwrap();
        let mut stack = Stack::new(&report, 0, &identifiers, &region, 0).unwrap();
        let nexus = stack.open_nexus("initiator", 1).unwrap();
        let mut host = Self { stack, memory: region.memory().clone(), channel, nexus };
        for lun in 0..2 {
            host.run(lun, build::test_unit_ready(), &[], 0);
        }
        host
    }

    /// One command from its reception to its end; its answer with the data.
    fn run(&mut self, lun: u16, cdb: Cdb, data_out: &[u8], data_in: u64) -> (Answer, Vec<u8>) {
        let attribute = TaskAttribute::Simple;
        let command = Command {
            nexus: self.nexus,
            lun: Lun::new(lun).unwrap().encode(),
            cdb: cdb.as_slice(),
            attribute,
            tag: 1,
            expected: data_in.max(data_out.len() as u64),
            cookie: 1,
        };
        let slot = match self.stack.submit(Time::now(), &command) {
            Accepted::Answered(answer) => {
                let data = answer.data.clone();
                return (answer, data);
            }
            Accepted::Slot { slot, offset, .. } => {
                self.memory.write(offset, data_out).unwrap();
                slot
            }
            Accepted::Full => panic!("{cdb:?} finds no slot"),
        };
        self.stack.ready(slot, attribute);
        let (began, mut answers) = (Instant::now(), Vec::new());
        while answers.is_empty() {
            assert!(began.elapsed() < PATIENCE, "{cdb:?} does not end");
            let now = Time::now();
            if !self.stack.turn(now, &mut self.channel, &mut answers).unwrap() {
                self.channel.idle(now, now.plus_nanos(100_000), self.stack.in_driver());
            }
        }
        let answer = answers.remove(0);
        let mut data = vec![0; data_in as usize];
        if data_in != 0 {
            self.memory.read(answer.offset, &mut data).unwrap();
        }
        self.stack.finish(slot);
        (answer, data)
    }

    #[track_caller]
    fn good(&mut self, lun: u16, cdb: Cdb, data_out: &[u8], data_in: u64) -> Vec<u8> {
        let (answer, data) = self.run(lun, cdb, data_out, data_in);
        assert_eq!(answer.status, Status::Good, "{:?}", answer.sense);
        data
    }

    fn read(&mut self, lun: u16, lba: u64, blocks: u32) -> Vec<u8> {
        self.good(lun, build::read_16(lba, blocks), &[], u64::from(blocks) * BLOCK as u64)
    }

    /// The NAA name of a unit.
    fn name(&mut self, lun: u16) -> Vec<u8> {
        let page = self.good(lun, build::inquiry(Some(0x83), 255), &[], 255);
        assert_eq!(page[4..8], [1, 3, 0, 8]);
        page[8..16].to_vec()
    }
}

/// Bytes that differ from block to block.
fn content(blocks: u64, seed: u64) -> Vec<u8> {
    (0..blocks * BLOCK as u64)
        .map(|at| ((at / 8 + seed).wrapping_mul(0x9E37_79B9) >> 16) as u8)
        .collect()
}

#[test]
fn blocks_are_copied_between_units() {
    let mut host = Host::new();
    let names = [host.name(0), host.name(1)];
    let data = content(2000, 1);
    host.good(0, build::write_16(48, 2000), &data, 0);
    let cscds = names.iter().map(|designator| Cscd {
        at: 0,
        device_type: 0,
        code_set: 1,
        association: 0,
        designator_type: 3,
        designator,
        pad: false,
        block_length: BLOCK as u32,
    });
    let segment = |source, destination, blocks, source_lba, destination_lba| Segment {
        at: 0,
        destination_count: false,
        concatenate: false,
        source,
        destination,
        blocks,
        source_lba,
        destination_lba,
    };
    // To the other unit, and there by three blocks up, over itself.
    let segments = [segment(0, 1, 2000, 48, 100), segment(1, 1, 2000, 100, 103)];
    let mut list = vec![0; 256];
    let len = encode(1, ListIdUsage::Hold, cscds, segments, &mut list);
    host.good(0, build::extended_copy(len as u32), &list[..len], 0);
    assert_eq!(host.read(1, 103, 2000), data);
    assert_eq!(host.read(1, 100, 3), data[..3 * BLOCK]);
    assert_eq!(host.read(0, 48, 2000), data, "the source is as it was");
    assert_eq!((host.stack.in_use(), host.stack.in_driver()), (0, 0));
}

#[test]
fn no_block_is_left_out_by_sanitize() {
    let mut host = Host::new();
    host.good(1, build::write_16(0, 2048), &content(2048, 2), 0);
    host.good(1, build::write_16(2048, 2048), &content(2048, 3), 0);
    let overwrite = Overwrite { invert: true, count: 2, pattern: &[0xDE, 0xAD, 0x00] };
    let mut list = [0; 7];
    overwrite.encode(&mut list);
    host.good(1, build::sanitize(SanitizeAction::Overwrite, false, 7), &list, 0);
    for lba in (0..BLOCKS).step_by(1024) {
        for block in host.read(1, lba, 1024).chunks(BLOCK) {
            assert!(block.iter().zip([0xDE, 0xAD, 0x00].iter().cycle()).all(|(a, b)| a == b));
        }
    }
    let untouched = host.read(0, 0, 8);
    assert!(untouched.iter().all(|byte| *byte == 0));

    let (answer, _) = host.run(1, build::sanitize(SanitizeAction::BlockErase, false, 0), &[], 0);
    if answer.status == Status::Good {
        assert!(host.read(1, 0, 2048).iter().all(|byte| *byte == 0));
    }
    assert_eq!((host.stack.in_use(), host.stack.in_driver()), (0, 0));
}
