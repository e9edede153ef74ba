//! EXTENDED COPY and SANITIZE: what the driver gets, and what the initiator is told.

mod copy;
mod random;
mod sanitize;

use std::collections::BTreeMap;

use outboard_hba::HbaReport;
use outboard_scsi::command::{Command as Parsed, parse};
use outboard_slots::Region;

use super::super::Answer;
use super::{BLOCK, Bench, driver};

/// Blocks of each unit.
const BLOCKS: u64 = 1000;

/// The units behind the played driver, by LUN, each as its bytes.
struct Disks {
    bytes: BTreeMap<u8, Vec<u8>>,
    /// what was done: operation code, LUN, first block, number of blocks
    log: Vec<(u8, u8, u64, u64)>,
}

impl Disks {
    fn new(luns: &[u8]) -> Self {
        let disk = |lun: u8| (0..BLOCKS * BLOCK).map(|at| lun ^ (at / BLOCK % 251) as u8).collect();
        let bytes = luns.iter().map(|&lun| (lun, disk(lun))).collect();
        Self { bytes, log: Vec::new() }
    }

    fn blocks(&self, lun: u8, lba: u64, blocks: u64) -> &[u8] {
        &self.bytes[&lun][(lba * BLOCK) as usize..((lba + blocks) * BLOCK) as usize]
    }

    /// Executes the oldest task of the driver and ends it with GOOD; false if there is none.
    fn execute(&mut self, bench: &mut Bench) -> bool {
        let Some(tag) = bench.driver.oldest() else { return false };
        let task = *bench.driver.task(tag);
        let cdb = task.command_descriptor_block;
        let lun = task.logical_unit_bytes[1];
        let command = parse(&cdb).unwrap();
        let range = command.lba_range().unwrap();
        self.log.push((cdb[0], lun, range.lba, range.blocks));
        let memory = bench.driver.memory();
        let disk = self.bytes.get_mut(&lun).unwrap();
        let (from, len) = ((range.lba * BLOCK) as usize, (range.blocks * BLOCK) as usize);
        match command {
            Parsed::Read(_) => {
                memory.write(task.buffer_iovm_addr, &disk[from..from + len]).unwrap();
            }
            Parsed::Write(_) => {
                memory.read(task.buffer_iovm_addr, &mut disk[from..from + len]).unwrap();
            }
            Parsed::WriteSame(same) if same.no_data_out => disk[from..from + len].fill(0),
            Parsed::WriteSame(_) => {
                let mut block = vec![0; BLOCK as usize];
                memory.read(task.buffer_iovm_addr, &mut block).unwrap();
                disk[from..from + len]
                    .chunks_mut(block.len())
                    .for_each(|b| b.copy_from_slice(&block));
            }
            Parsed::SynchronizeCache { .. } => {}
            other => panic!("{other:?}"),
        }
        bench.driver.good(&[tag]);
        true
    }

    /// Turns until nothing moves any more; the answers.
    fn run(&mut self, bench: &mut Bench) -> Vec<Answer> {
        let mut answers = bench.turn();
        while self.execute(bench) {
            answers.append(&mut bench.turn());
        }
        answers
    }
}

/// Two units of 1000 blocks, LUN 3 and 4, and room for `pool` KiB of buffers.
fn two_units(pool: u64) -> (HbaReport, Region) {
    let (mut report, region) = driver::report();
    let mut second = report.targets[0].units[0].clone();
    (second.lun, second.serial) = (4, "T".into());
    report.targets[0].units.push(second);
    report.highest_lun = 4;
    let config = outboard_slots::RegionConfig { pool_bytes: pool << 10, ..region.layout().config };
    (report, Region::create(config).unwrap())
}
