//! The bundled path, host side: fill slots, publish a bundle, ring only a sleeper.

use std::sync::atomic::Ordering;

use outboard_hba::Path;
use outboard_slots::doorbell::{Bell, Doorbell};
use outboard_slots::spin::{self, Advice, Spinner};
use outboard_slots::{
    Consumer, Entry, ParallelTask, Producer, Queue, Region, SENSE_BYTES, TaskExtension, Time,
    planted,
};

use super::{Channel, ChannelError, Completed, Pulse};
use crate::ledger::Violation;

/// Looks at the completion ring between two looks at the clock while spinning.
const LOOKS: u32 = 16;
/// Completions below this share of the tasks in flight, and below this number, are given a moment to
/// become more: each bundle costs both cores the ring's lines once, whatever its size.
const COALESCE_SHARE: u32 = 2;
const COALESCE_ENOUGH: u32 = 16;
/// Longest sleep with tasks outstanding, ns: bounds what a lost doorbell can cost.
const SLEEP_LIMIT_NS: u64 = 100_000_000;

/// One queue pair.
pub struct Bundled {
    queue: Queue,
    submission: Producer,
    completion: Consumer,
    spinner: Spinner,
    bell: Bell,
    /// nexus last written to each slot's extension
    nexus: Vec<u32>,
    /// what the first half of each slot says
    halves: Vec<[u64; 3]>,
    first_slot: u16,
    spin: bool,
    cpu_noted: bool,
    /// tasks handed over and not reaped
    in_flight: u32,
}

impl Bundled {
    /// Queue pair `index` of a fresh region. Without `spin` it sleeps at once when it has to wait.
    /// `None` if the region has no such queue.
    pub fn new(region: Region, index: u32, spin: bool) -> Option<Self> {
        let slots = region.layout().slots_of(index);
        Some(Self {
            queue: Queue::new(region, index)?,
            submission: Producer::new(),
            completion: Consumer::new(),
            spinner: Spinner::new(),
            bell: Bell::default(),
            nexus: vec![u32::MAX; slots.len()],
            halves: vec![[u64::MAX; 3]; slots.len()],
            first_slot: slots.start as u16,
            spin,
            cpu_noted: false,
            in_flight: 0,
        })
    }

    fn note_cpu(&self) {
        let cpu = rustix::thread::sched_getcpu() as u32 + 1;
        self.queue.words().host_cpu.store(cpu, Ordering::Relaxed);
    }
}

impl Channel for Bundled {
    fn path(&self) -> Path {
        Path::Bundled
    }

    #[inline]
    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        let slot = entry.index();
        let half = task.first_half();
        match self.halves.get_mut(usize::from(slot - self.first_slot)) {
            // Compared word by word: half was written so, and a wider load would wait for it.
            Some(last) if last[2] == half[2] && last[1] == half[1] && last[0] == half[0] => {
                self.queue.region().write_task_tail(slot, task);
            }
            Some(last) => {
                *last = half;
                self.queue.region().write_task(slot, task);
            }
            None => return Err(Violation::Index { slot }.into()),
        }
        // The extension changes only when another nexus uses the slot: its line stays shared.
        if let Some(last) = self.nexus.get_mut(usize::from(slot - self.first_slot))
            && *last != nexus
        {
            *last = nexus;
            let nexus = u64::from(nexus);
            self.queue
                .region()
                .write_extension(slot, &TaskExtension { nexus, ..TaskExtension::EMPTY });
        }
        let words = self.queue.words();
        self.submission.push(words.submission, entry);
        self.in_flight += 1;
        Ok(())
    }

    #[inline]
    fn publish(&mut self, _now: Time) -> Result<(), ChannelError> {
        if self.submission.unpublished() == 0 {
            return Ok(());
        }
        let words = self.queue.words();
        self.submission.publish(words.submission);
        if !planted::is("host: doorbell not rung") && self.bell.published(words.driver_flag) {
            words.driver_flag.ring();
        }
        Ok(())
    }

    #[inline]
    fn reap(&mut self, now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        let words = self.queue.words();
        let mut count = self.completion.poll(words.completion).map_err(Violation::Ring)?;
        if count == 0 {
            if self.bell.settle(words.driver_flag) {
                words.driver_flag.ring();
            }
            return Ok(());
        }
        if count < self.in_flight / COALESCE_SHARE && count < COALESCE_ENOUGH {
            spin::pause();
            count = self.completion.poll(words.completion).map_err(Violation::Ring)?;
        }
        self.spinner.hit(now);
        self.in_flight = self.in_flight.saturating_sub(count);
        for _ in 0..count {
            let Some(entry) = self.completion.take(words.completion) else { break };
            let slot = entry.index();
            // The slot is used again soon: its line comes back from the driver's core meanwhile.
            self.queue.region().prefetch_task(slot, true);
            let head = self.queue.region().read_response(slot).ok_or(Violation::Index { slot })?;
            completed.push(Completed { entry, head });
        }
        Ok(())
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        self.queue.region().read_sense(slot, out);
    }

    fn advise(&mut self, now: Time, until: Time, outstanding: usize) -> Advice {
        if !self.cpu_noted {
            // The thread that waits is the one that counts; it may not be the one that attached.
            self.cpu_noted = true;
            self.note_cpu();
        }
        if outstanding == 0 {
            return Advice::SleepUntil(until);
        }
        let words = self.queue.words();
        let end = until.min(now.plus_nanos(SLEEP_LIMIT_NS));
        if !self.spin {
            return Advice::SleepUntil(end);
        }
        let advice = self.spinner.idle(now, end, words.share_a_core());
        if advice == Advice::Spin {
            for _ in 0..LOOKS {
                if words.completion.tail.load(Ordering::Relaxed) != self.completion.sequence() {
                    break;
                }
                core::hint::spin_loop();
            }
        }
        advice
    }

    fn idle(&mut self, now: Time, until: Time, outstanding: usize) {
        let Advice::SleepUntil(end) = self.advise(now, until, outstanding) else { return };
        if let Some(Doorbell::Flag(flag)) = self.announce() {
            flag.sleep(end.since(now));
        }
        self.withdraw();
    }

    fn announce(&mut self) -> Option<Doorbell<'_>> {
        let words = self.queue.words();
        // Whoever sleeps must not leave the other side asleep.
        if self.bell.settle(words.driver_flag) {
            words.driver_flag.ring();
        }
        words.host_flag.announce();
        let empty = self.completion.poll(words.completion) == Ok(0);
        empty.then_some(Doorbell::Flag(self.queue.words().host_flag))
    }

    fn withdraw(&mut self) {
        self.queue.words().host_flag.withdraw();
        self.note_cpu();
    }

    fn sequence(&self) -> u32 {
        self.submission.sequence()
    }

    fn pulse(&self) -> Option<Pulse> {
        let words = self.queue.words();
        Some(Pulse {
            progress: words.progress.load(Ordering::Relaxed),
            consumed: words.consumed.load(Ordering::Relaxed),
            in_kernel: words.in_kernel.load(Ordering::Relaxed),
        })
    }
}
