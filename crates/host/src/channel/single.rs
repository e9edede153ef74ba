//! The single paths, host side: one request, one reply, one completion message a task. The
//! submission is synchronous, as in a dext; many tasks may be outstanding.

use std::os::fd::{AsFd, OwnedFd};

use outboard_hba::protocol::{SingleCompletion, SingleReply, SingleRequest};
use outboard_hba::{Path, ServiceResponse};
use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Entry, ParallelTask, SENSE_BYTES, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use zerocopy::{FromZeros, IntoBytes};

use super::{Channel, ChannelError, Completed};

/// The host's ends of one queue's sockets.
#[derive(Debug)]
pub struct SingleEnds {
    /// requests out, replies in
    pub requests: OwnedFd,
    /// completions in
    pub completions: OwnedFd,
}

/// One queue's messages.
pub struct Single {
    ends: SingleEnds,
    map_each: bool,
    sequence: u32,
    first_slot: u16,
    /// sense buffers, as the completion messages brought them
    sense: Vec<[u8; SENSE_BYTES]>,
}

impl Single {
    /// For the slots `slots` of a queue; `map_each` only names the path.
    pub fn new(ends: SingleEnds, slots: core::ops::Range<u32>, map_each: bool) -> Self {
        let (first_slot, count) = (slots.start as u16, slots.len());
        Self { ends, map_each, sequence: 0, first_slot, sense: vec![[0; SENSE_BYTES]; count] }
    }
}

fn system(e: Errno) -> ChannelError {
    match e {
        Errno::PIPE | Errno::CONNRESET => ChannelError::Gone,
        e => ChannelError::Malformed(e.to_string()),
    }
}

impl Channel for Single {
    fn path(&self) -> Path {
        if self.map_each { Path::SingleMap } else { Path::Single }
    }

    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        let request =
            SingleRequest { entry: entry.to_bits(), nexus: u64::from(nexus), task: *task };
        rustix::net::send(&self.ends.requests, request.as_bytes(), SendFlags::NOSIGNAL)
            .map_err(system)?;
        self.sequence = self.sequence.wrapping_add(1);
        let mut reply = SingleReply::new_zeroed();
        loop {
            match rustix::net::recv(&self.ends.requests, reply.as_mut_bytes(), RecvFlags::empty()) {
                Ok((0, _)) => return Err(ChannelError::Gone),
                Ok((n, _)) if n == size_of::<SingleReply>() && reply.entry == entry.to_bits() => {
                    break;
                }
                Ok((n, _)) => {
                    let what = format!("a reply of {n} bytes that fits no request");
                    return Err(ChannelError::Malformed(what));
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(system(e)),
            }
        }
        if reply.response != u64::from(ServiceResponse::RequestInProcess as u32) {
            return Err(ChannelError::Refused { slot: entry.index(), response: reply.response });
        }
        Ok(())
    }

    fn publish(&mut self, _now: Time) -> Result<(), ChannelError> {
        Ok(())
    }

    fn reap(&mut self, _now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        let mut message = SingleCompletion::new_zeroed();
        // At most one for each slot, so that a driver that floods cannot hold this thread.
        for _ in 0..self.sense.len() {
            let got = rustix::net::recv(
                &self.ends.completions,
                message.as_mut_bytes(),
                RecvFlags::DONTWAIT,
            );
            match got {
                Ok((0, _)) => return Err(ChannelError::Gone),
                Ok((n, _)) if n == size_of::<SingleCompletion>() => {}
                Ok((n, _)) => {
                    return Err(ChannelError::Malformed(format!("a completion of {n} bytes")));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(e) => return Err(system(e)),
            }
            let entry = Entry::from_bits(message.entry);
            let head = message.response.head;
            if head.sense_length != 0 {
                let at = usize::from(entry.index().wrapping_sub(self.first_slot));
                if let Some(sense) = self.sense.get_mut(at) {
                    sense[..7].copy_from_slice(&head.sense_start);
                    sense[7..].copy_from_slice(&message.response.sense_rest);
                }
            }
            completed.push(Completed { entry, head });
        }
        Ok(())
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        if let Some(sense) = self.sense.get(usize::from(slot.wrapping_sub(self.first_slot))) {
            *out = *sense;
        }
    }

    fn idle(&mut self, now: Time, until: Time, _outstanding: usize) {
        let timeout = until.since(now).min(core::time::Duration::from_millis(100));
        let timeout = Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.ends.completions, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&timeout));
    }

    fn announce(&mut self) -> Option<Doorbell<'_>> {
        Some(Doorbell::Readable(self.ends.completions.as_fd()))
    }

    fn sequence(&self) -> u32 {
        self.sequence
    }
}
