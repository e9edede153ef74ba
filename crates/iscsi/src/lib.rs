//! An iSCSI target (RFC 7143) without I/O: bytes in, bytes out.
//!
//! | module | what | RFC 7143 |
//! |---|---|---|
//! | [`pdu`] | protocol data units: basic header segment, digests, padding | clause 11 |
//! | [`name`] | iSCSI names | 4.2.7 |
//! | [`config`], [`access`] | portals, targets, who may log in to what | 4.2, 9.3 |
//! | [`text`] | `key=value` pairs, over several PDUs | clause 6 |
//! | [`login`] | login, negotiation of the keys | clauses 6, 13 |
//! | [`chap`] | authentication | 12.1 |
//! | [`discovery`] | discovery sessions: SendTargets | 4.3, appendix C |
//! | [`initiator`] | the other side, for tests and tools | |
//! | [`server`] | sessions in the full feature phase, over a SCSI [`server::Backend`] | clauses 4, 7, 11 |

#![forbid(unsafe_code)]

pub mod access;
pub mod chap;
pub mod config;
pub mod discovery;
pub mod initiator;
pub mod login;
pub mod name;
pub mod pdu;
pub mod server;
pub mod text;
