//! A first driver: a unit that swallows every write and reads as it finds the buffer.
//! Build it, then load it: see README.md.

use outboard_hba::testkit::Ram;
use outboard_hba::*;
use outboard_slots::{Region, Time};

struct Null;
struct NullQueue;

impl Controller for Null {
    type Queue = NullQueue;
    fn manifest(&self) -> Manifest {
        Manifest::new("org.example.null", "1.0")
    }
    fn initialize(&mut self, _: &mut Startup) -> Result<HbaReport, DriverError> {
        Ok(Ram::report()) // identity, size and limits of the RAM disk
    }
    fn map_bundled(&self, _: &Region) -> Result<(), DriverError> {
        Ok(()) // an error here declines the bundled path
    }
    fn open_queue(&self, _: &QueueSetup) -> Result<NullQueue, DriverError> {
        Ok(NullQueue)
    }
}

impl IoQueue for NullQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        _: Time,
        tasks: Bundle<'_>,
        done: &mut Completions<'_>,
    ) {
        for task in tasks {
            let bytes = task.buffer().1;
            done.complete(task.into_token(), &Response::good(bytes));
        }
    }
    fn process_parallel_task(
        &mut self,
        _: Time,
        task: Task,
        done: &mut Completions<'_>,
    ) -> ServiceResponse {
        let bytes = task.buffer().1;
        done.complete(task.into_token(), &Response::good(bytes));
        ServiceResponse::RequestInProcess
    }
    fn poll(&mut self, _: Time, _: &mut Completions<'_>) {}
}

fn main() -> std::process::ExitCode {
    run(Null)
}
