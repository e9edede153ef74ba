//! A RAM disk: the smallest whole driver.

use outboard_scsi::command::{self, Command};
use outboard_scsi::sense::Sense;
use outboard_slots::{Memory, Time};

use crate::controller::{Controller, DriverError, IoQueue, QueueSetup, Startup};
use crate::manifest::Manifest;
use crate::report::{Constraints, DmaSpecification, HbaReport, TargetReport, UnitReport};
use crate::task::{Bundle, Completions, Response, Task};
use crate::values::ServiceResponse;

const BLOCK: u64 = 512;
const BLOCKS: u64 = 8192;

/// A RAM disk of 4 MiB on target 0, LUN 0, that answers everything at once.
#[derive(Debug, Default)]
pub struct Ram {
    disk: Option<Memory>,
}

impl Ram {
    /// What it reports of itself.
    pub fn report() -> HbaReport {
        let max_transfer_size = 1 << 20;
        let unit = UnitReport {
            lun: 0,
            vendor: "OUTBOARD".into(),
            product: "RAM".into(),
            revision: "1".into(),
            serial: "ram-0".into(),
            block_size: BLOCK as u32,
            physical_block_size: BLOCK as u32,
            blocks: BLOCKS,
            max_transfer: max_transfer_size,
            optimal_transfer: 0,
            read_only: false,
            volatile_cache: false,
            rotational: false,
            unmap_granularity: None,
            unmap_reads_zeroes: false,
            max_write_same: 0,
            max_compare_and_write: 0,
            max_atomic: 0,
            acks_survive_death: false,
            removable: false,
        };
        HbaReport {
            initiator_id: 7,
            highest_target_id: 6,
            highest_lun: 0,
            maximum_task_count: 64,
            constraints: Constraints::contiguous(max_transfer_size),
            dma: DmaSpecification { max_transfer_size, alignment: 4, address_bits: 64 },
            targets: vec![TargetReport { id: 0, units: vec![unit] }],
        }
    }
}

impl Controller for Ram {
    type Queue = RamQueue;

    fn manifest(&self) -> Manifest {
        Manifest::new("org.outboard.ram", "1.0")
    }

    fn initialize(&mut self, _startup: &mut Startup) -> Result<HbaReport, DriverError> {
        let bytes = (BLOCK * BLOCKS) as usize;
        self.disk = Some(Memory::private(bytes).map_err(DriverError::new)?);
        Ok(Self::report())
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<RamQueue, DriverError> {
        let disk = self.disk.clone().ok_or_else(|| DriverError::new("not initialized"))?;
        Ok(RamQueue { disk, buffers: setup.region.memory().clone() })
    }
}

/// One queue of a [`Ram`].
#[derive(Debug)]
pub struct RamQueue {
    disk: Memory,
    buffers: Memory,
}

impl RamQueue {
    fn answer(&self, task: Task, completions: &mut Completions<'_>) {
        let (offset, len) = task.buffer();
        let moved = match command::parse(task.cdb()) {
            Ok(Command::Read(t)) => self.buffers.copy_from(
                offset,
                &self.disk,
                t.lba.saturating_mul(BLOCK),
                len as usize,
            ),
            Ok(Command::Write(t)) => self.disk.copy_from(
                t.lba.saturating_mul(BLOCK),
                &self.buffers,
                offset,
                len as usize,
            ),
            Ok(_) => return fail(task, &Sense::INVALID_OPCODE, completions),
            Err(sense) => return fail(task, &sense, completions),
        };
        match moved {
            Ok(()) => completions.complete(task.into_token(), &Response::good(len)),
            Err(_) => fail(task, &Sense::LBA_OUT_OF_RANGE, completions),
        }
    }
}

fn fail(task: Task, sense: &Sense, completions: &mut Completions<'_>) {
    let response = sense.encode_fixed();
    completions.complete(task.into_token(), &Response::check_condition(&response, 0));
}

impl IoQueue for RamQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        _now: Time,
        bundle: Bundle<'_>,
        completions: &mut Completions<'_>,
    ) {
        for task in bundle {
            self.answer(task, completions);
        }
    }

    fn process_parallel_task(
        &mut self,
        _now: Time,
        task: Task,
        completions: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.answer(task, completions);
        ServiceResponse::RequestInProcess
    }

    fn poll(&mut self, _now: Time, _completions: &mut Completions<'_>) {}
}
