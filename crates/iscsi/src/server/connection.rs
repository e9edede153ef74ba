//! A connection: where its stream stands, what waits to be sent.

use outboard_slots::Time;

use super::Closing;
use super::output::Output;
use super::slab::Key;
use crate::login::LoggedIn;
use crate::pdu::{Bhs, padded};

#[derive(Debug)]
pub(super) struct Connection {
    /// `None` until the session exists
    pub(super) session: Option<Key>,
    pub(super) cid: u16,
    pub(super) header_digest: bool,
    pub(super) data_digest: bool,
    /// MaxRecvDataSegmentLength of the initiator
    pub(super) max_send: u32,
    /// MaxRecvDataSegmentLength of this target
    pub(super) max_receive: u32,
    /// StatSN of the next response
    pub(super) stat_sn: u32,
    pub(super) state: State,
    pub(super) rx: Rx,
    pub(super) output: Output,
    /// is in the server's list
    pub(super) changed: bool,
    pub(super) last_received: Time,
    /// a ping that has no answer yet: when it was sent, its tag
    pub(super) ping: Option<(Time, u32)>,
    pub(super) next_ping: u32,
    pub(super) bytes_in: u64,
    /// what SendTargets tells here, if not what it tells everywhere
    pub(super) addresses: Option<Vec<String>>,
}

#[derive(Debug)]
pub(super) enum State {
    /// an earlier session of the same initiator port has not ended, or the tasks of an earlier
    /// connection of the session
    Waiting {
        logged_in: Box<LoggedIn>,
        since: Time,
    },
    Open,
    /// a logout is in progress: nothing more is read
    LoggingOut,
    /// since when, how
    Closing {
        since: Time,
        how: Closing,
    },
}

/// Where the stream stands.
#[derive(Debug)]
pub(super) struct Rx {
    pub(super) step: Step,
    pub(super) bhs: Bhs,
    /// additional header segments
    pub(super) ahs: Vec<u8>,
    /// a data segment that is needed whole
    pub(super) scratch: Vec<u8>,
    /// what follows the data segment's end
    pub(super) job: Job,
    /// its unit has gone since its header came
    pub(super) gone: bool,
    /// bytes of the data segment that came
    pub(super) done: u32,
    pub(super) crc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Head,
    Data(Dest),
    Trailer,
}

/// Where a data segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dest {
    Skip,
    Scratch,
    /// the first `keep` bytes into the region from `offset` on, the others nowhere
    Region {
        task: Key,
        offset: u64,
        keep: u32,
        lent: bool,
    },
}

/// What a PDU asks for once it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Nothing,
    /// a request, its data in `scratch`
    Request,
    /// data of a task; `ends` a sequence
    Arrived {
        task: Key,
        ends: bool,
    },
    /// data of a command that waits for its turn, in `scratch`
    HeldData,
    Reject(crate::pdu::RejectReason),
}

impl Connection {
    pub(super) fn new(now: Time, session: Option<Key>, l: &LoggedIn) -> Self {
        Self {
            session,
            cid: l.cid,
            header_digest: l.parameters.header_digest,
            data_digest: l.parameters.data_digest,
            max_send: l.parameters.initiator_max_recv_data_segment_length.max(512),
            max_receive: l.parameters.target_max_recv_data_segment_length,
            stat_sn: l.stat_sn.wrapping_add(1),
            state: State::Open,
            rx: Rx {
                step: Step::Head,
                bhs: Bhs([0; 48]),
                ahs: Vec::new(),
                scratch: Vec::new(),
                job: Job::Nothing,
                gone: false,
                done: 0,
                crc: 0,
            },
            output: Output::default(),
            changed: false,
            last_received: now,
            ping: None,
            next_ping: 0,
            bytes_in: 0,
            addresses: None,
        }
    }

    /// The task whose buffer the edge receives into right now.
    pub(super) const fn lent(&self) -> Option<Key> {
        match self.rx.step {
            Step::Data(Dest::Region { task, lent: true, .. }) => Some(task),
            _ => None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }
}

impl Rx {
    /// Padding and data digest behind the data segment, bytes.
    pub(super) const fn trailer(&self, digest: bool) -> usize {
        let len = self.bhs.data_len() as usize;
        let digest = if digest && len != 0 { crate::pdu::DIGEST_LEN } else { 0 };
        padded(len) - len + digest
    }
}
