//! A driver that attaches as it should, answers some tasks, and then turns on its host over all that
//! they share. The last two arguments name the attack and seed it; the same seed does the same, as far
//! as threads that race can.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use outboard_hba::control::Control;
use outboard_hba::protocol::FromDriver;
use outboard_hba::testkit::Ram;
use outboard_hba::*;
use outboard_slots::{Entry, Region, Time};

/// Most bytes that an incarnation writes to its log as fast as it can, and between two waits.
const LOG_BYTES: usize = 8 << 20;
/// Most tasks that it answers before it turns.
const TASKS_BEFORE: u64 = 48;
const PAGE: u64 = 4096;

/// What it does to its host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attack {
    /// Nothing, with a thread that keeps a processor busy: what the others are compared with.
    Burns,
    /// Writes everywhere in the buffers, without a rest: the host sees nothing of it, and lets it.
    ScribblesData,
    /// Writes everywhere in the region, without a rest.
    Scribbles,
    /// The same to shared words and rings alone.
    ScribblesRings,
    /// Completes tasks a second time.
    AnswersTwice,
    /// Completes slots that it does not have, by numbers that were never given out.
    WrongIndices,
    /// Writes lines without an end.
    FloodsLog,
    /// Sends control messages without an end.
    FloodsControl,
    /// Ends without a word, some time after its start.
    EndsAtRandom,
}

impl Attack {
    /// Every one.
    pub(crate) const ALL: [(&'static str, Self); 9] = [
        ("burns", Self::Burns),
        ("scribbles-data", Self::ScribblesData),
        ("scribbles", Self::Scribbles),
        ("scribbles-rings", Self::ScribblesRings),
        ("answers-twice", Self::AnswersTwice),
        ("wrong-indices", Self::WrongIndices),
        ("floods-log", Self::FloodsLog),
        ("floods-control", Self::FloodsControl),
        ("ends-at-random", Self::EndsAtRandom),
    ];

    /// By its name on the command line.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, attack)| *attack)
    }
}

/// Seeded dice.
#[derive(Clone, Copy, Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}

/// The driver: a RAM disk, until it turns.
pub(crate) struct Scribbler {
    attack: Attack,
    dice: Dice,
    ram: Ram,
    /// a copy of the control socket
    control: Option<OwnedFd>,
    answered: Arc<AtomicU32>,
}

