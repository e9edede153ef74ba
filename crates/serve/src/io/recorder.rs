//! Records the life of single tasks while somebody asks for it: `outboard ext trace`. It asks the
//! clock at each event; a target that is not traced has none of this.

use std::sync::atomic::Ordering;

use outboard_hba::Path;
use outboard_host::channel::{Channel, ChannelError, Completed, Pulse};
use outboard_host::stack::Answer;
use outboard_iscsi::server::ScsiCommand;
use outboard_scsi::Status;
use outboard_slots::doorbell::Doorbell;
use outboard_slots::spin::Advice;
use outboard_slots::task::CDB_BYTES;
use outboard_slots::{Entry, ParallelTask, Region, SENSE_BYTES, Time};
use outboard_spc::NexusId;
use tokio::sync::oneshot;

use crate::trace::{Claim, TASKS_MAX, TraceError, Wanted};

/// Who waits for what is recorded.
pub type Done = oneshot::Sender<Result<Recorded, TraceError>>;

/// What was recorded; made readable by those who asked, not by the I/O thread.
#[derive(Debug)]
pub struct Recorded {
    /// the target's iSCSI name
    pub target: String,
    /// its beginning
    pub begun: Time,
    /// its end
    pub ended: Time,
    /// it has as many tasks as were asked for
    pub full: bool,
    /// commands that the host answered without a slot
    pub answered_at_once: u64,
    /// tasks in order of reception
    pub records: Vec<Record>,
    /// initiator ports by number of their nexus
    pub initiators: Vec<(u16, String)>,
}

/// A task.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// number of the nexus
    pub nexus: u16,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// the CDB
    pub cdb: [u8; CDB_BYTES],
    /// bytes of it
    pub cdb_len: u8,
    /// the initiator's tag
    pub tag: u64,
    /// its slot
    pub slot: u16,
    /// bytes of its buffer
    pub bytes: u64,
    /// the bundle that it went in
    pub bundle: Option<u32>,
    /// tasks of that
    pub bundle_size: u32,
    /// how often it was handed over
    pub submissions: u32,
    /// the last time
    entry: Option<Entry>,
    /// its end
    pub status: Option<Status>,
    /// it was aborted
    pub aborted: bool,
    /// the command was there
    pub received: Time,
    /// its data was there
    pub ready: Option<Time>,
    /// its command slot was filled
    pub pushed: Option<Time>,
    /// its bundle was handed over
    pub published: Option<Time>,
    /// the driver took it, by its word
    pub taken: Option<Time>,
    /// the driver ended it, by its word
    pub completed: Option<Time>,
    /// what became of that word
    pub claim: Claim,
    /// its completion was seen
    pub reaped: Option<Time>,
    /// the front end had its status
    pub answered: Option<Time>,
    /// its data had left
    pub finished: Option<Time>,
}

/// Records tasks of one target.
#[derive(Debug)]
pub struct Recorder {
    begun: Time,
    until: Time,
    most: usize,
    records: Vec<Record>,
    /// by slot: the record of its task
    open: Vec<Option<u32>>,
    is_open: usize,
    /// bundles so far
    bundles: u32,
    /// records of those pushed since the last bundle, and how many were pushed
    pushed: (Vec<u32>, u32),
    answered_at_once: u64,
    done: Done,
}

impl Recorder {
    /// From `now` on; `done` is sent what there is at the end.
    pub fn new(now: Time, wanted: Wanted, done: Done) -> Self {
        let most = wanted.tasks.min(TASKS_MAX);
        Self {
            begun: now,
            until: now.plus_nanos(wanted.seconds.saturating_mul(1_000_000_000)),
            most,
            records: Vec::with_capacity(most),
            open: Vec::new(),
            is_open: 0,
            bundles: 0,
            pushed: (Vec::new(), 0),
            answered_at_once: 0,
            done,
        }
    }

