//! Why a login is refused, and why a connection ends.

use thiserror::Error;

use super::negotiation::NegotiationError;
use crate::chap::ChapError;
use crate::name::NameError;
use crate::pdu::{Stage, Status};
use crate::text::TextError;

/// A login that cannot go on. Its [`status`](Self::status) is what the initiator is told.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LoginError {
    /// The text is none.
    #[error(transparent)]
    Text(#[from] TextError),
    /// More than [`super::PAIRS_MAX`] pairs at once.
    #[error("more than {0} keys at once")]
    TooManyKeys(usize),
    /// More requests than [`crate::config::Limits::exchanges`].
    #[error("no end after {0} login requests")]
    TooManyRequests(u32),
    /// The initiator cannot do version 0.
    #[error("the initiator wants at least protocol version {0}, there is only 0")]
    Version(u8),
    /// ISID, TSIH or CID are not those of the first request.
    #[error("ISID, TSIH or CID changed during the login")]
    Changed,
    /// The current stage of the request is not the one that the login is in.
    #[error("the request is of another stage than {0}, in which the login is")]
    Stage(Stage),
    /// A transition that there is not, or one that is asked for while the text goes on.
    #[error("there is no such transition from {0}")]
    Transition(Stage),
    /// Something else than a Login Request.
    #[error("operation code {0:02x}h during a login")]
    Foreign(u8),
    /// A key that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key that identifies the session has another value than before.
    #[error("{0} changed during the login")]
    Redeclared(&'static str),
    /// A name that is none.
    #[error("{0}: {1}")]
    Name(&'static str, NameError),
    /// Neither `Normal` nor `Discovery`.
    #[error("SessionType {0:?} is not supported")]
    SessionType(String),
    /// A discovery session has one connection.
    #[error("a discovery session cannot have a further connection")]
    DiscoveryJoin,
    /// No target of this name is reached over the portal.
    #[error("no target {0:?} at this portal")]
    NotFound(String),
    /// The initiator is not on the target's list.
    #[error("{initiator} is not allowed to use {target}")]
    NotAllowed {
        /// Name of the initiator.
        initiator: String,
        /// Name of the target.
        target: String,
    },
    /// The target is elsewhere.
    #[error("the target is at {address}")]
    Moved {
        /// `TargetAddress`
        address: String,
        /// For good.
        permanent: bool,
    },
    /// The target takes no logins now.
    #[error("the target takes no logins now")]
    Unavailable,
    /// The initiator goes on without the authentication that the target demands, or the two have
    /// no method in common.
    #[error("the initiator does not authenticate itself as the target demands")]
    NotAuthenticated,
    /// CHAP failed.
    #[error("CHAP: {0}")]
    Chap(#[from] ChapError),
    /// AuthMethod twice.
    #[error("AuthMethod is negotiated a second time")]
    AuthTwice,
    /// The operational keys.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// No random bytes.
    #[error("no random bytes")]
    NoEntropy,
}

impl LoginError {
    /// Status-Class and Status-Detail of the refusal.
    pub const fn status(&self) -> Status {
        match self {
            Self::Moved { permanent: true, .. } => Status::MovedPermanently,
            Self::Moved { permanent: false, .. } => Status::MovedTemporarily,
            Self::NoEntropy | Self::Chap(ChapError::NoEntropy) => Status::OutOfResources,
            Self::NotAuthenticated | Self::Chap(_) | Self::AuthTwice => {
                Status::AuthenticationFailure
            }
            Self::NotAllowed { .. } => Status::AuthorizationFailure,
            Self::NotFound(_) => Status::NotFound,
            Self::Version(_) => Status::UnsupportedVersion,
            Self::Missing(_) => Status::MissingParameter,
            Self::DiscoveryJoin => Status::CannotInclude,
            Self::SessionType(_) => Status::SessionType,
            Self::Foreign(_) => Status::InvalidDuringLogin,
            Self::Unavailable => Status::Unavailable,
            Self::Text(_)
            | Self::TooManyKeys(_)
            | Self::TooManyRequests(_)
            | Self::Changed
            | Self::Stage(_)
            | Self::Transition(_)
            | Self::Redeclared(_)
            | Self::Name(..)
            | Self::Negotiation(_) => Status::InitiatorError,
        }
    }
}

/// Why the connection is to be closed, once what is in the output has left.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The first PDU is no Login Request: nothing is answered (RFC 7143 6.3).
    #[error("the connection began with operation code {0:02x}h, not with a login")]
    NotALogin(u8),
    /// A PDU with a longer data segment than may be before a login ends.
    #[error("a PDU with {0} bytes of data where 8192 are the most")]
    TooLong(usize),
    /// Additional header segments where there are none.
    #[error("additional header segments in a login")]
    HeaderSegments,
    /// The login is refused with this status.
    #[error("login refused ({status}): {error}", status = .0.status(), error = .0)]
    Refused(LoginError),
    /// The initiator ended its discovery session.
    #[error("the discovery session was closed")]
    LoggedOut,
    /// The initiator did in a discovery session what no one may.
    #[error("protocol error in a discovery session")]
    Protocol,
}
