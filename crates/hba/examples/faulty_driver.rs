//! Drivers that each break one rule, to see what the host makes of it. The last argument names the
//! fault; `first_driver` is the one to learn from.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use outboard_hba::control::Control;
use outboard_hba::protocol::{FromDriver, PROTOCOL, ToDriver};
use outboard_hba::testkit::Ram;
use outboard_hba::*;
use outboard_slots::{Region, ResponseHead, Time};

const VENDORS_QUEUE: &str = "MyParallelIOQueue";
/// Tasks that are answered before a fault that comes under load.
const TASKS_BEFORE: u32 = 100;

/// Which rule is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// none
    None,
    /// a completion target's method is bound to another queue
    BindsTaskMethod,
    /// a queue is declared and never made
    NeverMakesQueue,
    /// the program ends before a word
    ExitsAtOnce,
    PanicsInInitialize,
    FailsInInitialize,
    HangsInInitialize,
    OtherProtocol,
    TalksNonsense,
    MissesConstraint,
    NoTasks,
    IdentifierZero,
    PanicsInOpenQueue,
    /// every response says it is of version 2
    OtherResponseVersion,
    /// the process ends under load
    DiesUnderLoad,
    /// the I/O thread panics under load
    PanicsUnderLoad,
}

impl Fault {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "binds-task-method" => Self::BindsTaskMethod,
            "never-makes-queue" => Self::NeverMakesQueue,
            "exits-at-once" => Self::ExitsAtOnce,
            "panics-in-initialize" => Self::PanicsInInitialize,
            "fails-in-initialize" => Self::FailsInInitialize,
            "hangs-in-initialize" => Self::HangsInInitialize,
            "other-protocol" => Self::OtherProtocol,
            "talks-nonsense" => Self::TalksNonsense,
            "misses-constraint" => Self::MissesConstraint,
            "no-tasks" => Self::NoTasks,
            "identifier-zero" => Self::IdentifierZero,
            "panics-in-open-queue" => Self::PanicsInOpenQueue,
            "other-response-version" => Self::OtherResponseVersion,
            "dies-under-load" => Self::DiesUnderLoad,
            "panics-under-load" => Self::PanicsUnderLoad,
            _ => return None,
        })
    }
}

struct Faulty {
    fault: Fault,
}

impl Controller for Faulty {
    type Queue = FaultyQueue;

    fn manifest(&self) -> Manifest {
        let manifest = Manifest::new("com.vendor.faulty", "1.0");
        match self.fault {
            Fault::BindsTaskMethod => manifest
                .queue(VENDORS_QUEUE, QueueKind::Serial)
                .bind(Method::ProcessParallelTask, VENDORS_QUEUE),
            Fault::NeverMakesQueue => manifest.queue(VENDORS_QUEUE, QueueKind::Serial),
            _ => manifest,
        }
    }

    fn initialize(&mut self, _: &mut Startup) -> Result<HbaReport, DriverError> {
        let mut report = Ram::report();
        match self.fault {
            Fault::PanicsInInitialize => panic!("the register window is not there"),
            Fault::FailsInInitialize => return Err(DriverError::new("firmware 1.2 is too old")),
            Fault::HangsInInitialize => thread::sleep(Duration::from_secs(3600)),
            Fault::MissesConstraint => report.constraints.minimum_segment_alignment = None,
            Fault::NoTasks => report.maximum_task_count = 0,
            _ => {}
        }
        Ok(report)
    }

    fn map_hba_data(&self, slot: u16) -> u32 {
        match self.fault {
            Fault::IdentifierZero => u32::from(slot),
            _ => u32::from(slot) + 1,
        }
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<FaultyQueue, DriverError> {
        assert!(self.fault != Fault::PanicsInOpenQueue, "no interrupt vector is left");
        Ok(FaultyQueue { fault: self.fault, region: setup.region.clone(), answered: 0 })
    }
}

struct FaultyQueue {
    fault: Fault,
    region: Region,
    answered: u32,
}

impl FaultyQueue {
    fn answer(&mut self, task: Task, completions: &mut Completions<'_>) {
        self.answered += 1;
        match self.fault {
            Fault::DiesUnderLoad if self.answered > TASKS_BEFORE => std::process::abort(),
            Fault::PanicsUnderLoad => {
                assert!(self.answered <= TASKS_BEFORE, "an index is out of range");
            }
            _ => {}
        }
        let (slot, bytes) = (task.slot(), task.buffer().1);
        completions.complete(task.into_token(), &Response::good(bytes));
        if self.fault == Fault::OtherResponseVersion {
            // After the fact, past the library: as a driver in another language might.
            if let Some(head) = self.region.read_response(slot) {
                self.region.write_response(slot, &ResponseHead { version: 2, ..head });
            }
        }
    }
}

impl IoQueue for FaultyQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        _: Time,
        bundle: Bundle<'_>,
        completions: &mut Completions<'_>,
    ) {
        for task in bundle {
            self.answer(task, completions);
        }
    }

    fn process_parallel_task(
        &mut self,
        _: Time,
        task: Task,
        completions: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.answer(task, completions);
        ServiceResponse::RequestInProcess
    }

    fn poll(&mut self, _: Time, _: &mut Completions<'_>) {}
}

/// Answers the host's first message by itself, not through the library.
fn answer_hello(answer: impl FnOnce(&Control)) -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let mut control = Control::new(socket);
    let _ = control.receive::<ToDriver>(None);
    answer(&control);
    // Ends with the host.
    let _ = control.receive::<ToDriver>(None);
    ExitCode::SUCCESS
}

pub(crate) fn main() -> ExitCode {
    let name = std::env::args().next_back().unwrap_or_default();
    let Some(fault) = Fault::named(&name) else {
        eprintln!("faulty_driver: no fault is named {name:?}; the last argument names one");
        return ExitCode::from(2);
    };
    let manifest = Manifest::new("com.vendor.faulty", "1.0");
    match fault {
        Fault::ExitsAtOnce => ExitCode::from(3),
        Fault::OtherProtocol => answer_hello(|control| {
            let _ = control
                .send(&FromDriver::Hello { protocol: PROTOCOL + 1, oldest: 0, manifest }, &[]);
        }),
        Fault::TalksNonsense => answer_hello(|control| {
            let _ = control.send(&"good morning", &[]);
        }),
        _ => run(Faulty { fault }),
    }
}