    /// When it ends at the latest.
    pub fn until(&self) -> Time {
        self.until
    }

    /// Whether it is at its end: all tasks have ended, time is over, or nobody waits any more.
    pub fn is_over(&self, now: Time) -> bool {
        self.is_full() && self.is_open == 0 || now >= self.until || self.done.is_closed()
    }

    /// Sends off what there is; `initiator` names a nexus.
    pub fn end(self, target: &str, initiator: impl Fn(u16) -> Option<String>) {
        let mut nexuses: Vec<u16> = self.records.iter().map(|record| record.nexus).collect();
        nexuses.sort_unstable();
        nexuses.dedup();
        let known = |nexus| initiator(nexus).map(|name| (nexus, name));
        let recorded = Recorded {
            target: target.to_owned(),
            begun: self.begun,
            ended: Time::now(),
            full: self.records.len() >= self.most,
            answered_at_once: self.answered_at_once,
            initiators: nexuses.into_iter().filter_map(known).collect(),
            records: self.records,
        };
        // Whoever asked may have gone.
        let _ = self.done.send(Ok(recorded));
    }

    /// A command that came at `at` has a slot and a buffer of `bytes`.
    pub fn received(&mut self, at: Time, command: &ScsiCommand<'_>, slot: u16, bytes: u64) {
        self.close(slot);
        if self.is_full() {
            return;
        }
        let mut cdb = [0; CDB_BYTES];
        for (to, from) in cdb.iter_mut().zip(command.cdb) {
            *to = *from;
        }
        let number = self.records.len() as u32;
        self.records.push(Record {
            nexus: NexusId::from_bits(command.nexus).index(),
            lun: command.lun,
            cdb,
            cdb_len: CDB_BYTES as u8,
            tag: command.tag,
            slot,
            bytes,
            bundle: None,
            bundle_size: 0,
            submissions: 0,
            entry: None,
            status: None,
            aborted: false,
            received: at,
            ready: None,
            pushed: None,
            published: None,
            taken: None,
            completed: None,
            claim: Claim::None,
            reaped: None,
            answered: None,
            finished: None,
        });
        let at = usize::from(slot);
        if self.open.len() <= at {
            self.open.resize(at + 1, None);
        }
        if let Some(open) = self.open.get_mut(at) {
            *open = Some(number);
            self.is_open += 1;
        }
    }

    /// The host answered a command without a slot.
    pub fn answered_at_once(&mut self) {
        self.answered_at_once += 1;
    }

    /// A task's data is there.
    pub fn ready(&mut self, slot: u16) {
        if let Some(record) = self.record(slot) {
            record.ready = Some(Time::now());
        }
    }

    /// The front end has a task's status.
    pub fn answered(&mut self, answer: &Answer) {
        if let Some(record) = answer.slot.and_then(|slot| self.record(slot)) {
            record.answered = Some(Time::now());
            record.status = (!answer.aborted).then_some(answer.status);
            record.aborted = answer.aborted;
        }
    }

    /// A task's data has left.
    pub fn finished(&mut self, slot: u16) {
        if let Some(record) = self.record(slot) {
            record.finished = Some(Time::now());
        }
        self.close(slot);
    }

