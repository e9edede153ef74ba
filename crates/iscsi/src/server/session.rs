//! A session: its connections, tasks, and the order of its requests.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use outboard_slots::Time;

use super::slab::Key;
use crate::login::LoggedIn;
use crate::pdu::Bhs;

#[derive(Debug)]
pub(super) struct Session {
    /// initiator port name
    pub(super) port: String,
    pub(super) initiator_name: String,
    pub(super) initiator_alias: Option<String>,
    /// as whom its first connection logged in
    pub(super) user: Option<String>,
    pub(super) isid: [u8; 6],
    pub(super) tsih: u16,
    pub(super) portal_group_tag: u16,
    pub(super) max_connections: usize,
    pub(super) initial_r2t: bool,
    pub(super) immediate_data: bool,
    pub(super) max_burst: u64,
    pub(super) first_burst: u64,
    pub(super) max_outstanding_r2t: u32,
    pub(super) time2wait: u16,
    pub(super) time2retain: u16,
    pub(super) nexus: u64,
    pub(super) ending: bool,
    pub(super) logout: Option<Logout>,
    /// a connection waits for the tasks of the one whose place it takes
    pub(super) joining: bool,
    pub(super) connections: Vec<Key>,
    /// by Initiator Task Tag
    pub(super) tasks: HashMap<u32, Key, BuildHasherDefault<TagHasher>>,
    /// tasks the backend has not answered yet, or that collect data
    pub(super) live: u32,
    pub(super) functions: u32,
    pub(super) exp_cmd_sn: u32,
    pub(super) max_cmd_sn: u32,
    /// commands in order that found no room
    pub(super) pending: VecDeque<Held>,
    /// requests whose predecessors are missing, by CmdSN
    pub(super) gap: Vec<Held>,
    /// since when a predecessor is missing
    pub(super) gap_since: Option<Time>,
    pub(super) held_bytes: usize,
    /// is in the server's list of sessions that wait for room
    pub(super) waiting: bool,
    pub(super) since: Time,
    pub(super) commands: u64,
}

/// A logout that waits for the tasks it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logout {
    /// the connection that asked
    pub(super) on: Key,
    pub(super) task_tag: u32,
    /// the one connection that ends; `None`: all
    pub(super) closes: Option<Key>,
}

/// A request that waits for its turn.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) connection: Key,
    pub(super) bhs: Bhs,
    pub(super) ahs: Vec<u8>,
    /// immediate data, then unsolicited data
    pub(super) data: Vec<u8>,
    /// unsolicited data is still to come
    pub(super) unsolicited: bool,
    /// DataSN of the next of it
    pub(super) data_sn: u32,
    /// not to be carried out, only counted
    pub(super) void: bool,
    /// its data was too much to keep: it ends TASK SET FULL
    pub(super) refused: bool,
    /// its unit has gone: it ends LOGICAL UNIT NOT SUPPORTED
    pub(super) gone: bool,
    /// bytes of data, kept or not
    pub(super) received: u32,
    /// its unsolicited data broke the rules
    pub(super) failure: Option<super::task::Failure>,
}

impl Session {
    pub(super) fn new(now: Time, port: String, tsih: u16, nexus: u64, l: &LoggedIn) -> Self {
        let p = &l.parameters;
        Self {
            port,
            initiator_name: l.initiator_name.clone(),
            initiator_alias: l.initiator_alias.clone(),
            user: l.user.clone(),
            isid: l.isid,
            tsih,
            portal_group_tag: l.portal_group_tag,
            max_connections: usize::from(p.max_connections.max(1)),
            initial_r2t: p.initial_r2t,
            immediate_data: p.immediate_data,
            max_burst: u64::from(p.max_burst_length.max(512)),
            first_burst: u64::from(p.first_burst_length.min(p.max_burst_length)),
            max_outstanding_r2t: u32::from(p.max_outstanding_r2t.max(1)),
            time2wait: p.default_time2wait,
            time2retain: p.default_time2retain,
            nexus,
            ending: false,
            logout: None,
            joining: false,
            connections: Vec::new(),
            tasks: HashMap::default(),
            live: 0,
            functions: 0,
            exp_cmd_sn: l.cmd_sn,
            max_cmd_sn: l.cmd_sn.wrapping_sub(1),
            pending: VecDeque::new(),
            gap: Vec::new(),
            gap_since: None,
            held_bytes: 0,
            waiting: false,
            since: now,
            commands: 0,
        }
    }

    /// The request with this tag that waits for its turn.
    pub(super) fn held(&mut self, task_tag: u32) -> Option<&mut Held> {
        self.pending
            .iter_mut()
            .chain(&mut self.gap)
            .find(|held| !held.void && held.bhs.initiator_task_tag() == task_tag)
    }

    /// A request that counts, but asks for nothing.
    pub(super) fn void(connection: Key, cmd_sn: u32) -> Held {
        let mut bhs = Bhs([0; 48]);
        bhs.set_word::<24>(cmd_sn);
        Held { void: true, ..Held::new(connection, bhs) }
    }
}

impl Held {
    pub(super) const fn new(connection: Key, bhs: Bhs) -> Self {
        Self {
            connection,
            bhs,
            ahs: Vec::new(),
            data: Vec::new(),
            unsolicited: false,
            data_sn: 0,
            void: false,
            refused: false,
            gone: false,
            received: 0,
            failure: None,
        }
    }

    /// What it costs its session's allowance, bytes.
    pub(super) fn cost(&self) -> usize {
        self.ahs.len() + self.data.len()
    }
}

/// Hashes task tags, which an initiator chooses: a session has a window of them at most, so that
/// the worst choice costs its own session a short walk.
#[derive(Debug, Default)]
pub(super) struct TagHasher(u64);

impl Hasher for TagHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        let mixed = (self.0 ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
