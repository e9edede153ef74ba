//! A login that fails at the session it wants (RFC 7143 11.13.5).

use thiserror::Error;

use crate::login::LoggedIn;
use crate::pdu::Bhs;

/// A refused login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// why
    pub reason: Refusal,
    /// the Login Response that says so, after which the connection closes
    pub response: Vec<u8>,
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The session of this name and ISID was begun by another user.
    #[error(
        "another user has a session under this initiator name and ISID, which ends by its logout alone: give each initiator a name of its own"
    )]
    AnotherUser,
    /// More connections than MaxConnections.
    #[error("the session has MaxConnections connections")]
    TooManyConnections,
    /// TSIH names no session of this initiator port.
    #[error("there is no session to join")]
    SessionDoesNotExist,
    /// TSIH names a session of another user; the initiator is not told that there is one.
    #[error("the session to join was begun by another user")]
    SessionOfAnotherUser,
    /// No session or no I_T nexus is free.
    #[error("all sessions of the target are in use")]
    OutOfResources,
}

impl Refusal {
    /// Status-Class and Status-Detail.
    const fn status(self) -> u16 {
        match self {
            Self::AnotherUser => 0x0201,
            Self::TooManyConnections => 0x0206,
            Self::SessionDoesNotExist | Self::SessionOfAnotherUser => 0x020A,
            Self::OutOfResources => 0x0302,
        }
    }
}

impl Refused {
    pub(super) fn new(logged_in: &LoggedIn, reason: Refusal) -> Self {
        let mut bhs = Bhs::read(&logged_in.final_response).unwrap_or(Bhs([0; 48]));
        bhs.0[1] = 0;
        bhs.set_data_len(0);
        bhs.set_half::<14>(logged_in.tsih);
        bhs.set_word::<24>(logged_in.stat_sn);
        bhs.set_word::<28>(logged_in.cmd_sn);
        bhs.set_word::<32>(logged_in.cmd_sn);
        bhs.set_half::<36>(reason.status());
        Self { reason, response: bhs.0.to_vec() }
    }
}
