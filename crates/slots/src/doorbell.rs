//! The hand-shake between a side that goes to sleep and a side that has work for it.
//!
//! A doorbell that is not rung is the one that is fast: waking a thread on another core costs
//! 50-110 us, so the ringing side first looks whether the other sleeps at all. Sleeper: raise the
//! flag, *fence*, look once more for work, sleep. Ringer: publish the work, *fence*, look at the
//! flag. Without the two sequentially consistent fences both looks may miss and the sleeper sleeps
//! for ever; the model check in `verify/loom` shows it.
//!
//! The ringer's fence may come later than its publishing, but never after it has begun to wait:
//! [`Bell`] keeps that rule.

use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::BorrowedFd;

use crate::ring::{Atomics, Native};

/// Value of the flag while its owner is awake.
pub const AWAKE: u32 = 0;
/// Value of the flag while its owner sleeps or is about to: what a futex wait expects.
pub const SLEEPING: u32 = 1;

/// One side's sleep flag: the shared word that is also its futex.
#[derive(Debug)]
pub struct SleepFlag<'a, A: Atomics = Native>(&'a A::Word32);

impl<A: Atomics> Clone for SleepFlag<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Atomics> Copy for SleepFlag<'_, A> {}

impl<'a, A: Atomics> SleepFlag<'a, A> {
    /// The flag in `word`.
    pub const fn new(word: &'a A::Word32) -> Self {
        Self(word)
    }

    /// Sleeper: says that it is about to sleep. It must look for work once more after this, and
    /// sleep only if there is none.
    #[inline]
    pub fn announce(self) {
        A::store32(self.0, SLEEPING, Ordering::Relaxed);
        A::fence_seq_cst();
    }

    /// Sleeper: is awake again, or did not go to sleep after all.
    #[inline]
    pub fn withdraw(self) {
        A::store32(self.0, AWAKE, Ordering::Relaxed);
    }

    /// Ringer: a look without a fence. `false` may be out of date.
    #[inline]
    fn seems_asleep(self) -> bool {
        A::load32(self.0, Ordering::Relaxed) == SLEEPING
    }

    /// Ringer, after publishing: whether the other side must be woken. Answers `true` to one
    /// caller per sleep.
    #[inline]
    pub fn must_ring(self) -> bool {
        A::fence_seq_cst();
        A::load32(self.0, Ordering::Relaxed) == SLEEPING && A::swap32(self.0, AWAKE) == SLEEPING
    }
}

impl<'a> SleepFlag<'a, Native> {
    /// The futex word.
    pub const fn word(self) -> &'a AtomicU32 {
        self.0
    }

    /// Wakes the sleeper: one system call.
    pub fn ring(self) {
        use rustix::thread::futex;
        // An error can only be a bad address, which a reference rules out.
        let _ = futex::wake(self.0, futex::Flags::empty(), 1);
    }

    /// Sleeps until rung, until `timeout` passes, or not at all if the flag is no longer raised.
    pub fn sleep(self, timeout: core::time::Duration) {
        use rustix::thread::futex;
        let timeout = futex::Timespec {
            tv_sec: timeout.as_secs().min(i64::MAX as u64) as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let _ = futex::wait(self.0, futex::Flags::empty(), SLEEPING, Some(&timeout));
    }
}

/// A ringer that puts its fence off: it costs as much as a task.
///
/// While work goes on coming in, a look without the fence is enough: it finds whoever has slept for
/// longer than a moment. Before the ringer waits itself, the fence is made up for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bell {
    is_owed: bool,
}

impl Bell {
    /// Work has been published. Whether the other side must be woken, as far as can be seen yet;
    /// [`Self::settle`] must follow in the first round that finds nothing to do.
    #[inline]
    pub fn published<A: Atomics>(&mut self, flag: SleepFlag<'_, A>) -> bool {
        self.is_owed = true;
        flag.seems_asleep() && self.settle(flag)
    }

    /// There is nothing to do now. Whether the other side must be woken for what was published.
    #[inline]
    pub fn settle<A: Atomics>(&mut self, flag: SleepFlag<'_, A>) -> bool {
        core::mem::take(&mut self.is_owed) && flag.must_ring()
    }
}

/// What ends the wait of an I/O thread besides its own disks and timers.
#[derive(Clone, Copy, Debug)]
pub enum Doorbell<'a> {
    /// A raised sleep flag: wait on its word while it is [`SLEEPING`].
    Flag(SleepFlag<'a>),
    /// A descriptor that becomes readable.
    Readable(BorrowedFd<'a>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ring_per_sleep() {
        let word = AtomicU32::new(AWAKE);
        let flag = SleepFlag::<Native>::new(&word);
        assert!(!flag.must_ring(), "awake: not rung");
        flag.announce();
        assert!(flag.must_ring());
        assert!(!flag.must_ring(), "rung once already");
        flag.announce();
        flag.withdraw();
        assert!(!flag.must_ring());
    }

    #[test]
    fn a_sleeper_wakes_by_ring_and_by_timeout() {
        let word = AtomicU32::new(AWAKE);
        let flag = SleepFlag::<Native>::new(&word);
        flag.announce();
        flag.sleep(core::time::Duration::from_millis(1)); // no one rings: the timeout ends it
        flag.withdraw();
        std::thread::scope(|s| {
            flag.announce();
            s.spawn(|| {
                while !flag.must_ring() {
                    std::thread::yield_now();
                }
                flag.ring();
            });
            let start = std::time::Instant::now();
            while word.load(Ordering::Relaxed) == SLEEPING {
                flag.sleep(core::time::Duration::from_secs(5));
            }
            assert!(start.elapsed().as_secs() < 5);
        });
    }
}
