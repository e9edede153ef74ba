//! A driver attached on one path, ready to be loaded.

use std::path::PathBuf;

use outboard_array::{ArrayController, ArrayOptions};
use outboard_hba::{HbaReport, Path, UnitReport};
use outboard_host::channel::{Channel, ChannelError};
use outboard_host::driver::{Driver, DriverStatus, Launch, Options, Sandbox, attach_resident};
use outboard_host::stack::{Accepted, Command, Stack};
use outboard_sandbox::{Launcher, Mode};
use outboard_scsi::{Lun, TaskAttribute, command::build};
use outboard_slots::{Memory, Region, Time};
use outboard_spc::NexusId;

use super::cpu::{self, Pins};
use super::error::RunError;
use super::units::Units;

/// How a session is made.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) path: Path,
    /// the driver is in its sandbox
    pub(super) confined: bool,
    /// host threads, each with a queue of its own; more than one on the resident path alone
    pub(super) threads: u32,
    /// tasks outstanding on each queue
    pub(super) queue_depth: u32,
    pub(super) command_bytes: u64,
    pub(super) pins: Option<Pins>,
    pub(super) spin: bool,
    /// a driver other than the built-in one; it brings its own disks
    pub(super) program: Option<PathBuf>,
}

/// A driver attached on one path.
pub(super) struct Session {
    pub(super) stack: Stack,
    pub(super) channel: Box<dyn Channel>,
    pub(super) memory: Memory,
    pub(super) nexus: NexusId,
    pub(super) unit: UnitReport,
    pub(super) lun: [u8; 8],
    driver: Option<Driver>,
}

/// A driver that has come up, however it is attached.
struct Attached {
    report: HbaReport,
    identifiers: Vec<u32>,
    region: Region,
    channels: Vec<Box<dyn Channel>>,
    driver: Option<Driver>,
}

impl Session {
    /// Starts the driver and reaches its first unit, through one session a thread.
    pub(super) fn start(units: &Units, setup: &Setup) -> Result<Vec<Self>, RunError> {
        if let Some(pins) = setup.pins {
            // The driver inherits where this thread is now.
            cpu::pin(&[if setup.path == Path::Resident { pins.host } else { pins.driver }]);
        }
        let attached = attach(units, setup)?;
        if let Some(pins) = setup.pins {
            cpu::pin(&[pins.host]);
        }
        let Attached { report, identifiers, region, channels, driver } = attached;
        let mut driver = driver;
        let mut sessions = Vec::new();
        for (queue, channel) in channels.into_iter().enumerate() {
            let target = report.targets.first();
            let unit = target.and_then(|t| t.units.first().cloned()).ok_or(RunError::NoUnit)?;
            let target = target.map_or(0, |t| t.id);
            let mut stack = Stack::new(&report, target, &identifiers, &region, queue as u32)?;
            let nexus = stack
                .open_nexus("outboard-bench", 1)
                .map_err(|e| RunError::Internal(e.to_string()))?;
            let lun = Lun::new(unit.lun).unwrap_or(Lun::ZERO).encode();
            let memory = region.memory().clone();
            let driver = driver.take();
            let mut session = Self { stack, channel, memory, nexus, unit, lun, driver };
            session.clear_unit_attention();
            sessions.push(session);
        }
        Ok(sessions)
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
            let Accepted::Answered(answer) = self.stack.submit(Time::now(), &command) else {
                return;
            };
            if answer.status == outboard_scsi::Status::Good {
                return;
            }
        }
    }

    /// An error if the driver has failed or gone.
    #[inline]
    pub(super) fn check_driver(&self) -> Result<(), RunError> {
        match &self.driver {
            Some(driver) if driver.has_news() => match driver.status() {
                DriverStatus::Running => Ok(()),
                DriverStatus::Failed(reason) => Err(RunError::DriverFailed(reason)),
                DriverStatus::Gone => Err(RunError::DriverGone),
            },
            _ => Ok(()),
        }
    }

    /// Why the way to the driver was lost: the driver's own reason, if it gives one in a moment.
    pub(super) fn lost(&self, error: ChannelError) -> RunError {
        let until = Time::now() + core::time::Duration::from_millis(200);
        while let Some(driver) = &self.driver {
            match driver.status() {
                DriverStatus::Failed(reason) => return RunError::DriverFailed(reason),
                _ if Time::now() > until => break,
                _ => std::thread::sleep(core::time::Duration::from_millis(5)),
            }
        }
        error.into()
    }

    /// Process id of the driver, if it is a process.
    pub(super) fn driver_pid(&self) -> Option<u32> {
        self.driver.as_ref().map(Driver::pid)
    }

    /// Processor time so far in ns: of this thread, and of the driver's process.
    pub(super) fn cpu_ns(&self) -> (u64, u64) {
        let driver = self.driver_pid().map_or(0, cpu::process_ns);
        (cpu::this_thread_ns(), driver)
    }

    /// Ends the driver in order.
    pub(super) fn stop(mut self) -> Result<(), RunError> {
        if let Some(mut driver) = self.driver.take() {
            drop(self.channel);
            driver.stop()?;
        }
        Ok(())
    }
}