impl Scribbler {
    /// One of a kind, before [`run`] takes standard input.
    pub(crate) fn new(attack: Attack, seed: u64) -> Self {
        // Each incarnation does something else, by its process number.
        let own = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            attack,
            dice: Dice((seed << 32 ^ own) | 1),
            ram: Ram::default(),
            control: std::io::stdin().as_fd().try_clone_to_owned().ok(),
            answered: Arc::default(),
        }
    }

    /// Starts the thread that attacks.
    fn turn_on_the_host(&self, region: Region) {
        let control = self.control.as_ref().and_then(|socket| socket.try_clone().ok());
        let (attack, mut dice, answered) = (self.attack, self.dice, Arc::clone(&self.answered));
        thread::spawn(move || {
            if attack != Attack::EndsAtRandom {
                let before = dice.roll(TASKS_BEFORE) as u32 + 1;
                while answered.load(Ordering::Relaxed) < before {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            match attack {
                Attack::Burns => burn(dice),
                Attack::Scribbles => {
                    // Half of it goes where the host reads what it acts on.
                    let (control, all) = (region.layout().pool, region.layout().len);
                    scribble(&region, dice, |dice| match dice.roll(2) {
                        0 => dice.roll(control),
                        _ => dice.roll(all),
                    });
                }
                Attack::ScribblesData => {
                    let (from, all) = (region.layout().pool, region.layout().len);
                    scribble(&region, dice, |dice| from + dice.roll(all - from));
                }
                Attack::ScribblesRings => {
                    let rings = u64::from(region.layout().ring_entries) * 16;
                    let end = PAGE + rings.next_multiple_of(PAGE);
                    scribble(&region, dice, |dice| PAGE + dice.roll(end));
                }
                Attack::AnswersTwice => complete(&region, dice, |last, _| last),
                Attack::WrongIndices => complete(&region, dice, |last, dice| {
                    let index = dice.roll(1 << 16) as u16;
                    match dice.roll(2) {
                        0 => Entry::new(index, dice.roll(1 << 48)),
                        _ => Entry::new(index, last.generation()),
                    }
                }),
                Attack::FloodsLog => flood_log(dice),
                Attack::FloodsControl => flood_control(control, dice),
                Attack::EndsAtRandom => {
                    thread::sleep(Duration::from_millis(dice.roll(400)));
                    std::process::abort();
                }
            }
        });
    }
}

/// Keeps a processor busy.
fn burn(mut dice: Dice) -> ! {
    loop {
        std::hint::black_box(dice.roll(64));
    }
}

/// Writes at random: noise, ones, zeros, what looks like a small number.
fn scribble(region: &Region, mut dice: Dice, place: impl Fn(&mut Dice) -> u64) -> ! {
    loop {
        let at = place(&mut dice);
        let mut bytes = [0; 64];
        match dice.roll(4) {
            0 => bytes.fill(0xff),
            1 => {}
            2 => bytes[..8].copy_from_slice(&dice.roll(1 << 20).to_le_bytes()),
            _ => {
                for word in bytes.chunks_mut(8) {
                    word.copy_from_slice(&dice.roll(u64::MAX).to_le_bytes()[..word.len()]);
                }
            }
        }
        let len = 1 + dice.roll(64) as usize;
        // Beyond the end there is nothing of the host's.
        let _ = region.memory().write(at, &bytes[..len]);
    }
}

/// Puts completions on the ring past the library: what `make` makes of the last one that was there.
fn complete(region: &Region, mut dice: Dice, make: impl Fn(Entry, &mut Dice) -> Entry) {
    let Some(words) = region.queue(0) else { return };
    let ring = words.completion;
    let entry = |at: u32| &ring.entries[at as usize & (ring.entries.len() - 1)];
    loop {
        let tail = ring.tail.load(Ordering::Acquire);
        let last = Entry::from_bits(entry(tail.wrapping_sub(1)).load(Ordering::Relaxed));
        entry(tail).store(make(last, &mut dice).to_bits(), Ordering::Relaxed);
        ring.tail.store(tail.wrapping_add(1), Ordering::Release);
        thread::sleep(Duration::from_micros(dice.roll(2000)));
    }
}

/// Lines on standard output and standard error, which are the host's.
fn flood_log(mut dice: Dice) {
    let line = format!("{}\n", "the register window is not there; ".repeat(30));
    let mut written = 0;
    loop {
        let failed = match dice.roll(2) {
            0 => std::io::stdout().write_all(line.as_bytes()).is_err(),
            _ => std::io::stderr().write_all(line.as_bytes()).is_err(),
        };
        written += line.len();
        if failed || written > LOG_BYTES {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Messages that are answers to nothing, or none at all.
fn flood_control(socket: Option<OwnedFd>, mut dice: Dice) {
    let Some(socket) = socket else { return };
    let control = Control::new(socket);
    loop {
        let sent = match dice.roll(1000) {
            0 => control.send(&"good morning", &[]),
            _ => {
                let id = dice.roll(u64::MAX);
                let response = ServiceResponse::FunctionComplete as u32;
                control.send(&FromDriver::Managed { id, response }, &[])
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Controller for Scribbler {
    type Queue = ScribblerQueue;

    fn manifest(&self) -> Manifest {
        Manifest::new("com.vendor.scribbler", "1.0")
    }

    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError> {
        self.ram.initialize(startup)
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<ScribblerQueue, DriverError> {
        let ram = self.ram.open_queue(setup)?;
        self.turn_on_the_host(setup.region.clone());
        Ok(ScribblerQueue { ram, answered: Arc::clone(&self.answered) })
    }
}

/// A RAM disk's queue that counts.
pub(crate) struct ScribblerQueue {
    ram: <Ram as Controller>::Queue,
    answered: Arc<AtomicU32>,
}

impl IoQueue for ScribblerQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        now: Time,
        bundle: Bundle<'_>,
        completions: &mut Completions<'_>,
    ) {
        self.ram.process_bundled_parallel_tasks(now, bundle, completions);
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn process_parallel_task(
        &mut self,
        now: Time,
        task: Task,
        completions: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.ram.process_parallel_task(now, task, completions)
    }

    fn poll(&mut self, now: Time, completions: &mut Completions<'_>) {
        self.ram.poll(now, completions);
    }
}

/// Attack and seed from the end of the command line.
pub(crate) fn wanted() -> Option<(Attack, u64)> {
    let mut arguments = std::env::args().rev();
    let seed = arguments.next()?.parse().ok()?;
    Some((Attack::named(&arguments.next()?)?, seed))
}

pub(crate) fn main() -> ExitCode {
    let Some((attack, seed)) = wanted() else {
        let names = Attack::ALL.map(|(name, _)| name).join(", ");
        eprintln!("scribbler: the last two arguments are an attack ({names}) and a seed");
        return ExitCode::from(2);
    };
    run(Scribbler::new(attack, seed))
}
