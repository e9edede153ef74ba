//! The host's part for one queue, without a host: slots, generations, patterns, answers.

use std::os::fd::OwnedFd;

use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Entry, Memory, ParallelTask, Region, RegionConfig, SleepFlag, Time};

use crate::controller::{Controller, QueueSetup, Startup};
use crate::disks::{DiskDescription, DiskKind};
use crate::dispatch::DispatchQueues;
use crate::protocol::{SingleRequest, TaskManagement};
use crate::report::{HbaReport, UnitReport, check_identifiers};
use crate::runner::Runner;
use crate::values::{Direction, ServiceResponse, status};

use super::contract::{Failure, Options};

/// A started controller with one queue.
pub(super) struct Harness<C> {
    controller: C,
    runner: Runner,
    pub(super) region: Region,
    pub(super) report: HbaReport,
    pub(super) tasks: u64,
    identifiers: Vec<u32>,
    generations: Vec<u64>,
    in_driver: Vec<bool>,
    sequence: u32,
}

/// Disks in memory, as a host gives them.
fn memory_disks(sizes: &[u64]) -> Result<Vec<(DiskDescription, OwnedFd)>, Failure> {
    let one = |bytes: &u64| {
        let memory = Memory::create("testkit-disk", *bytes as usize)
            .map_err(|e| Failure::new("disks", e.to_string()))?;
        let fd = memory.share();
        let description = DiskDescription {
            kind: DiskKind::Memory,
            name: format!("mem:{bytes}"),
            bytes: *bytes,
            block_size: 512,
            physical_block_size: 512,
            direct: false,
            read_only: false,
        };
        Ok((description, fd.map_err(|e| Failure::new("disks", e.to_string()))?))
    };
    sizes.iter().map(one).collect()
}

/// One finished task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) slot: u16,
    pub(super) good: bool,
    pub(super) aborted: bool,
}

impl<C: Controller> Harness<C> {
    pub(super) fn start(mut controller: C, options: &Options) -> Result<Self, Failure> {
        controller.manifest().check().map_err(|e| {
            let all: Vec<_> = e.iter().map(ToString::to_string).collect();
            Failure::new("manifest", all.join("; "))
        })?;
        let disks = memory_disks(&options.memory_disks)?;
        let (disks, descriptors) = disks.into_iter().unzip();
        let mut startup = Startup {
            options: options.options.clone(),
            descriptors,
            disks,
            queues: DispatchQueues::default(),
        };
        let fail = |step| move |e: crate::DriverError| Failure::new(step, e.to_string());
        let report = controller.initialize(&mut startup).map_err(fail("initialize"))?;
        report.check().map_err(|e| Failure::new("report", e.to_string()))?;
        let slots = report.maximum_task_count.min(128);
        let config = RegionConfig {
            slots_per_queue: slots,
            queues: 1,
            pool_bytes: u64::from(slots) * options.transfer_bytes.next_multiple_of(4096),
            scratch_bytes: 4 << 20,
        };
        let region = Region::create(config).map_err(|e| Failure::new("region", e.to_string()))?;
        controller.map_bundled(&region).map_err(fail("map_bundled"))?;
        let identifiers: Vec<_> = (0..slots).map(|s| controller.map_hba_data(s as u16)).collect();
        check_identifiers(&identifiers).map_err(|e| Failure::new("map_hba_data", e.to_string()))?;
        let setup = QueueSetup::new(0, region.clone());
        let queue = controller.open_queue(&setup).map_err(fail("open_queue"))?;
        controller.start().map_err(fail("start"))?;
        Ok(Self {
            controller,
            runner: Runner::new(Box::new(queue), &setup),
            region,
            report,
            tasks: 0,
            identifiers,
            generations: vec![0; slots as usize],
            in_driver: vec![false; slots as usize],
            sequence: 0,
        })
    }

    pub(super) fn slots(&self) -> u16 {
        self.generations.len() as u16
    }

    pub(super) fn unit(&self) -> Result<(u64, &UnitReport), Failure> {
        self.report
            .targets
            .iter()
            .find_map(|t| t.units.first().map(|u| (t.id, u)))
            .ok_or_else(|| Failure::new("report", "no logical unit to test".to_owned()))
    }

    /// Offset of a slot's buffer.
    pub(super) fn buffer(&self, slot: u16, options: &Options) -> u64 {
        self.region.layout().pool + u64::from(slot) * options.transfer_bytes.next_multiple_of(4096)
    }

