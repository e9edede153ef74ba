//! A RAM disk as an extension: one unit over the memory that the host gives it. What is written
//! belongs to the host and outlives this process, so it may be replaced or killed at any time.

use std::process::ExitCode;

use outboard_hba::*;
use outboard_scsi::command::{self, Command};
use outboard_scsi::sense::Sense;
use outboard_slots::{Memory, Time};

const BLOCK: u64 = 512;
const MAX_TRANSFER: u64 = 1 << 20;
const TASKS: u32 = 256;

/// The controller: shared by its queues.
#[derive(Default)]
pub(crate) struct RamDisk {
    content: Option<Memory>,
}

impl Controller for RamDisk {
    type Queue = RamQueue;

    fn manifest(&self) -> Manifest {
        // extension.toml says the same.
        Manifest::new("com.example.ram-disk", env!("CARGO_PKG_VERSION"))
    }

    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError> {
        let mut disks = startup.take_disks()?;
        let Some(disk) = disks.pop().filter(|disk| disk.description.kind == DiskKind::Memory)
        else {
            return Err(DriverError::new("a RAM disk needs one disk, as mem:1Gi"));
        };
        let content = Memory::attach(disk.descriptor).map_err(DriverError::new)?;
        let blocks = disk.description.bytes / BLOCK;
        self.content = Some(content);
        Ok(report(blocks))
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<RamQueue, DriverError> {
        let content = self.content.clone().ok_or_else(|| DriverError::new("not initialized"))?;
        Ok(RamQueue { content, buffers: setup.region.memory().clone() })
    }
}

fn report(blocks: u64) -> HbaReport {
    let unit = UnitReport {
        lun: 0,
        vendor: "EXAMPLE".into(),
        product: "RAM DISK".into(),
        revision: "1".into(),
        serial: "ram-disk-0".into(),
        block_size: BLOCK as u32,
        physical_block_size: 4096,
        blocks,
        max_transfer: 0,
        optimal_transfer: 0,
        read_only: false,
        volatile_cache: false,
        rotational: false,
        unmap_granularity: None,
        unmap_reads_zeroes: false,
        max_write_same: 0,
        max_compare_and_write: 0,
        max_atomic: 0,
        // It keeps nothing of its own: what it has answered is in the host's memory.
        acks_survive_death: true,
        removable: false,
    };
    HbaReport {
        initiator_id: 7,
        highest_target_id: 0,
        highest_lun: 0,
        maximum_task_count: TASKS,
        constraints: Constraints::contiguous(MAX_TRANSFER),
        dma: DmaSpecification { max_transfer_size: MAX_TRANSFER, alignment: 4, address_bits: 64 },
        targets: vec![TargetReport { id: 0, units: vec![unit] }],
    }
}

/// One queue, with a thread of its own.
pub(crate) struct RamQueue {
    content: Memory,
    buffers: Memory,
}

impl RamQueue {
    fn answer(&self, task: Task, done: &mut Completions<'_>) {
        let (buffer, bytes) = task.buffer();
        let len = bytes as usize;
        let moved = match command::parse(task.cdb()) {
            Ok(Command::Read(range)) => {
                self.buffers.copy_from(buffer, &self.content, range.lba.saturating_mul(BLOCK), len)
            }
            Ok(Command::Write(range)) => {
                self.content.copy_from(range.lba.saturating_mul(BLOCK), &self.buffers, buffer, len)
            }
            // Memory has nothing to write back.
            Ok(Command::SynchronizeCache { .. }) => Ok(()),
            Ok(_) => return fail(task, &Sense::INVALID_OPCODE, done),
            Err(sense) => return fail(task, &sense, done),
        };
        match moved {
            Ok(()) => done.complete(task.into_token(), &Response::good(bytes)),
            Err(_) => fail(task, &Sense::LBA_OUT_OF_RANGE, done),
        }
    }
}

fn fail(task: Task, sense: &Sense, done: &mut Completions<'_>) {
    let sense = sense.encode_fixed();
    done.complete(task.into_token(), &Response::check_condition(&sense, 0));
}

impl IoQueue for RamQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        _: Time,
        tasks: Bundle<'_>,
        done: &mut Completions<'_>,
    ) {
        for task in tasks {
            self.answer(task, done);
        }
    }

    fn process_parallel_task(
        &mut self,
        _: Time,
        task: Task,
        done: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.answer(task, done);
        ServiceResponse::RequestInProcess
    }

    fn poll(&mut self, _: Time, _: &mut Completions<'_>) {}
}

pub(crate) fn main() -> ExitCode {
    run(RamDisk::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use outboard_hba::testkit::{self, Options};

    #[test]
    fn it_keeps_the_contract() {
        let options = Options { memory_disks: vec![4 << 20], ..Options::default() };
        let report = testkit::check(RamDisk::default, &options).unwrap();
        assert!(report.tasks > 1000);
    }
}
