//! Protocol data units (RFC 7143 clause 11).
//!
//! A PDU is a basic header segment of 48 bytes ([`Bhs`]), additional header segments, an optional
//! header digest, a data segment padded to 4 bytes and an optional data digest. The types here read
//! and write the header; data segments stay where they are.
//!
//! | module | what |
//! |---|---|
//! | [`bhs`] | the fields that all headers share |
//! | [`opcode`] | operation codes |
//! | [`request`] | what an initiator sends |
//! | [`response`] | what a target sends |
//! | [`login`] | Login Request and Login Response |
//! | [`ahs`] | additional header segments: long CDBs |
//! | [`serial`] | serial number arithmetic (CmdSN, StatSN, DataSN) |
//! | [`digest`] | CRC32C |

pub mod ahs;
pub mod bhs;
pub mod digest;
pub mod login;
pub mod opcode;
pub mod request;
pub mod response;
pub mod serial;
pub(crate) mod wire;

pub use bhs::{BHS_LEN, Bhs, DIGEST_LEN, MAX_AHS_LEN, NO_TAG, padded};
pub use login::{LoginRequest, LoginResponse, Stage, Status};
pub use opcode::{InitiatorOpcode, TargetOpcode};
pub use request::{
    CommandRequest, DataOut, LogoutReason, LogoutRequest, NopOut, Request, Snack, TaskFunction,
    TaskRequest, TextRequest,
};
pub use response::{
    AsyncEvent, AsyncMessage, CommandResponse, DataIn, LogoutOutcome, LogoutResponse, Lost, NopIn,
    R2t, Reject, RejectReason, Residual, Response, Sequence, TaskOutcome, TaskResponse,
    TextResponse,
};
