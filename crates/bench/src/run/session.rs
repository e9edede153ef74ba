//! A driver attached on one path, ready to be loaded.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use outboard_array::{ArrayController, ArrayOptions, UnitOptions};
use outboard_hba::{Path, UnitReport};
use outboard_host::channel::Channel;
use outboard_host::driver::{Driver, DriverStatus, Launch, Options, attach_resident};
use outboard_host::stack::{Accepted, Command, Stack};
use outboard_scsi::{Lun, TaskAttribute, command::build};
use outboard_slots::{Memory, Time};
use outboard_spc::NexusId;

use super::{RunError, cpu};

/// Where host and driver run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pins {
    pub(crate) host: usize,
    pub(crate) driver: usize,
}

/// How a session is made.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) path: Path,
    pub(crate) queue_depth: u32,
    pub(crate) command_bytes: u64,
    pub(crate) pins: Option<Pins>,
    pub(crate) spin: bool,
    /// a driver other than the built-in one; it brings its own disks
    pub(crate) program: Option<PathBuf>,
}

/// A driver attached on one path.
pub(crate) struct Session {
    pub(crate) stack: Stack,
    pub(crate) channel: Box<dyn Channel>,
    pub(crate) memory: Memory,
    pub(crate) nexus: NexusId,
    pub(crate) unit: UnitReport,
    pub(crate) lun: [u8; 8],
    driver: Option<Driver>,
}

/// The units to serve, with descriptors that are duplicated for each session.
pub(crate) struct Units {
    pub(crate) options: Vec<UnitOptions>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Units {
    fn duplicate(&self) -> Result<Vec<OwnedFd>, RunError> {
        self.descriptors
            .iter()
            .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(RunError::from))
            .collect()
    }
}

impl Session {
    /// Starts the driver and reaches the first unit.
    pub(crate) fn start(units: &Units, setup: &Setup) -> Result<Self, RunError> {
        let page = 4096;
        let each = setup.command_bytes.next_multiple_of(page).next_power_of_two();
        let pool = each.saturating_mul(u64::from(setup.queue_depth));
        let mut attach = Options::new(setup.path, setup.queue_depth, pool);
        attach.spin = setup.spin;
        let options = ArrayOptions {
            units: units.options.clone(),
            maximum_task_count: setup.queue_depth,
            max_transfer: each.max(1 << 20),
        };
        let options = serde_json::to_value(&options).map_err(|e| RunError::Internal(e.to_string()))?;
        let descriptors = units.duplicate()?;
        if let Some(pins) = setup.pins {
            // The driver inherits where this thread is now.
            cpu::pin(&[if setup.path == Path::Resident { pins.host } else { pins.driver }]);
        }
        let (report, identifiers, region, channel, driver) = if setup.path == Path::Resident {
            let controller = ArrayController::default();
            let (report, ids, region, channel) =
                attach_resident(controller, options, descriptors, &attach)?;
            (report, ids, region, Box::new(channel) as Box<dyn Channel>, None)
        } else {
            let launch = match &setup.program {
                Some(program) => Launch {
                    program: program.clone(),
                    arguments: Vec::new(),
                    options,
                    descriptors,
                },
                None => Launch {
                    program: std::env::current_exe()?,
                    arguments: vec!["driver".to_owned(), "array".to_owned()],
                    options,
                    descriptors,
                },
            };
            let (driver, mut channels) = Driver::start(launch, &attach)?;
            if let Some(reason) = driver.declined() {
                return Err(RunError::Declined(reason.to_owned()));
            }
            let report = driver.report().clone();
            let ids = driver.identifiers().to_vec();
            let region = driver.region().clone();
            let channel = channels.pop();
            let channel = channel.ok_or_else(|| RunError::Internal("no channel".to_owned()))?;
            (report, ids, region, channel, Some(driver))
        };
        if let Some(pins) = setup.pins {
            cpu::pin(&[pins.host]);
        }
        let target = report.targets.first();
        let unit = target.and_then(|t| t.units.first().cloned()).ok_or(RunError::NoUnit)?;
        let target = target.map_or(0, |t| t.id);
        let mut stack = Stack::new(&report, target, &identifiers, &region, 0)?;
        let nexus = stack.open_nexus("outboard-bench").map_err(|e| RunError::Internal(e.to_string()))?;
        let lun = Lun::new(unit.lun).unwrap_or(Lun::ZERO).encode();
        let memory = region.memory().clone();
        let mut session = Self { stack, channel, memory, nexus, unit, lun, driver };
        session.clear_unit_attention();
        Ok(session)
    }

    /// Reports and clears what a new nexus is told first.
    fn clear_unit_attention(&mut self) {
        for _ in 0..4 {
            let cdb = build::test_unit_ready();
            let command = Command {
                nexus: self.nexus,
                lun: self.lun,
                cdb: cdb.as_slice(),
                attribute: TaskAttribute::Simple,
                tag: 0,
                expected: 0,
                cookie: 0,
            };
            let Accepted::Answered(answer) = self.stack.submit(Time::now(), &command) else { return };
            if answer.status == outboard_scsi::Status::Good {
                return;
            }
        }
    }

    /// An error if the driver has failed or gone.
    #[inline]
    pub(crate) fn check_driver(&self) -> Result<(), RunError> {
        match &self.driver {
            Some(driver) if driver.has_news() => match driver.status() {
                DriverStatus::Running => Ok(()),
                DriverStatus::Failed(reason) => Err(RunError::DriverFailed(reason)),
                DriverStatus::Gone => Err(RunError::DriverGone),
            },
            _ => Ok(()),
        }
    }

    /// Process id of the driver, if it is a process.
    pub(crate) fn driver_pid(&self) -> Option<u32> {
        self.driver.as_ref().map(Driver::pid)
    }

    /// Processor time so far in ns: of this thread, and of the driver's process.
    pub(crate) fn cpu_ns(&self) -> (u64, u64) {
        let driver = self.driver_pid().map_or(0, cpu::process_ns);
        (cpu::this_thread_ns(), driver)
    }

    /// Ends the driver in order.
    pub(crate) fn stop(mut self) -> Result<(), RunError> {
        if let Some(mut driver) = self.driver.take() {
            drop(self.channel);
            driver.stop()?;
        }
        Ok(())
    }
}