    /// A task that never ran has gone, or its slot is another's.
    pub fn close(&mut self, slot: u16) {
        if self.open.get_mut(usize::from(slot)).and_then(Option::take).is_some() {
            self.is_open -= 1;
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.most
    }

    fn record(&mut self, slot: u16) -> Option<&mut Record> {
        let number = (*self.open.get(usize::from(slot))?)?;
        self.records.get_mut(number as usize)
    }

    fn pushed(&mut self, entry: Entry, task: &ParallelTask) {
        let (numbers, count) = &mut self.pushed;
        *count += 1;
        let slot = usize::from(entry.index());
        let Some(number) = self.open.get(slot).copied().flatten() else { return };
        numbers.push(number);
        let Some(record) = self.records.get_mut(number as usize) else { return };
        record.entry = Some(entry);
        record.submissions += 1;
        record.cdb_len = task.command_size.min(CDB_BYTES as u8);
        record.pushed = Some(Time::now());
        // What an earlier submission left is not this one's.
        (record.taken, record.completed, record.reaped) = (None, None, None);
        record.claim = Claim::None;
    }

    /// All that was pushed is about to be handed over.
    fn publishing(&mut self) {
        let (numbers, count) = &mut self.pushed;
        if *count == 0 {
            return;
        }
        self.bundles += 1;
        let now = Time::now();
        for number in numbers.drain(..) {
            if let Some(record) = self.records.get_mut(number as usize) {
                record.published = Some(now);
                record.bundle = Some(self.bundles);
                record.bundle_size = *count;
            }
        }
        *count = 0;
    }

    /// A completion was seen at `at`; of the driver's times what can be.
    fn reaped(&mut self, at: Time, entry: Entry, taken: u64, completed: u64) {
        let Some(record) = self.record(entry.index()) else { return };
        if record.entry != Some(entry) || record.reaped.is_some() {
            return;
        }
        record.reaped = Some(at);
        let (taken, completed) = (Time::from_nanos(taken), Time::from_nanos(completed));
        let published = record.published.unwrap_or(at);
        record.claim = if (taken, completed) == (Time::ZERO, Time::ZERO) {
            Claim::None
        } else if published <= taken && taken <= completed && completed <= at {
            (record.taken, record.completed) = (Some(taken), Some(completed));
            Claim::Possible
        } else {
            Claim::Impossible
        };
    }
}

/// A channel whose tasks are recorded.
pub struct Traced<'a> {
    /// the channel
    pub inner: &'a mut dyn Channel,
    /// where the driver's word stands
    pub region: &'a Region,
    /// what records
    pub recorder: &'a mut Recorder,
}

impl Channel for Traced<'_> {
    fn path(&self) -> Path {
        self.inner.path()
    }

    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        if let Some(stamps) = self.region.stamps(entry.index()) {
            stamps.taken.store(0, Ordering::Relaxed);
            stamps.completed.store(0, Ordering::Relaxed);
        }
        self.recorder.pushed(entry, task);
        self.inner.push(entry, nexus, task)
    }

    fn publish(&mut self, now: Time) -> Result<(), ChannelError> {
        self.recorder.publishing();
        self.inner.publish(now)
    }

    fn reap(&mut self, now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        let before = completed.len();
        let reaped = self.inner.reap(now, completed);
        let new = completed.get(before..).unwrap_or_default();
        if !new.is_empty() {
            let at = Time::now();
            for entry in new.iter().map(|completed| completed.entry) {
                // Read once: the driver may still write.
                let stamps = self.region.stamps(entry.index());
                let (taken, completed) = stamps.map_or((0, 0), |stamps| {
                    let read = |word: &std::sync::atomic::AtomicU64| word.load(Ordering::Relaxed);
                    (read(stamps.taken), read(stamps.completed))
                });
                self.recorder.reaped(at, entry, taken, completed);
            }
        }
        reaped
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        self.inner.sense(slot, out);
    }

    fn idle(&mut self, now: Time, until: Time, outstanding: usize) {
        self.inner.idle(now, until, outstanding);
    }

    fn advise(&mut self, now: Time, until: Time, outstanding: usize) -> Advice {
        self.inner.advise(now, until, outstanding)
    }

    fn announce(&mut self) -> Option<Doorbell<'_>> {
        self.inner.announce()
    }

    fn withdraw(&mut self) {
        self.inner.withdraw();
    }

    fn sequence(&self) -> u32 {
        self.inner.sequence()
    }

    fn pulse(&self) -> Option<Pulse> {
        self.inner.pulse()
    }
}

#[cfg(test)]
mod tests;
