//! What an operator may see of the sessions.

use outboard_slots::Time;

use super::{ConnectionId, Server};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// iSCSI name of the initiator
    pub initiator_name: String,
    /// its alias
    pub initiator_alias: Option<String>,
    /// initiator part of the session's identifier
    pub isid: [u8; 6],
    /// target part of it
    pub tsih: u16,
    /// portal group
    pub portal_group_tag: u16,
    /// its I_T nexus at the backend
    pub nexus: u64,
    /// it has ended for the initiator; tasks have not
    pub ending: bool,
    /// since when
    pub since: Time,
    /// commands taken in so far
    pub commands: u64,
    /// tasks now
    pub tasks: u32,
    /// requests that wait for their turn or for room
    pub held: u32,
    /// its connections
    pub connections: Vec<ConnectionStatus>,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// its name here
    pub id: ConnectionId,
    /// CID
    pub cid: u16,
    /// CRC32C over headers
    pub header_digest: bool,
    /// CRC32C over data
    pub data_digest: bool,
    /// bytes received
    pub bytes_in: u64,
    /// bytes sent
    pub bytes_out: u64,
}

impl Server {
    /// All sessions, those that are ending included.
    pub fn sessions(&self) -> impl Iterator<Item = SessionStatus> + '_ {
        self.sessions.iter().map(|(_, s)| SessionStatus {
            initiator_name: s.initiator_name.clone(),
            initiator_alias: s.initiator_alias.clone(),
            isid: s.isid,
            tsih: s.tsih,
            portal_group_tag: s.portal_group_tag,
            nexus: s.nexus,
            ending: s.ending,
            since: s.since,
            commands: s.commands,
            tasks: s.live,
            held: (s.pending.len() + s.gap.len()) as u32,
            connections: s
                .connections
                .iter()
                .filter_map(|key| {
                    let c = self.connections.get(*key)?;
                    Some(ConnectionStatus {
                        id: ConnectionId(*key),
                        cid: c.cid,
                        header_digest: c.header_digest,
                        data_digest: c.data_digest,
                        bytes_in: c.bytes_in,
                        bytes_out: c.output.total,
                    })
                })
                .collect(),
        })
    }

    /// Sessions, those that are ending included.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }
}
