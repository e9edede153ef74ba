//! The times of tasks on the driver's side, written into their extensions while the host traces
//! them (`outboard ext trace`). The clock is that of the host's own times, in whatever namespaces the
//! driver is.

use std::sync::atomic::Ordering;

use outboard_slots::{Entry, Region, Time};

/// These tasks have come out of the ring.
#[cold]
pub(crate) fn taken(region: &Region, entries: &[Entry]) {
    let now = Time::now().as_nanos();
    for stamps in entries.iter().filter_map(|entry| region.stamps(entry.index())) {
        stamps.taken.store(now, Ordering::Relaxed);
    }
}

/// The task in this slot has its response.
#[cold]
pub(crate) fn completed(region: &Region, slot: u16) {
    if let Some(stamps) = region.stamps(slot) {
        stamps.completed.store(Time::now().as_nanos(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use outboard_slots::{ParallelTask, RegionConfig};

    use super::*;
    use crate::controller::{IoQueue, QueueSetup};
    use crate::runner::Runner;
    use crate::task::{Bundle, Completions, Response, Task};
    use crate::values::ServiceResponse;

    /// Ends every task at once.
    struct Ready;

    impl IoQueue for Ready {
        fn process_bundled_parallel_tasks(
            &mut self,
            _: Time,
            bundle: Bundle<'_>,
            completions: &mut Completions<'_>,
        ) {
            for task in bundle {
                completions.complete(task.into_token(), &Response::good(0));
            }
        }

        fn process_parallel_task(
            &mut self,
            _: Time,
            _: Task,
            _: &mut Completions<'_>,
        ) -> ServiceResponse {
            ServiceResponse::FunctionRejected
        }

        fn poll(&mut self, _: Time, _: &mut Completions<'_>) {}
    }

    #[test]
    fn tasks_are_stamped_while_the_host_asks_for_it() {
        let config =
            RegionConfig { slots_per_queue: 4, queues: 1, pool_bytes: 65536, scratch_bytes: 4096 };
        let region = Region::create(config).unwrap();
        let setup = QueueSetup::new(0, region.clone());
        let mut runner = Runner::new(Box::new(Ready), &setup);
        region.write_task(2, &ParallelTask::EMPTY);
        let mut stamps = |generation| {
            let begun = Time::now().as_nanos();
            runner.bundle(Time::ZERO, &[Entry::new(2, generation)]);
            runner.poll(Time::ZERO);
            assert_eq!(runner.staged().drain(..).count(), 1);
            let extension = region.read_extension(2).unwrap();
            (begun, extension.taken, extension.completed, Time::now().as_nanos())
        };
        let (_, taken, completed, _) = stamps(1);
        assert_eq!((taken, completed), (0, 0), "nobody asks");
        region.set_traced(true);
        let (begun, taken, completed, ended) = stamps(2);
        assert!(begun <= taken && taken <= completed && completed <= ended);
        region.set_traced(false);
        assert_eq!(stamps(3).1, taken, "as it was");
    }
}
