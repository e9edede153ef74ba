//! The driver that a test plays.

use outboard_hba::report::{Constraints, DmaSpecification, TargetReport};
use outboard_hba::{HbaReport, Path, ServiceResponse, UnitReport};
use outboard_slots::{
    Entry, Memory, ParallelTask, Region, RegionConfig, ResponseHead, SENSE_BYTES, Time,
};

use crate::channel::{Channel, ChannelError, Completed, Pulse};

/// What it does is up to the test.
pub(super) struct PlayedDriver {
    region: Region,
    owned: Vec<(Entry, ParallelTask)>,
    /// to be reaped
    pub(super) completed: Vec<Completed>,
    /// tags, in order of arrival
    pub(super) pushed: Vec<u64>,
    /// bundles published
    pub(super) bundles: u32,
    /// this many pushes more, then the channel breaks
    pub(super) breaks_after: Option<u32>,
    /// ends each task with GOOD as it comes
    pub(super) at_once: bool,
    /// what it says of itself
    pub(super) pulse: Option<Pulse>,
    sequence: u32,
}

impl PlayedDriver {
    pub(super) fn new(region: Region) -> Self {
        Self {
            region,
            owned: Vec::new(),
            completed: Vec::new(),
            pushed: Vec::new(),
            bundles: 0,
            breaks_after: None,
            at_once: false,
            pulse: None,
            sequence: 0,
        }
    }

    pub(super) fn region(&self) -> &Region {
        &self.region
    }

    pub(super) fn memory(&self) -> &Memory {
        self.region.memory()
    }

    /// The CDB and the expected bytes of the task with this tag.
    #[track_caller]
    pub(super) fn task(&self, tag: u64) -> &ParallelTask {
        let owned = self.owned.iter().find(|(_, t)| t.task_tag_identifier == tag);
        owned.map(|(_, task)| task).expect("a task of the driver")
    }

    /// Tag of the task that it has had longest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.owned.first().map(|(_, task)| task.task_tag_identifier)
    }

    /// Ends the task that it has had longest with a status, without sense data.
    #[track_caller]
    pub(super) fn end_oldest(&mut self, status: u32) {
        let tag = self.oldest().expect("a task of the driver");
        let mut end = self.end(tag);
        end.head.completion_status = status;
        if status != 0 {
            end.head.bytes_transferred = 0;
        }
        self.completed.push(end);
    }

    /// What it had is lost, and a new channel begins.
    pub(super) fn forget(&mut self) {
        *self = Self { pushed: std::mem::take(&mut self.pushed), ..Self::new(self.region.clone()) };
    }

    /// The honest end of the task with this tag.
    #[track_caller]
    pub(super) fn end(&mut self, tag: u64) -> Completed {
        let owned = |(_, t): &(Entry, ParallelTask)| t.task_tag_identifier == tag;
        let at = self.owned.iter().position(owned).expect("a task of the driver");
        let (entry, task) = self.owned.remove(at);
        let head = ResponseHead {
            target_id: task.target_id,
            controller_task_identifier: task.controller_task_identifier,
            completion_status: 0,
            service_response: ServiceResponse::TaskComplete as u32,
            bytes_transferred: task.requested_transfer_count,
            ..ResponseHead::EMPTY
        };
        Completed { entry, head }
    }

    /// Ends the task in `slot` with CHECK CONDITION and the sense data.
    #[track_caller]
    pub(super) fn fail(&mut self, tag: u64, slot: u16, sense: &[u8]) {
        self.region.write_sense(slot, sense);
        let mut end = self.end(tag);
        end.head.completion_status = outboard_hba::values::status::CHECK_CONDITION;
        end.head.sense_length = sense.len() as u8;
        end.head.bytes_transferred = 0;
        self.completed.push(end);
    }

    /// The CDB of the task with this tag.
    #[track_caller]
    pub(super) fn cdb(&self, tag: u64) -> [u8; 16] {
        let owned = |(_, t): &&(Entry, ParallelTask)| t.task_tag_identifier == tag;
        self.owned.iter().find(owned).expect("a task of the driver").1.command_descriptor_block
    }

    /// Ends the tasks with GOOD.
    #[track_caller]
    pub(super) fn good(&mut self, tags: &[u64]) {
        for &tag in tags {
            let end = self.end(tag);
            self.completed.push(end);
        }
    }
}

impl Channel for PlayedDriver {
    fn path(&self) -> Path {
        Path::Bundled
    }

    fn push(&mut self, entry: Entry, _: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        match &mut self.breaks_after {
            Some(0) => return Err(ChannelError::Gone),
            Some(left) => *left -= 1,
            None => {}
        }
        self.pushed.push(task.task_tag_identifier);
        self.owned.push((entry, *task));
        self.sequence += 1;
        if self.at_once {
            self.good(&[task.task_tag_identifier]);
        }
        Ok(())
    }

    fn publish(&mut self, _: Time) -> Result<(), ChannelError> {
        self.bundles += 1;
        Ok(())
    }

    fn reap(&mut self, _: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        completed.append(&mut self.completed);
        Ok(())
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        self.region.read_sense(slot, out);
    }

    fn idle(&mut self, _: Time, _: Time, _: usize) {}

    fn sequence(&self) -> u32 {
        self.sequence
    }

    fn pulse(&self) -> Option<Pulse> {
        self.pulse
    }
}

/// One unit of 1000 blocks at LUN 3, and a region of four slots.
pub(super) fn report() -> (HbaReport, Region) {
    let unit = UnitReport {
        lun: 3,
        vendor: "V".into(),
        product: "P".into(),
        revision: "1".into(),
        serial: "S".into(),
        block_size: 512,
        physical_block_size: 512,
        blocks: 1000,
        max_transfer: 0,
        optimal_transfer: 0,
        read_only: false,
        volatile_cache: false,
        rotational: false,
        unmap_granularity: None,
        unmap_reads_zeroes: false,
        max_write_same: 0,
        max_compare_and_write: 255,
        max_atomic: 1 << 20,
        acks_survive_death: true,
        removable: false,
    };
    let report = HbaReport {
        initiator_id: 255,
        highest_target_id: 0,
        highest_lun: 3,
        maximum_task_count: 4,
        constraints: Constraints::contiguous(1 << 20),
        dma: DmaSpecification { max_transfer_size: 1 << 20, alignment: 4096, address_bits: 64 },
        targets: vec![TargetReport { id: 0, units: vec![unit] }],
    };
    let config =
        RegionConfig { slots_per_queue: 4, queues: 1, pool_bytes: 96 << 10, scratch_bytes: 4096 };
    (report, Region::create(config).unwrap())
}
