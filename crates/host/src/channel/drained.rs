//! What a dead driver had completed: taken out of its channel before the rings are made new, and
//! judged by the ledger after the fence like every completion.

use outboard_hba::Path;
use outboard_slots::{Entry, ParallelTask, SENSE_BYTES, Time};

use super::{Channel, ChannelError, Completed};
use crate::ledger::Violation;

/// Most reaps of a dead driver's channel: one takes all that an honest one can have left.
const REAPS_MAX: usize = 64;

/// A private copy of what was left in a dead driver's channel; to
/// [`driver_fenced`](crate::stack::Stack::driver_fenced) it is the channel itself.
#[derive(Debug)]
pub struct Drained {
    path: Path,
    sequence: u32,
    completed: Vec<Completed>,
    violations: Vec<Violation>,
    senses: Vec<(u16, [u8; SENSE_BYTES])>,
}

impl Drained {
    /// Takes out what is in `channel`. The driver's process must have ended, and the region must
    /// still be as it left it.
    pub fn of(now: Time, channel: &mut dyn Channel) -> Self {
        let (mut completed, mut violations) = (Vec::new(), Vec::new());
        drain(now, channel, &mut completed, &mut violations);
        let with_sense = completed.iter().filter(|c: &&Completed| c.head.sense_length != 0);
        let senses = with_sense.map(|c| {
            let mut sense = [0; SENSE_BYTES];
            channel.sense(c.entry.index(), &mut sense);
            (c.entry.index(), sense)
        });
        Self {
            senses: senses.collect(),
            path: channel.path(),
            sequence: channel.sequence(),
            completed,
            violations,
        }
    }

    /// Completions in it.
    pub fn len(&self) -> usize {
        self.completed.len()
    }

    /// Whether nothing was left.
    pub fn is_empty(&self) -> bool {
        self.completed.is_empty() && self.violations.is_empty()
    }
}

/// Reaps a channel to its end. What is wrong with it is told, and does not hide what comes after.
pub(crate) fn drain(
    now: Time,
    channel: &mut dyn Channel,
    completed: &mut Vec<Completed>,
    violations: &mut Vec<Violation>,
) {
    for _ in 0..REAPS_MAX {
        let before = completed.len();
        match channel.reap(now, completed) {
            Ok(()) if completed.len() == before => return,
            Ok(()) => {}
            Err(ChannelError::Violation(violation)) => {
                violations.push(violation);
                if let Violation::Ring(_) = violation {
                    return;
                }
            }
            // Its end is known.
            Err(_) => return,
        }
    }
}

impl Channel for Drained {
    fn path(&self) -> Path {
        self.path
    }

    fn push(&mut self, _: Entry, _: u32, _: &ParallelTask) -> Result<(), ChannelError> {
        Err(ChannelError::Gone)
    }

    fn publish(&mut self, _now: Time) -> Result<(), ChannelError> {
        Ok(())
    }

    fn reap(&mut self, _now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        completed.append(&mut self.completed);
        self.violations.pop().map_or(Ok(()), |violation| Err(violation.into()))
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        if let Some((_, sense)) = self.senses.iter().find(|(of, _)| *of == slot) {
            *out = *sense;
        }
    }

    fn idle(&mut self, _now: Time, _until: Time, _outstanding: usize) {}

    fn sequence(&self) -> u32 {
        self.sequence
    }
}

#[cfg(test)]
mod tests {
    use outboard_slots::{Producer, Region, RegionConfig, ResponseHead};

    use super::super::Bundled;
    use super::*;

    fn region() -> Region {
        let config =
            RegionConfig { slots_per_queue: 4, queues: 1, pool_bytes: 65536, scratch_bytes: 4096 };
        Region::create(config).unwrap()
    }

    #[test]
    fn what_was_left_outlives_the_region() {
        let region = region();
        let mut channel = Bundled::new(region.clone(), 0, false).unwrap();
        let words = region.queue(0).unwrap();
        let mut driver = Producer::new();
        for (slot, bytes) in [(2, 512), (0, 4096)] {
            let head = ResponseHead {
                bytes_transferred: bytes,
                sense_length: u8::from(slot == 2) * 18,
                ..ResponseHead::EMPTY
            };
            region.write_response(slot, &head);
            driver.push(words.completion, Entry::new(slot, 7));
        }
        region.write_sense(2, &[0x72; 18]);
        driver.push(words.completion, Entry::new(900, 7));
        driver.push(words.completion, Entry::new(1, 7));
        driver.publish(words.completion);

        let mut drained = Drained::of(Time::ZERO, &mut channel);
        region.renew().unwrap();
        region.write_response(2, &ResponseHead { version: 9, ..ResponseHead::EMPTY });
        region.write_sense(2, &[0; 18]);
        assert_eq!(drained.len(), 3);
        let mut completed = Vec::new();
        let beyond = ChannelError::Violation(Violation::Index { slot: 900 });
        assert_eq!(drained.reap(Time::ZERO, &mut completed), Err(beyond));
        let slots: Vec<u16> = completed.iter().map(|c| c.entry.index()).collect();
        assert_eq!(slots, [2, 0, 1]);
        assert_eq!(completed[0].head.bytes_transferred, 512);
        let mut sense = [0; SENSE_BYTES];
        drained.sense(2, &mut sense);
        assert_eq!(sense[..18], [0x72; 18]);
        assert!(drained.is_empty());
        assert_eq!(drained.reap(Time::ZERO, &mut completed), Ok(()));
    }

    #[test]
    fn a_spoiled_ring_is_told_once() {
        let region = region();
        let mut channel = Bundled::new(region.clone(), 0, false).unwrap();
        let words = region.queue(0).unwrap();
        words.completion.tail.store(1 << 20, std::sync::atomic::Ordering::Relaxed);
        let mut drained = Drained::of(Time::ZERO, &mut channel);
        assert_eq!((drained.len(), drained.is_empty()), (0, false));
        let told = drained.reap(Time::ZERO, &mut Vec::new());
        assert!(matches!(told, Err(ChannelError::Violation(Violation::Ring(_)))));
        assert!(drained.is_empty());
    }
}
