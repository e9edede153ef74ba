//! The bundled path: slot indices in rings, up to 32 a call.

use std::sync::atomic::Ordering;

use outboard_slots::doorbell::{Bell, Doorbell};
use outboard_slots::spin::{self, Advice, Spinner};
use outboard_slots::{Consumer, Entry, MAX_BUNDLE, Producer, Region, Time};

use super::{Orders, sleep_end, this_cpu};
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
        if bell.settle(words.host_flag) {
            words.host_flag.ring();
        }
        if orders.stopping && runner.in_flight() == 0 {
            return Ok(());
        }
        match spinner.idle(now, Time::NEVER, words.share_a_core()) {
            Advice::Spin => {}
            Advice::SleepUntil(advised) => {
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
