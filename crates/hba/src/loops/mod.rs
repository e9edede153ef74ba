//! The loops of a driver's I/O threads, one for each way tasks can come.

mod bundled;
mod single;

use std::collections::HashMap;
use std::sync::Arc;

use outboard_slots::Time;

use crate::mailbox::{Answer, Mailbox, Order};
use crate::runner::Runner;

pub(crate) use bundled::bundled;
pub(crate) use single::{SingleSockets, single};

/// How long before a known event the wait for it is spun through rather than slept, ns: what a
/// timer may be late on a virtual machine.
const EVENT_GUARD_NS: u64 = 150_000;

/// How often an I/O thread that has tasks says that it lives, ns: see
/// [`progress`](outboard_slots::region::QueueWords::progress).
pub const HEARTBEAT_NS: u64 = 250_000_000;

/// What the control thread has asked of this I/O thread.
#[derive(Default)]
struct Orders {
    answers: HashMap<u64, Arc<Answer>>,
    stopping: bool,
}

impl Orders {
    /// Reads the letter box.
    fn read(&mut self, mailbox: &Mailbox, runner: &mut Runner) {
        for order in mailbox.take() {
            match order {
                Order::Manage(request, answer) => {
                    self.answers.insert(request.id, answer);
                    runner.manage(request);
                }
                Order::Stop => {
                    self.stopping = true;
                    runner.abort_all();
                }
            }
        }
    }

    /// Answers what is done; every completion so far must have been published.
    fn answer(&mut self, queue: u32, consumed: u32, runner: &mut Runner) {
        for id in runner.managed(queue, consumed) {
            if let Some(answer) = self.answers.remove(&id) {
                answer.done();
            }
        }
    }
}

/// Until when a thread may sleep, given its queue's next event; `None` = not at all.
fn sleep_end(now: Time, advised: Time, next_event: Time) -> Option<Time> {
    let event = match next_event {
        Time::NEVER => Time::NEVER,
        event => Time::from_nanos(event.as_nanos().saturating_sub(EVENT_GUARD_NS)),
    };
    let end = advised.min(event);
    (end > now).then_some(end)
}

/// This thread's CPU plus one, as the region's words have it.
fn this_cpu() -> u32 {
    rustix::thread::sched_getcpu() as u32 + 1
}
