//! One wait for everything that an I/O thread of the host waits for: the doorbells of its drivers,
//! a descriptor (its sockets, behind an epoll), and the clock.
#![allow(unsafe_code)]

use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, Probe, opcode, types};

use crate::doorbell::{Doorbell, SLEEPING};

/// Doorbells beside the descriptor that one wait covers; others are looked at every [`SLICE`].
const DOORBELLS_MAX: usize = 62;
const ENTRIES: u32 = 64;
/// Longest sleep when the kernel cannot watch every doorbell.
const SLICE: Duration = Duration::from_micros(200);
/// A 32-bit futex that other processes share.
const FUTEX2_SIZE_U32: u32 = 2;

const _: () = assert!(DOORBELLS_MAX + 2 <= ENTRIES as usize);

/// Waits for doorbells, a descriptor and the clock in one system call. What has not fired stays
/// armed for the next wait. It belongs to the thread that waits first.
pub struct Waiter {
    uring: Option<IoUring>,
    /// what is armed: the descriptor, then the doorbells
    armed: Vec<Option<Key>>,
    futex_wait: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Key {
    /// address of a futex word
    Word(usize),
    Descriptor(i32),
}

impl Default for Waiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Waiter {
    /// Nothing armed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { uring: None, armed: Vec::new(), futex_wait: false }
    }

    /// Sleeps until one of the doorbells rings, `descriptor` is readable or `timeout` has passed; it
    /// may also return for no reason. Returns whether the descriptor is readable.
    ///
    /// # Errors
    /// The kernel refuses an io_uring or the wait.
    pub fn wait(
        &mut self,
        descriptor: BorrowedFd<'_>,
        doorbells: &[Doorbell<'_>],
        timeout: Duration,
    ) -> io::Result<bool> {
        let mut timeout = timeout;
        let keys = core::iter::once(Key::Descriptor(descriptor.as_raw_fd()))
            .chain(doorbells.iter().take(DOORBELLS_MAX).map(Key::of));
        let armed = |at: usize| self.armed.get(at).copied().flatten();
        if keys.clone().enumerate().any(|(at, key)| armed(at).is_some_and(|armed| armed != key)) {
            // Another word or descriptor: rare, and a fresh ring forgets all that was armed.
            self.uring = None;
        }
        for (at, key) in keys.enumerate() {
            if !self.arm(at, key)? {
                timeout = timeout.min(SLICE);
            }
        }
        if doorbells.len() > DOORBELLS_MAX {
            timeout = timeout.min(SLICE);
        }
        let Some(uring) = &mut self.uring else { return Ok(false) };
        if uring.completion().is_empty() {
            let time = types::Timespec::from(timeout);
            let args = types::SubmitArgs::new().timespec(&time);
            match uring.submitter().submit_with_args(1, &args) {
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                    _ => return Err(error),
                },
            }
        }
        let mut readable = false;
        for entry in uring.completion() {
            let at = usize::try_from(entry.user_data()).unwrap_or(usize::MAX);
            readable |= at == 0;
            if let Some(armed) = self.armed.get_mut(at) {
                *armed = None;
            }
        }
        Ok(readable)
    }

    /// Arms entry `at` unless it is; `false` if the kernel cannot watch it.
    fn arm(&mut self, at: usize, key: Key) -> io::Result<bool> {
        if self.armed.len() <= at {
            self.armed.resize(at + 1, None);
        }
        if self.uring.is_none() {
            self.open()?;
        }
        let Some(uring) = &mut self.uring else { return Ok(false) };
        if self.armed.get(at).copied().flatten() == Some(key) {
            return Ok(true);
        }
        let entry = match key {
            Key::Word(_) if !self.futex_wait => return Ok(false),
            Key::Word(word) => opcode::FutexWait::new(
                word as *const u32,
                u64::from(SLEEPING),
                u64::from(u32::MAX),
                FUTEX2_SIZE_U32,
            )
            .build(),
            Key::Descriptor(fd) => opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).build(),
        };
        let entry = entry.user_data(at as u64);
        // SAFETY: the kernel reads the word once, when it takes the entry in the submission that
        // follows at once, and answers EFAULT if it is gone by then; afterwards it keeps a key, not
        // the address. A poll names no memory.
        let pushed = unsafe { uring.submission().push(&entry) }.is_ok();
        if pushed && let Some(armed) = self.armed.get_mut(at) {
            *armed = Some(key);
        }
        Ok(pushed)
    }

    fn open(&mut self) -> io::Result<()> {
        self.armed.fill(None);
        let best = IoUring::builder()
            .setup_clamp()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(ENTRIES);
        let uring = match best {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                IoUring::builder().setup_clamp().build(ENTRIES)?
            }
            other => other?,
        };
        let mut probe = Probe::new();
        self.futex_wait = uring.submitter().register_probe(&mut probe).is_ok()
            && probe.is_supported(opcode::FutexWait::CODE);
        self.uring = Some(uring);
        Ok(())
    }
}

impl Key {
    fn of(doorbell: &Doorbell<'_>) -> Self {
        match doorbell {
            Doorbell::Flag(flag) => Self::Word(flag.word().as_ptr() as usize),
            Doorbell::Readable(fd) => Self::Descriptor(fd.as_raw_fd()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use super::*;
    use crate::doorbell::{AWAKE, SleepFlag};

    const LONG: Duration = Duration::from_secs(5);

    #[test]
    fn the_descriptor_is_watched_when_the_doorbells_change() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let words = [AtomicU32::new(AWAKE), AtomicU32::new(AWAKE)];
        let flags: Vec<SleepFlag<'_>> = words.iter().map(SleepFlag::new).collect();
        let mut waiter = Waiter::new();
        for flag in &flags {
            flag.announce();
            let doorbells = [Doorbell::Flag(*flag)];
            assert!(!waiter.wait(ours.as_fd(), &doorbells, Duration::from_millis(5)).unwrap());
        }
        flags[0].announce();
        theirs.write_all(&[1]).unwrap();
        let start = Instant::now();
        assert!(waiter.wait(ours.as_fd(), &[Doorbell::Flag(flags[0])], LONG).unwrap());
        assert!(start.elapsed() < LONG);
    }

    #[test]
    fn it_wakes_for_each_of_them() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let words = [AtomicU32::new(AWAKE), AtomicU32::new(AWAKE)];
        let flags: Vec<SleepFlag<'_>> = words.iter().map(SleepFlag::new).collect();
        let doorbells: Vec<Doorbell<'_>> = flags.iter().map(|f| Doorbell::Flag(*f)).collect();
        let mut waiter = Waiter::new();
        let start = Instant::now();
        assert!(!waiter.wait(ours.as_fd(), &doorbells, Duration::from_millis(1)).unwrap());
        for round in 0..6 {
            flags.iter().for_each(|f| f.announce());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(2));
                    match round % 3 {
                        2 => drop(theirs.write(&[1]).unwrap()),
                        n => {
                            assert!(flags[n].must_ring());
                            flags[n].ring();
                        }
                    }
                });
                // Words that were not raised when they were armed end their wait at once.
                while flags
                    .iter()
                    .all(|f| f.word().load(std::sync::atomic::Ordering::SeqCst) == SLEEPING)
                {
                    if waiter.wait(ours.as_fd(), &doorbells, LONG).unwrap() {
                        break;
                    }
                }
            });
            if round % 3 == 2 {
                assert!(
                    waiter.wait(ours.as_fd(), &doorbells, Duration::ZERO).unwrap() || round > 2
                );
            }
        }
        assert!(start.elapsed() < LONG, "a wake was lost");
    }
}