fn attach(units: &Units, setup: &Setup) -> Result<Attached, RunError> {
    let each = setup.command_bytes.next_multiple_of(4096).next_power_of_two();
    let tasks = setup.queue_depth * setup.threads;
    let pool = each.saturating_mul(u64::from(tasks));
    let mut attach = Options::new(setup.path, setup.queue_depth, pool);
    attach.spin = setup.spin;
    attach.queues = setup.threads;
    let options = ArrayOptions {
        units: units.options.clone(),
        maximum_task_count: tasks,
        max_transfer: each.max(1 << 20),
    };
    let options = serde_json::to_value(&options).map_err(|e| RunError::Internal(e.to_string()))?;
    let descriptors = units.duplicate()?;
    if setup.path == Path::Resident {
        let controller = ArrayController::default();
        let (report, identifiers, region, channels) =
            attach_resident(controller, options, descriptors, &attach)?;
        let boxed = |c| Box::new(c) as Box<dyn Channel>;
        let channels = channels.into_iter().map(boxed).collect();
        return Ok(Attached { report, identifiers, region, channels, driver: None });
    }
    let (program, arguments) = match &setup.program {
        Some(program) => (program.clone(), Vec::new()),
        None => (std::env::current_exe()?, vec!["driver".to_owned(), "array".to_owned()]),
    };
    let sandbox = match setup.confined {
        true => Some(sandbox()?),
        false => None,
    };
    let launch = Launch { program, arguments, options, descriptors, sandbox, ..Launch::default() };
    let (driver, channels) = Driver::start(launch, &attach)?;
    if let Some(reason) = driver.declined() {
        return Err(RunError::Declined(reason.to_owned()));
    }
    Ok(Attached {
        report: driver.report().clone(),
        identifiers: driver.identifiers().to_vec(),
        region: driver.region().clone(),
        channels,
        driver: Some(driver),
    })
}

/// That of `outboard serve`.
fn sandbox() -> Result<Sandbox, RunError> {
    Ok(Sandbox {
        launcher: Launcher {
            program: std::env::current_exe()?,
            arguments: vec!["launcher".to_owned()],
        },
        mode: Mode::BestEffort,
        package: None,
        memory_bytes: 1 << 30,
        threads: 16,
        debug: false,
    })
}

/// Runs `work` on each session at the same time: the first on this thread, the others on threads of
/// their own, on the driver's CPU.
pub(super) fn threaded<R: Send>(
    sessions: &mut [Session],
    setup: &Setup,
    work: impl Fn(&mut Session, usize) -> R + Sync,
) -> Vec<R> {
    let work = &work;
    let Some((first, others)) = sessions.split_first_mut() else { return Vec::new() };
    std::thread::scope(|scope| {
        let handles: Vec<_> = others
            .iter_mut()
            .enumerate()
            .map(|(i, session)| {
                scope.spawn(move || {
                    if let Some(pins) = setup.pins {
                        cpu::pin(&[pins.driver]);
                    }
                    work(session, i + 1)
                })
            })
            .collect();
        let mut results = vec![work(first, 0)];
        results.extend(handles.into_iter().filter_map(|handle| handle.join().ok()));
        results
    })
}
