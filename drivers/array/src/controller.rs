//! The array controller: opens its units, reports them, makes a queue's state.

use std::sync::Arc;

use outboard_disk::crypt::Crypt;
use outboard_disk::{Disk, Engine, EngineConfig};
use outboard_hba::{
    Constraints, Controller, DmaSpecification, DriverError, HbaReport, Manifest, QueueSetup,
    Startup, TargetReport, UnitReport,
};
use outboard_raid::Array;
use outboard_sbc::{LogicalUnit, ScratchRange};
use outboard_slots::Memory;

use crate::options::{ArrayOptions, Unit};
use crate::queue::ArrayQueue;

/// The only target.
const TARGET: u64 = 0;
const INITIATOR: u64 = 255;

/// Puts a disk in the place of member `number` of a LUN: called with LUN, number and member.
pub type Replace = Arc<dyn Fn(u16, usize, Box<dyn Disk>) -> Box<dyn Disk> + Send + Sync>;

/// The built-in driver.
#[derive(Default)]
pub struct ArrayController {
    units: Vec<Unit>,
    /// disks of a simulation, on a virtual clock: no io_uring
    replace: Option<Replace>,
}

impl ArrayController {
    /// One over disks of the caller's own, whose queues have no io_uring: on a virtual clock.
    pub fn simulated_over(replace: Replace) -> Self {
        Self { replace: Some(replace), ..Self::default() }
    }

    /// A unit over the members, on `engine`.
    fn unit(
        &self,
        unit: &Unit,
        engine: &mut Engine,
        scratch: ScratchRange,
        slots: usize,
    ) -> Result<LogicalUnit, DriverError> {
        let mut members = Vec::new();
        for (number, member) in unit.members.iter().enumerate() {
            let disk = member.attach(engine).map_err(DriverError::new)?;
            members.push(match &self.replace {
                Some(replace) => replace(unit.lun, number, disk),
                None => disk,
            });
        }
        let disk: Box<dyn Disk> = match (&unit.array, members.len()) {
            (None, 1) => members.remove(0),
            (Some(spec), _) => {
                let array = Array::new(spec, members, engine.depth()).map_err(DriverError::new)?;
                Box::new(array)
            }
            (None, count) => {
                return Err(DriverError::new(format!("{count} members without an array")));
            }
        };
        let Some(key) = &unit.key else {
            return LogicalUnit::new(disk, scratch, slots).map_err(DriverError::new);
        };
        // Half of the scratch memory is for ciphertext.
        let half = scratch.len / 2 / 4096 * 4096;
        let ciphertext = (scratch.offset + half, scratch.len - half);
        let disk = Crypt::new(disk, key, engine.depth(), ciphertext).map_err(DriverError::new)?;
        let scratch = ScratchRange { len: half, ..scratch };
        LogicalUnit::new(Box::new(disk), scratch, slots).map_err(DriverError::new)
    }
}

impl Controller for ArrayController {
    type Queue = ArrayQueue;

