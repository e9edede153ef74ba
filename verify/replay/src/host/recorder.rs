//! The channel, with a record of what the host really handed over.

use std::collections::{HashMap, HashSet};

use outboard_hba::Path;
use outboard_host::channel::{Bundled, Channel, ChannelError, Completed};
use outboard_slots::{Entry, Layout, ParallelTask, SENSE_BYTES, Time};

/// The bundled channel to one incarnation of the driver.
pub(super) struct Recorder {
    channel: Bundled,
    layout: Layout,
    /// What the driver may touch: by slot, the submission and its buffer. A slot leaves when its
    /// task is answered from the driver's completion.
    out: HashMap<u16, Handed>,
    /// Entries that the driver has put on its ring.
    claimed: HashSet<u64>,
    /// Slots in which the driver has written a sound response to the task that it has.
    answered: HashSet<u16>,
    /// The driver has written where it likes: what is in the slots is unknown.
    scribbled: bool,
}

struct Handed {
    entry: Entry,
    cookie: u64,
    buffer: (u64, u64),
}

impl Recorder {
    pub(super) fn new(channel: Bundled, layout: &Layout) -> Self {
        Self {
            channel,
            layout: *layout,
            out: HashMap::new(),
            claimed: HashSet::new(),
            answered: HashSet::new(),
            scribbled: false,
        }
    }

    /// The driver completes `entry`.
    pub(super) fn claim(&mut self, entry: Entry) {
        self.claimed.insert(entry.to_bits());
    }

    /// The driver writes a response that is sound, if it is the task's, to `slot`.
    pub(super) fn answer(&mut self, slot: u16) {
        self.answered.insert(slot);
    }

    /// The driver writes where it likes.
    pub(super) fn scribble(&mut self) {
        self.scribbled = true;
    }

    /// The host believes the completion of the task in `slot`.
    pub(super) fn believed(&mut self, slot: u16, cookie: u64) {
        let handed = self.out.remove(&slot).expect("completed, but the driver never had it");
        assert_eq!(handed.cookie, cookie, "another task's completion");
        assert!(self.claimed.contains(&handed.entry.to_bits()), "nobody has completed it");
        assert!(self.scribbled || self.answered.contains(&slot), "an unbelievable response");
    }

    /// Whether the driver has the task in `slot`.
    pub(super) fn has(&self, slot: u16, cookie: u64) -> bool {
        self.out.get(&slot).is_some_and(|handed| handed.cookie == cookie)
    }
}

impl Channel for Recorder {
    fn path(&self) -> Path {
        self.channel.path()
    }

    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        let buffer = (task.buffer_iovm_addr, task.requested_transfer_count);
        if buffer.1 != 0 {
            assert!(self.layout.pool_contains(buffer.0, buffer.1), "a buffer outside the pool");
            let shared = self.out.values().find(|h| overlap(h.buffer, buffer));
            assert!(shared.is_none(), "a buffer that the driver still has for another task");
        }
        let cookie = task.task_tag_identifier;
        self.answered.remove(&entry.index());
        let before = self.out.insert(entry.index(), Handed { entry, cookie, buffer });
        assert!(before.is_none(), "a slot that the driver still has");
        self.channel.push(entry, nexus, task)
    }

    fn publish(&mut self, now: Time) -> Result<(), ChannelError> {
        self.channel.publish(now)
    }

    fn reap(&mut self, now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        self.channel.reap(now, completed)
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        self.channel.sense(slot, out);
    }

    fn idle(&mut self, now: Time, until: Time, outstanding: usize) {
        self.channel.idle(now, until, outstanding);
    }

    fn sequence(&self) -> u32 {
        self.channel.sequence()
    }
}

fn overlap(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 < b.0 + b.1 && b.0 < a.0 + a.1
}
