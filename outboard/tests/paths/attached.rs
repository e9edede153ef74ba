//! The array driver attached on one path: by direct call, or as the real driver process.

use outboard_array::{ArrayController, ArrayOptions, UnitOptions};
use outboard_disk::open::{OpenOptions, open};
use outboard_hba::{HbaReport, Path, TaskManagement, UnitReport};
use outboard_host::channel::{Channel, Resident};
use outboard_host::driver::{Driver, DriverStatus, Launch, Options, attach_resident};
use outboard_host::stack::Stack;
use outboard_scsi::Lun;
use outboard_slots::{Memory, Region};

use crate::stream::Setup;

/// Bytes of the buffer pool: fewer than all slots could want, so that it runs out.
const POOL_BYTES: u64 = 1 << 20;
const MAX_TRANSFER: u64 = 1 << 20;

/// How tasks get there and functions come back.
enum Way {
    Resident(Box<Resident>),
    Process(Box<Driver>, Box<dyn Channel>),
}

pub(crate) struct Attached {
    pub(crate) stack: Stack,
    pub(crate) memory: Memory,
    pub(crate) unit: UnitReport,
    way: Way,
}

impl Attached {
    pub(crate) fn start(path: Path, setup: &Setup) -> Result<Self, String> {
        let mut members = Vec::new();
        for url in &setup.members {
            let spec = url.parse().map_err(text)?;
            members.push(open(&spec, &OpenOptions::default()).map_err(text)?);
        }
        let (unit, descriptors) = UnitOptions::new(setup.lun, "stream", setup.array, members);
        let options = ArrayOptions {
            units: vec![unit],
            maximum_task_count: u32::from(setup.slots),
            max_transfer: MAX_TRANSFER,
        };
        let options = serde_json::to_value(&options).map_err(text)?;
        let attach = Options::new(path, u32::from(setup.slots), POOL_BYTES);
        if path == Path::Resident {
            let controller = ArrayController::default();
            let (report, identifiers, region, channels) =
                attach_resident(controller, options, descriptors, &attach).map_err(text)?;
            let channel = channels.into_iter().next().ok_or("no queue")?;
            let stack = stack(&report, &identifiers, &region, setup.lun)?;
            let way = Way::Resident(Box::new(channel));
            return Ok(Self {
                stack,
                memory: region.memory().clone(),
                unit: unit_of(&report)?,
                way,
            });
        }
        let launch = Launch {
            program: env!("CARGO_BIN_EXE_outboard").into(),
            arguments: vec!["driver".to_owned(), "array".to_owned()],
            options,
            descriptors,
            ..Launch::default()
        };
        let (driver, channels) = Driver::start(launch, &attach).map_err(text)?;
        if let Some(reason) = driver.declined() {
            return Err(format!("declined: {reason}"));
        }
        let channel = channels.into_iter().next().ok_or("no queue")?;
        let stack = stack(driver.report(), driver.identifiers(), driver.region(), setup.lun)?;
        let (memory, unit) = (driver.region().memory().clone(), unit_of(driver.report())?);
        Ok(Self { stack, memory, unit, way: Way::Process(Box::new(driver), channel) })
    }

    /// The stack and its channel.
    pub(crate) fn parts(&mut self) -> (&mut Stack, &mut dyn Channel) {
        let channel: &mut dyn Channel = match &mut self.way {
            Way::Resident(channel) => &mut **channel,
            Way::Process(_, channel) => &mut **channel,
        };
        (&mut self.stack, channel)
    }

    /// Sends functions to the driver, and tells the stack of those that are done.
    pub(crate) fn manage(&mut self) -> Result<(), String> {
        let requests = match self.stack.has_requests() {
            true => {
                let (stack, channel) = self.parts();
                stack.requests(channel)
            }
            false => Vec::new(),
        };
        for id in self.way.manage(requests)? {
            self.stack.confirmed(id);
        }
        Ok(())
    }

    /// Ends the driver; no process is left.
    pub(crate) fn stop(self) -> Result<(), String> {
        let Way::Process(mut driver, channel) = self.way else { return Ok(()) };
        let pid = driver.pid();
        drop(channel);
        let status = driver.stop().map_err(text)?;
        if !status.success() {
            return Err(format!("the driver ended with {status}"));
        }
        match std::path::Path::new(&format!("/proc/{pid}")).exists() {
            true => Err(format!("process {pid} is left over")),
            false => Ok(()),
        }
    }
}

impl Way {
    fn manage(&mut self, requests: Vec<TaskManagement>) -> Result<Vec<u64>, String> {
        match self {
            Self::Resident(channel) => {
                for request in requests {
                    channel.manage(request);
                }
                Ok(channel.managed())
            }
            Self::Process(driver, _) => {
                for request in requests {
                    driver.manage(request).map_err(text)?;
                }
                if !driver.has_news() {
                    return Ok(Vec::new());
                }
                match driver.status() {
                    DriverStatus::Running => {}
                    other => return Err(format!("the driver: {other:?}")),
                }
                Ok(driver.managed().into_iter().map(|(id, _)| id).collect())
            }
        }
    }
}

/// A stack whose unit keeps its reservations.
fn stack(
    report: &HbaReport,
    identifiers: &[u32],
    region: &Region,
    lun: u16,
) -> Result<Stack, String> {
    let mut stack = Stack::new(report, 0, identifiers, region, 0).map_err(text)?;
    let lun = Lun::new(lun).ok_or("no such LUN")?;
    stack.target_mut().restore(lun, &[]).map_err(text)?;
    Ok(stack)
}

fn unit_of(report: &HbaReport) -> Result<UnitReport, String> {
    let target = report.targets.first().ok_or("no target")?;
    target.units.first().cloned().ok_or_else(|| "no unit".to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