    fn manifest(&self) -> Manifest {
        Manifest::new("org.outboard.array", env!("CARGO_PKG_VERSION"))
    }

    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError> {
        let options: ArrayOptions =
            serde_json::from_value(startup.options.take()).map_err(DriverError::new)?;
        let mut descriptors = startup.descriptors.drain(..);
        let mut reports = Vec::new();
        // The units are made once only to see that they can be, and what they are.
        let memory = Memory::private(1 << 20).map_err(DriverError::new)?;
        // Less for each than a queue has: what is reported holds there too.
        let each = memory.len() / options.units.len().max(1) / 4096 * 4096;
        let scratch = ScratchRange { offset: 0, len: each.max(8192) as u64 };
        for described in &options.units {
            let unit = described.open(&mut descriptors).map_err(DriverError::new)?;
            let mut engine = match self.replace {
                Some(_) => Engine::simulated(memory.clone()),
                None => Engine::probing(memory.clone()),
            };
            let logical = self.unit(&unit, &mut engine, scratch, 8)?;
            reports.push(report(&unit, logical.report()));
            self.units.push(unit);
        }
        Ok(HbaReport {
            initiator_id: INITIATOR,
            highest_target_id: TARGET,
            highest_lun: reports.iter().map(|u| u.lun).max().unwrap_or(0),
            maximum_task_count: options.maximum_task_count,
            constraints: Constraints::contiguous(options.max_transfer),
            dma: DmaSpecification {
                max_transfer_size: options.max_transfer,
                alignment: 4096,
                address_bits: 64,
            },
            targets: vec![TargetReport { id: TARGET, units: reports }],
        })
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<ArrayQueue, DriverError> {
        let slots = setup.slots().len();
        let mut engine = self.engine(setup, slots)?;
        let (first, len) = setup.scratch();
        let each = len / self.units.len().max(1) as u64 / 4096 * 4096;
        let mut units = Vec::new();
        for (i, unit) in self.units.iter().enumerate() {
            let scratch = ScratchRange { offset: first + i as u64 * each, len: each };
            let logical = self.unit(unit, &mut engine, scratch, slots)?;
            units.push((unit.lun, logical));
        }
        for note in engine.notes() {
            eprintln!("array driver, I/O queue {}: {note}", setup.index);
        }
        Ok(ArrayQueue::new(engine, units, setup.slots()))
    }
}

impl ArrayController {
    /// On the io_uring that the launcher has made, if it has, else on one of its own.
    fn engine(&self, setup: &QueueSetup, slots: usize) -> Result<Engine, DriverError> {
        // Beside the tasks, the flush behind those that were answered at once.
        let config = EngineConfig { depth: slots.max(8) as u32 + 1 };
        let memory = setup.region.memory().clone();
        if self.replace.is_some() {
            return Ok(Engine::simulated_at_depth(memory, config.depth));
        }
        let registered = setup.mapped.then(|| setup.region.layout().buffers());
        match &setup.ring {
            None => Engine::new(config, memory, registered),
            Some(ring) => {
                let fd = ring.fd.try_clone().map_err(DriverError::new)?;
                Engine::inherit(config, memory, registered, fd, &ring.description)
            }
        }
        .map_err(DriverError::new)
    }
}

fn report(unit: &Unit, known: &outboard_sbc::UnitReport) -> UnitReport {
    let product = match &unit.array {
        Some(spec) => format!("ARRAY {}", spec.level).to_uppercase(),
        None => "DISK".to_owned(),
    };
    let block = u64::from(known.block_size_bytes);
    UnitReport {
        lun: unit.lun,
        vendor: "OUTBOARD".into(),
        product,
        revision: env!("CARGO_PKG_VERSION").chars().filter(|c| *c != '.').take(4).collect(),
        serial: unit.serial.clone(),
        block_size: known.block_size_bytes,
        physical_block_size: known.physical_block_size_bytes,
        blocks: known.blocks,
        max_transfer: 0,
        optimal_transfer: known.optimal_transfer_blocks * block,
        read_only: known.read_only,
        volatile_cache: known.volatile_cache,
        rotational: known.rotational,
        unmap_granularity: known.unmap.map(|u| u.granularity_blocks * block),
        unmap_reads_zeroes: known.unmap.is_some_and(|u| u.reads_zeroes),
        max_write_same: known.max_write_same_blocks * block,
        max_compare_and_write: known.max_compare_and_write_blocks,
        max_atomic: known.max_atomic_blocks * block,
        // It has no cache of its own: what it answered is with the disks.
        acks_survive_death: true,
        removable: unit.removable,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

    use outboard_slots::{Region, RegionConfig};

    use super::*;

    #[test]
    fn a_flush_behind_finds_room_beside_a_task_in_each_slot() {
        let config = RegionConfig {
            slots_per_queue: 64,
            queues: 1,
            pool_bytes: 1 << 20,
            scratch_bytes: 1 << 16,
        };
        let setup = QueueSetup::new(0, Region::create(config).unwrap());
        let controller = ArrayController::simulated_over(Arc::new(|_, _, disk| disk));
        assert_eq!(controller.engine(&setup, setup.slots().len()).unwrap().depth(), 65);
    }
}
