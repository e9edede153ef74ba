//! The mistake that panicked a Mac: `process_parallel_task` is bound to a queue of the driver's own, in
//! the hope of parallel tasks. It is the target of a completion action and has its queue already.
//! See docs/vendors-mistake.md of Outboard.

use std::process::ExitCode;

use outboard_hba::testkit::{Ram, RamQueue};
use outboard_hba::*;

#[derive(Default)]
struct Mistaken(Ram);

impl Controller for Mistaken {
    type Queue = RamQueue;

    fn manifest(&self) -> Manifest {
        Manifest::new("com.vendor.raid", env!("CARGO_PKG_VERSION"))
            .queue("MyParallelIOQueue", QueueKind::Serial)
            // QUEUENAME(MyParallelIOQueue), in the .iig
            .bind(Method::ProcessParallelTask, "MyParallelIOQueue")
    }

    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError> {
        // IODispatchQueue::Create, in the .cpp
        startup.queues.create("MyParallelIOQueue", QueueKind::Serial).map_err(DriverError::new)?;
        self.0.initialize(startup)
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<RamQueue, DriverError> {
        self.0.open_queue(setup)
    }
}

fn main() -> ExitCode {
    run(Mistaken::default())
}
