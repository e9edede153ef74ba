//! A driver that is attached, and the load that one host thread puts on it.

use std::time::{Duration, Instant};

use outboard_array::{ArrayController, ArrayOptions, UnitOptions};
use outboard_disk::open::{OpenOptions, open};
use outboard_hba::{HbaReport, Path};
use outboard_host::channel::Channel;
use outboard_host::driver::{Driver, Launch, Options, attach_resident};
use outboard_host::stack::{Accepted, Answer, Command, Stack};
use outboard_raid::ArraySpec;
use outboard_scsi::{Lun, Status, TaskAttribute, command::build};
use outboard_slots::{Region, Time};
use outboard_spc::NexusId;

use super::command::OUTBOARD;

pub(crate) const DEPTH: u32 = 32;
pub(crate) const BLOCKS: u32 = 8;
const POOL_BYTES: u64 = 4 << 20;

/// A driver behind one channel, and the stack before it.
pub(crate) struct Attached {
    pub(crate) stack: Stack,
    pub(crate) channel: Box<dyn Channel>,
    pub(crate) driver: Option<Driver>,
    nexus: NexusId,
    blocks: u64,
    answers: Vec<Answer>,
    place: u64,
}

impl Attached {
    /// The array driver over `disks`, on one queue of [`DEPTH`] slots.
    pub(crate) fn array(path: Path, disks: &[&str]) -> Self {
        let options = OpenOptions::default();
        let opened: Vec<_> =
            disks.iter().map(|url| open(&url.parse().unwrap(), &options).unwrap()).collect();
        let array = (disks.len() > 1).then(ArraySpec::default);
        let (unit, descriptors) = UnitOptions::new(0, "scenario", array, opened);
        let options =
            ArrayOptions { units: vec![unit], maximum_task_count: DEPTH, max_transfer: 1 << 20 };
        let options = serde_json::to_value(&options).unwrap();
        let attach = Options::new(path, DEPTH, POOL_BYTES);
        if path == Path::Resident {
            let controller = ArrayController::default();
            let (report, identifiers, region, mut channels) =
                attach_resident(controller, options, descriptors, &attach).unwrap();
            let channel = Box::new(channels.remove(0));
            return Self::new(&report, &identifiers, &region, channel, None);
        }
        let arguments = ["driver", "array"].map(str::to_owned).to_vec();
        let launch = Launch {
            program: OUTBOARD.into(),
            arguments,
            options,
            descriptors,
            ..Launch::default()
        };
        let (driver, channels) = Driver::start(launch, &attach).unwrap();
        Self::driver(driver, channels)
    }

    /// A driver that has been started.
    pub(crate) fn driver(driver: Driver, mut channels: Vec<Box<dyn Channel>>) -> Self {
        let (report, region) = (driver.report().clone(), driver.region().clone());
        let identifiers = driver.identifiers().to_vec();
        Self::new(&report, &identifiers, &region, channels.remove(0), Some(driver))
    }

    fn new(
        report: &HbaReport,
        identifiers: &[u32],
        region: &Region,
        channel: Box<dyn Channel>,
        driver: Option<Driver>,
    ) -> Self {
        let mut stack = Stack::new(report, 0, identifiers, region, 0).unwrap();
        let nexus = stack.open_nexus("scenario", 1).unwrap();
        let blocks = report.targets[0].units[0].blocks;
        let answers = Vec::with_capacity(2 * DEPTH as usize);
        let mut attached = Self { stack, channel, driver, nexus, blocks, answers, place: 0 };
        attached.clear_unit_attentions();
        attached
    }

    fn clear_unit_attentions(&mut self) {
        let cdb = build::test_unit_ready();
        let command = self.command(cdb.as_slice(), 0);
        for _ in 0..4 {
            match self.stack.submit(Time::now(), &command) {
                Accepted::Answered(answer) if answer.status != Status::Good => {}
                _ => return,
            }
        }
    }

    fn command<'a>(&self, cdb: &'a [u8], expected: u64) -> Command<'a> {
        Command {
            nexus: self.nexus,
            lun: Lun::ZERO.encode(),
            cdb,
            attribute: TaskAttribute::Simple,
            tag: 1,
            expected,
            cookie: 0,
        }
    }

    /// Hands one read, or with `write` one write, to the stack. `false` if nothing is free.
    pub(crate) fn submit(&mut self, write: bool) -> bool {
        self.place = (self.place + 7919 * u64::from(BLOCKS)) % (self.blocks - u64::from(BLOCKS));
        let lba = self.place / u64::from(BLOCKS) * u64::from(BLOCKS);
        let cdb = match write {
            true => build::write_16(lba, BLOCKS),
            false => build::read_16(lba, BLOCKS),
        };
        let command = self.command(cdb.as_slice(), u64::from(BLOCKS) * 512);
        match self.stack.submit(Time::now(), &command) {
            Accepted::Slot { slot, .. } => {
                self.stack.ready(slot, TaskAttribute::Simple);
                true
            }
            Accepted::Full => false,
            Accepted::Answered(answer) => panic!("answered by the host: {answer:?}"),
        }
    }

    /// One turn of the host thread, which sleeps a little where nothing has moved. Calls `each`
    /// with every answer.
    pub(crate) fn turn(&mut self, mut each: impl FnMut(&Answer)) -> Result<(), String> {
        let now = Time::now();
        let mut answers = std::mem::take(&mut self.answers);
        let moved = self.stack.turn(now, &mut *self.channel, &mut answers);
        for answer in answers.drain(..) {
            each(&answer);
            if let Some(slot) = answer.slot {
                self.stack.finish(slot);
            }
        }
        self.answers = answers;
        if !moved.map_err(|e| e.to_string())? {
            let until = now.plus_nanos(50_000_000);
            self.channel.idle(now, until, self.stack.in_driver());
        }
        Ok(())
    }

    /// Runs `tasks` tasks, [`DEPTH`] at a time, of which each `writes`-th writes (0: none). All
    /// must end well.
    pub(crate) fn load(&mut self, tasks: u64, writes: u64) {
        let (mut begun, mut ended) = (0, 0);
        let limit = Instant::now() + Duration::from_secs(20);
        while ended < tasks {
            while begun < tasks
                && begun - ended < u64::from(DEPTH)
                && self.submit(writes != 0 && begun % writes == 0)
            {
                begun += 1;
            }
            self.turn(|answer| {
                assert_eq!(answer.status, Status::Good);
                ended += 1;
            })
            .unwrap();
            assert!(Instant::now() < limit, "{ended} of {tasks} tasks within 20 s");
        }
    }
}
