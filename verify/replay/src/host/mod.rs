//! The host's stack over a bundled channel, with a front end that does what it likes and a driver
//! that lies.
//!
//! The bytes are a program of four-byte actions ([`action`]). The driver ([`driver`]) completes
//! tasks rightly, twice, under other generations, with spoiled heads, and scribbles over the region.
//! After every action and at the end the front end ([`front`]) checks what no driver may break:
//!
//! - a command is answered at most once, and in the end exactly once;
//! - a task ends GOOD only if the driver has completed that very submission;
//! - a buffer that a driver may still touch is nobody else's;
//! - a task management function is answered after the tasks it concerns;
//! - once the driver is fenced and everything is answered, every slot and buffer is free.

mod action;
mod driver;
mod front;
mod recorder;

use outboard_host::channel::Bundled;
use outboard_slots::{Region, RegionConfig};

use action::Action;
use driver::Driver;
use front::Front;
use recorder::Recorder;

/// Slots of the queue under test; the other queue's slots are not the driver's to complete on it.
const SLOTS: u32 = 8;
/// The queue under test, the second: its first slot is not 0.
const QUEUE: u32 = 1;
/// Most actions of one program.
const ACTIONS_MAX: usize = 400;

/// `bytes` is a program of four-byte actions.
pub fn host(bytes: &[u8]) {
    let region = fresh_region();
    let mut game = Game {
        front: Front::new(&region),
        driver: Driver::new(region.clone()),
        channel: Recorder::new(bundled(&region), region.layout()),
    };
    let (actions, _) = bytes.as_chunks::<4>();
    for bytes in actions.iter().take(ACTIONS_MAX) {
        game.act(Action::decode(*bytes));
        if game.front.unfit() {
            game.restart(0);
        }
    }
    game.drain();
}

struct Game {
    front: Front,
    driver: Driver,
    channel: Recorder,
}

impl Game {
    fn act(&mut self, action: Action) {
        match action {
            Action::Submit { kind, extent, nexus, lun, attribute } => {
                self.front.submit(kind, extent, nexus, lun, attribute);
            }
            Action::Ready { which } => self.front.ready(which),
            Action::Cancel { which } => self.front.cancel(which),
            Action::Finish { which } => self.front.finish(which),
            Action::Manage { kind, nexus, lun, which } => {
                self.front.manage(kind, nexus, lun, which);
            }
            Action::Turn { rounds } => {
                for _ in 0..=rounds {
                    self.turn();
                }
            }
            Action::Advance { tenths } => {
                self.front.advance(tenths);
                self.turn();
            }
            Action::Confirm { which } => {
                self.front.collect_requests(&mut self.channel);
                self.front.confirm(which);
                self.turn();
                self.front.take_managed();
            }
            Action::Die { turns } => self.restart(turns),
            Action::Driver(misdeed) => self.driver.act(misdeed, &mut self.channel),
        }
    }

    fn turn(&mut self) {
        self.front.turn(&mut self.channel);
    }

    /// The driver is lost; `turns` later it is fenced and a new incarnation is attached.
    fn restart(&mut self, turns: u8) {
        self.front.driver_lost();
        for _ in 0..turns {
            self.turn();
        }
        let region = fresh_region();
        self.driver = Driver::new(region.clone());
        self.channel = Recorder::new(bundled(&region), region.layout());
        self.front.driver_replaced();
        self.turn();
        self.front.take_managed();
    }

    /// From here on everyone is honest: every command must end, every slot and buffer come back.
    fn drain(&mut self) {
        self.restart(0);
        self.front.ready_all();
        // One round starts at least one task or function of those left.
        for _ in 0..4 * SLOTS {
            self.turn();
            self.driver.complete_all(&mut self.channel);
            self.front.collect_requests(&mut self.channel);
            self.front.confirm_all();
            self.turn();
            self.front.take_managed();
            assert!(!self.front.unfit(), "an honest driver is found unfit");
        }
        self.front.finish_all();
        self.front.assert_all_ended();
    }
}

fn fresh_region() -> Region {
    let config = RegionConfig {
        slots_per_queue: SLOTS,
        queues: 2,
        pool_bytes: 2 * front::POOL_BYTES,
        scratch_bytes: 0,
    };
    Region::create(config).expect("a small region")
}

fn bundled(region: &Region) -> Bundled {
    Bundled::new(region.clone(), QUEUE, false).expect("the region has this queue")
}
