//! Login phase (RFC 7143 clause 6), the target's side.
//!
//! [`Login`] takes the bytes of a new connection and ends in one of three ways: a [`LoggedIn`] for
//! the [`server`](crate::server), a discovery session that was held and closed, or a refusal.
//!
//! | module | what | RFC 7143 |
//! |---|---|---|
//! | [`machine`] | a connection: PDUs, deadlines, output | |
//! | [`phase`] | stages and transitions | 6.3, 11.12, 11.13 |
//! | `identity` | who logs in to what | 6.3, 13.4 to 13.9 |
//! | [`key`] | the operational keys and their rules | clause 13 |
//! | [`negotiation`] | offers, answers, results | 6.2 |
//! | [`negotiated`] | what a login has settled | |
//! | [`error`] | refusals and their status codes | 11.13.5 |

pub mod error;
mod identity;
pub mod key;
pub mod machine;
pub mod negotiated;
pub mod negotiation;
pub mod phase;

pub use error::{CloseReason, LoginError};
pub use machine::{Login, Outcome, PDU_LEN_MAX, Received};
pub use negotiated::{LoggedIn, Parameters};

/// The longest data segment of a PDU in the login phase, bytes: the default of
/// MaxRecvDataSegmentLength (RFC 7143 13.12), since nothing else is agreed yet.
pub const DATA_LEN_MAX: usize = 8192;

/// The most pairs in one text.
pub const PAIRS_MAX: usize = 512;
