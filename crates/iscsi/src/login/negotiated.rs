//! What a login has settled.

/// A connection whose login has succeeded: all that the full feature phase needs to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedIn {
    /// iSCSI name of the initiator, normalised
    pub initiator_name: String,
    /// its alias, if it gave one
    pub initiator_alias: Option<String>,
    /// user as whom it has authenticated itself; `None` where the target asks for nobody
    pub user: Option<String>,
    /// initiator part of the session's identifier
    pub isid: [u8; 6],
    /// 0 for a new session, else the session this connection joins
    pub tsih: u16,
    /// connection identifier within the session
    pub cid: u16,
    /// iSCSI name of the target
    pub target_name: String,
    /// portal group the connection came to; it is the relative target port too
    pub portal_group_tag: u16,
    /// negotiated keys
    pub parameters: Parameters,
    /// CmdSN of the login request: the session's first command carries it again
    pub cmd_sn: u32,
    /// StatSN of the final response
    pub stat_sn: u32,
    /// the whole last Login Response, TSIH, StatSN, ExpCmdSN and MaxCmdSN still to be filled in
    pub final_response: Vec<u8>,
}

/// The operational keys of a session and of one connection (RFC 7143 clause 13).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameters {
    /// HeaderDigest=CRC32C
    pub header_digest: bool,
    /// DataDigest=CRC32C
    pub data_digest: bool,
    /// MaxConnections
    pub max_connections: u16,
    /// InitialR2T
    pub initial_r2t: bool,
    /// ImmediateData
    pub immediate_data: bool,
    /// MaxRecvDataSegmentLength of the initiator, bytes: what a PDU to it may carry
    pub initiator_max_recv_data_segment_length: u32,
    /// MaxRecvDataSegmentLength of this target, bytes: what a PDU from the initiator may carry
    pub target_max_recv_data_segment_length: u32,
    /// MaxBurstLength, bytes
    pub max_burst_length: u32,
    /// FirstBurstLength, bytes
    pub first_burst_length: u32,
    /// DefaultTime2Wait, s
    pub default_time2wait: u16,
    /// DefaultTime2Retain, s
    pub default_time2retain: u16,
    /// MaxOutstandingR2T
    pub max_outstanding_r2t: u16,
    /// DataPDUInOrder
    pub data_pdu_in_order: bool,
    /// DataSequenceInOrder
    pub data_sequence_in_order: bool,
    /// ErrorRecoveryLevel
    pub error_recovery_level: u8,
}

impl Default for Parameters {
    /// The defaults of RFC 7143 clause 13.
    fn default() -> Self {
        Self {
            header_digest: false,
            data_digest: false,
            max_connections: 1,
            initial_r2t: true,
            immediate_data: true,
            initiator_max_recv_data_segment_length: 8192,
            target_max_recv_data_segment_length: 8192,
            max_burst_length: 262_144,
            first_burst_length: 65_536,
            default_time2wait: 2,
            default_time2retain: 20,
            max_outstanding_r2t: 1,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
        }
    }
}
