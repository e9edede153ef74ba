//! The bundled path: slot indices in rings, up to 32 a call.

use std::sync::atomic::Ordering;

use outboard_slots::doorbell::{Bell, Doorbell};
use outboard_slots::spin::{self, Advice, Spinner};
use outboard_slots::{Consumer, Entry, MAX_BUNDLE, Producer, Region, Time};

use super::{HEARTBEAT_NS, Orders, sleep_end, this_cpu};
use crate::mailbox::Mailbox;
use crate::runner::Runner;

/// A bundle is not cut below this.
const BUNDLE_MIN: usize = 16;
/// Looks at the submission ring between two looks at everything else while spinning.
const LOOKS: u32 = 8;

/// Runs queue `index` until told to stop. `Err` names what the host did wrong.
pub(crate) fn bundled(
    runner: &mut Runner,
    region: &Region,
    index: u32,
    mailbox: &Mailbox,
) -> Result<(), String> {
    let Some(words) = region.queue(index) else {
        return Err(format!("the region has no queue {index}"));
    };
    let (mut consumer, mut producer) = (Consumer::new(), Producer::new());
    let mut spinner = Spinner::new();
    let mut bell = Bell::default();
    let mut orders = Orders::default();
    let mut progress = 0u32;
    let mut heartbeat = Time::ZERO;
    // The size that bundles have of late: one far smaller is given a moment to grow.
    let mut usual = 0u32;
    words.driver_cpu.store(this_cpu(), Ordering::Relaxed);
    loop {
        let now = Time::now();
        let mut waiting = consumer.poll(words.submission).map_err(|e| e.to_string())?;
        if waiting != 0 {
            if waiting < usual / 2 {
                spin::pause();
                waiting = consumer.poll(words.submission).map_err(|e| e.to_string())?;
            }
            usual = (usual * 7 + waiting.min(MAX_BUNDLE as u32)) / 8;
            // Half of what waits: its completions are under way while the other half is worked on.
            let limit = (waiting as usize).div_ceil(2).clamp(BUNDLE_MIN, MAX_BUNDLE);
            let mut bundle = [Entry::from_bits(0); MAX_BUNDLE];
            let mut count = 0;
            while count < limit {
                let Some(entry) = consumer.take(words.submission) else { break };
                bundle[count] = entry;
                count += 1;
            }
            runner.bundle(now, &bundle[..count]);
        }
        runner.poll(now);
        for entry in runner.staged().drain(..) {
            producer.push(words.completion, entry);
        }
        let completed = producer.publish(words.completion);
        if completed != 0 && bell.published(words.host_flag) {
            words.host_flag.ring();
        }
        if mailbox.is_full() {
            orders.read(mailbox, runner);
        }
        if runner.is_managing() {
            orders.answer(index, consumer.sequence(), runner);
        }
        if waiting != 0 || completed != 0 {
            progress = progress.wrapping_add(1);
            words.progress.store(progress, Ordering::Relaxed);
            words.consumed.store(consumer.sequence(), Ordering::Relaxed);
            spinner.hit(now);
            continue;
        }
        // Long work in small steps and waiting for a slow disk are progress too.
        if now >= heartbeat {
            heartbeat = now.plus_nanos(HEARTBEAT_NS);
            progress = progress.wrapping_add(1);
            words.progress.store(progress, Ordering::Relaxed);
            words.in_kernel.store(runner.in_kernel(), Ordering::Relaxed);
        }
        if bell.settle(words.host_flag) {
            words.host_flag.ring();
        }
        if orders.stopping && runner.in_flight() == 0 {
            return Ok(());
        }
        match spinner.idle(now, Time::NEVER, words.share_a_core()) {
            Advice::Spin => {}
            Advice::SleepUntil(advised) => {
                let advised = match consumer.sequence() == producer.sequence() {
                    true => advised,
                    false => advised.min(heartbeat),
                };
                if let Some(until) = sleep_end(now, advised, runner.next_event()) {
                    words.in_kernel.store(runner.in_kernel(), Ordering::Relaxed);
                    words.driver_flag.announce();
                    let empty = consumer.poll(words.submission).map_err(|e| e.to_string())? == 0;
                    if empty && !mailbox.is_full() {
                        runner.wait(Doorbell::Flag(words.driver_flag), until);
                    }
                    words.driver_flag.withdraw();
                    words.driver_cpu.store(this_cpu(), Ordering::Relaxed);
                    continue;
                }
            }
        }
        for _ in 0..LOOKS {
            core::hint::spin_loop();
            if words.submission.tail.load(Ordering::Relaxed) != consumer.sequence() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::{Duration, Instant};

    use outboard_slots::{ParallelTask, RegionConfig};

    use super::*;
    use crate::controller::{IoQueue, QueueSetup};
    use crate::mailbox::{Order, Waker};
    use crate::task::{Bundle, Completions, Task};
    use crate::values::ServiceResponse;

    /// Keeps its task until it is aborted, with nothing in the kernel.
    #[derive(Default)]
    struct Slow {
        task: Option<Task>,
        aborted: bool,
    }

    impl IoQueue for Slow {
        fn process_bundled_parallel_tasks(
            &mut self,
            _: Time,
            mut bundle: Bundle<'_>,
            _: &mut Completions<'_>,
        ) {
            self.task = bundle.next();
        }

        fn process_parallel_task(
            &mut self,
            _: Time,
            _: Task,
            _: &mut Completions<'_>,
        ) -> ServiceResponse {
            ServiceResponse::RequestInProcess
        }

        fn poll(&mut self, _: Time, completions: &mut Completions<'_>) {
            if self.aborted
                && let Some(task) = self.task.take()
            {
                completions.complete(task.into_token(), &crate::task::Response::good(0));
            }
        }

        fn abort(&mut self, _: u16) {
            self.aborted = true;
        }
    }

    #[test]
    fn a_thread_says_that_it_lives_while_it_has_a_task_and_only_then() {
        let config =
            RegionConfig { slots_per_queue: 4, queues: 1, pool_bytes: 65536, scratch_bytes: 4096 };
        let region = Region::create(config).unwrap();
        let words = region.queue(0).unwrap();
        let mailbox = Mailbox::new(Waker::Flag(region.clone(), 0));
        std::thread::scope(|scope| {
            let end = scope.spawn(|| {
                let setup = QueueSetup::new(0, region.clone());
                let mut runner = Runner::new(Box::new(Slow::default()), &setup);
                bundled(&mut runner, &region, 0, &mailbox)
            });
            let beats = || {
                let before = words.progress.load(Relaxed);
                std::thread::sleep(Duration::from_millis(700));
                words.progress.load(Relaxed).wrapping_sub(before)
            };
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(beats(), 0, "without a task it sleeps");
            region.write_task(1, &ParallelTask::EMPTY);
            let mut host = Producer::new();
            host.push(words.submission, Entry::new(1, 1));
            host.publish(words.submission);
            if words.driver_flag.must_ring() {
                words.driver_flag.ring();
            }
            let taken = Instant::now();
            while words.consumed.load(Relaxed) == 0 && taken.elapsed() < Duration::from_secs(5) {
                std::thread::yield_now();
            }
            let counted = beats();
            assert!((2..=10).contains(&counted), "{counted} beats in 0.7 s");
            mailbox.post(Order::Stop);
            assert_eq!(end.join().unwrap(), Ok(()));
        });
    }
}