    /// Fills a slot with a READ(16) or WRITE(16) and returns its entry.
    pub(super) fn prepare(
        &mut self,
        slot: u16,
        write: bool,
        lba: u64,
        bytes: u64,
        options: &Options,
    ) -> Result<Entry, Failure> {
        let (target, unit) = self.unit()?;
        let mut cdb = [0; 16];
        cdb[0] = if write { 0x8a } else { 0x88 };
        cdb[2..10].copy_from_slice(&lba.to_be_bytes());
        let blocks = (bytes / u64::from(unit.block_size)) as u32;
        cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
        let mut lun = [0; 8];
        lun[..2].copy_from_slice(&unit.lun.to_be_bytes());
        let direction = if write { Direction::ToTarget } else { Direction::FromTarget };
        let task = ParallelTask {
            target_id: target,
            controller_task_identifier: u64::from(self.identifiers[usize::from(slot)]),
            requested_transfer_count: bytes,
            buffer_iovm_addr: self.buffer(slot, options),
            task_tag_identifier: u64::from(slot) + 1,
            logical_unit_bytes: lun,
            command_descriptor_block: cdb,
            command_size: 16,
            transfer_direction: direction as u8,
            ..ParallelTask::EMPTY
        };
        self.region.write_task(slot, &task);
        let generation = Entry::next_generation(self.generations[usize::from(slot)]);
        self.generations[usize::from(slot)] = generation;
        self.in_driver[usize::from(slot)] = true;
        self.tasks += 1;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(Entry::new(slot, generation))
    }

    pub(super) fn bundle(&mut self, entries: &[Entry]) {
        self.runner.bundle(Time::now(), entries);
    }

    pub(super) fn single(&mut self, entry: Entry) -> ServiceResponse {
        let task = self.region.read_task(entry.index()).unwrap_or(ParallelTask::EMPTY);
        self.runner.single(Time::now(), &SingleRequest { entry: entry.to_bits(), nexus: 0, task })
    }

    /// One round; checks every completion as a host does.
    pub(super) fn round(&mut self, ended: &mut Vec<Ended>) -> Result<(), Failure> {
        self.runner.poll(Time::now());
        let staged: Vec<_> = self.runner.staged().drain(..).collect();
        if staged.is_empty() {
            self.pause();
        }
        for entry in staged {
            ended.push(self.check(entry)?);
        }
        Ok(())
    }

    /// Rounds until nothing is in the driver, at most `seconds`.
    pub(super) fn drain(
        &mut self,
        ended: &mut Vec<Ended>,
        step: &'static str,
    ) -> Result<(), Failure> {
        let deadline = Time::now() + core::time::Duration::from_secs(30);
        while self.in_driver.iter().any(|b| *b) {
            self.round(ended)?;
            if Time::now() > deadline {
                let left = self.in_driver.iter().filter(|b| **b).count();
                return Err(Failure::new(
                    step,
                    format!(
                        "{left} tasks have not ended after 30 s; each task must be completed once"
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn manage(&mut self, mut request: TaskManagement) {
        request.sequence = vec![self.sequence];
        self.runner.manage(request);
    }

    pub(super) fn managed(&mut self) -> Vec<u64> {
        self.runner.managed(0, self.sequence)
    }

    pub(super) fn abort_all(&mut self) {
        self.runner.abort_all();
    }

    pub(super) fn stop(self) {
        drop(self.runner);
        self.controller.stop();
    }

    fn pause(&mut self) {
        let word = core::sync::atomic::AtomicU32::new(outboard_slots::doorbell::SLEEPING);
        let until = self.runner.next_event().min(Time::now().plus_nanos(1_000_000));
        self.runner.wait(Doorbell::Flag(SleepFlag::new(&word)), until);
    }

    fn check(&mut self, entry: Entry) -> Result<Ended, Failure> {
        let slot = entry.index();
        let fail = |what: String| Err(Failure::new("completion", format!("slot {slot}: {what}")));
        let at = usize::from(slot);
        if !self.in_driver.get(at).copied().unwrap_or(false) {
            return fail("completed, but the driver does not own it: completed twice?".to_owned());
        }
        if entry.generation() != self.generations[at] {
            return fail("completed with another submission's generation".to_owned());
        }
        self.in_driver[at] = false;
        let (Some(head), Some(task)) =
            (self.region.read_response(slot), self.region.read_task(slot))
        else {
            return fail("no such slot".to_owned());
        };
        if head.version != 1 {
            return fail(format!("version {}; must be 1", head.version));
        }
        if head.controller_task_identifier != task.controller_task_identifier
            || head.target_id != task.target_id
        {
            return fail("identifier or target differs from the command's".to_owned());
        }
        let complete = head.service_response == ServiceResponse::TaskComplete as u32;
        if complete && !status::is_known(head.completion_status) {
            return fail(format!("unknown status {:#04x}", head.completion_status));
        }
        let good = complete && head.completion_status == status::GOOD;
        if good && head.bytes_transferred != task.requested_transfer_count {
            return fail(format!(
                "GOOD with {} of {} bytes",
                head.bytes_transferred, task.requested_transfer_count
            ));
        }
        let aborted = complete && head.completion_status == status::TASK_ABORTED;
        Ok(Ended { slot, good, aborted })
    }
}
