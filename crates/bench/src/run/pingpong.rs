//! The bare mechanisms that the paths are compared with, measured in the same run: nothing but the
//! hand-over itself, between two threads on the CPUs of host and driver.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use outboard_hba::control::socket_pair;
use outboard_slots::{SleepFlag, Time};

use super::cpu::{self, Pins};
use super::error::RunError;

/// Words on lines of their own.
#[repr(align(128))]
struct Line(AtomicU32);

/// Median round trip in ns of a word that two spinning ends pass to each other.
pub(super) fn words(rounds: u32, pins: Option<Pins>) -> Result<f64, RunError> {
    let lines = Arc::new((Line(AtomicU32::new(0)), Line(AtomicU32::new(0))));
    let peer = Arc::clone(&lines);
    let thread = std::thread::spawn(move || {
        pin(pins, false);
        for i in 1..=rounds {
            while peer.0.0.load(Ordering::Acquire) != i {
                core::hint::spin_loop();
            }
            peer.1.0.store(i, Ordering::Release);
        }
    });
    pin(pins, true);
    // Batches, because one round trip is shorter than two looks at the clock.
    const BATCH: u32 = 100;
    let mut batches = Vec::with_capacity((rounds / BATCH) as usize);
    let mut start = Time::now();
    for i in 1..=rounds {
        lines.0.0.store(i, Ordering::Release);
        while lines.1.0.load(Ordering::Acquire) != i {
            core::hint::spin_loop();
        }
        if i % BATCH == 0 {
            let now = Time::now();
            batches.push(now.since(start).as_nanos() as u64 / u64::from(BATCH));
            start = now;
        }
    }
    join(thread)?;
    Ok(median(&mut batches))
}

/// Median round trip in ns of two ends that sleep on a futex, with a pause before each.
pub(super) fn futexes(rounds: u32, pause: Duration, pins: Option<Pins>) -> Result<f64, RunError> {
    let boxes = Arc::new((LetterBox::default(), LetterBox::default()));
    let peer = Arc::clone(&boxes);
    let thread = std::thread::spawn(move || {
        pin(pins, false);
        for i in 1..=rounds {
            peer.0.wait(i);
            peer.1.send(i);
        }
    });
    pin(pins, true);
    let mut times = Vec::with_capacity(rounds as usize);
    for i in 1..=rounds {
        std::thread::sleep(pause);
        let start = Time::now();
        boxes.0.send(i);
        boxes.1.wait(i);
        times.push(Time::now().since(start).as_nanos() as u64);
    }
    join(thread)?;
    Ok(median(&mut times))
}

/// A word and the sleep flag of who waits for it.
struct LetterBox {
    flag: Line,
    word: Line,
}

impl Default for LetterBox {
    fn default() -> Self {
        Self { flag: Line(AtomicU32::new(0)), word: Line(AtomicU32::new(0)) }
    }
}

impl LetterBox {
    fn flag(&self) -> SleepFlag<'_> {
        SleepFlag::new(&self.flag.0)
    }

    fn send(&self, value: u32) {
        self.word.0.store(value, Ordering::Release);
        if self.flag().must_ring() {
            self.flag().ring();
        }
    }

    fn wait(&self, value: u32) {
        loop {
            self.flag().announce();
            if self.word.0.load(Ordering::Acquire) == value {
                return self.flag().withdraw();
            }
            self.flag().sleep(Duration::from_millis(100));
        }
    }
}

/// Median round trip in ns of the single path's three messages, without anything behind them:
/// request and reply on one socket, completion on another.
pub(super) fn messages(rounds: u32, pins: Option<Pins>) -> Result<f64, RunError> {
    let (ours, theirs) = socket_pair()?;
    let (done_in, done_out) = socket_pair()?;
    let thread = std::thread::spawn(move || {
        pin(pins, false);
        let mut request = [0; size_of::<outboard_hba::protocol::SingleRequest>()];
        let completion = [0; size_of::<outboard_hba::protocol::SingleCompletion>()];
        for _ in 0..rounds {
            if receive(&theirs, &mut request) == 0 {
                return;
            }
            send(&theirs, &[0; size_of::<outboard_hba::protocol::SingleReply>()]);
            send(&done_out, &completion);
        }
    });
    pin(pins, true);
    let request = [0; size_of::<outboard_hba::protocol::SingleRequest>()];
    let mut reply = [0; size_of::<outboard_hba::protocol::SingleReply>()];
    let mut completion = [0; size_of::<outboard_hba::protocol::SingleCompletion>()];
    let mut times = Vec::with_capacity(rounds as usize);
    for _ in 0..rounds {
        let start = Time::now();
        send(&ours, &request);
        receive(&ours, &mut reply);
        receive(&done_in, &mut completion);
        times.push(Time::now().since(start).as_nanos() as u64);
    }
    drop(ours);
    join(thread)?;
    Ok(median(&mut times))
}

fn send(socket: &OwnedFd, bytes: &[u8]) {
    let _ = rustix::net::send(socket, bytes, rustix::net::SendFlags::NOSIGNAL);
}

fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> usize {
    rustix::net::recv(socket, bytes, rustix::net::RecvFlags::empty()).map_or(0, |(n, _)| n)
}

fn pin(pins: Option<Pins>, host: bool) {
    if let Some(pins) = pins {
        cpu::pin(&[if host { pins.host } else { pins.driver }]);
    }
}

fn join(thread: std::thread::JoinHandle<()>) -> Result<(), RunError> {
    thread.join().map_err(|_| RunError::Internal("a ping-pong thread panicked".to_owned()))
}

/// The middle value; 0 of none.
pub(super) fn median(values: &mut [u64]) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0) as f64
}
