//! What the fuzz targets of `verify/fuzz` do with their bytes.
//!
//! A target is a function that takes any bytes and panics if the code under test breaks a promise.
//! It stands here, and not in `verify/fuzz`, so that the ordinary test run can replay every corpus
//! without the nightly compiler: `tests/corpus.rs`.
//!
//! A new target is a function here, a line in [`TARGETS`], a file in `verify/fuzz/fuzz_targets` and
//! a folder in `verify/fuzz/corpus`. A finding is copied from `verify/fuzz/artifacts` into the
//! corpus together with its mend.

#![allow(clippy::expect_used, reason = "a broken promise ends the run")]

mod activation;
mod cdb;
mod disk_spec;
mod host;
mod iscsi_login;
mod iscsi_pdu;
mod iscsi_session;
mod md;
mod reservation;
mod sense;
mod unmap;

pub use activation::activation;
pub use cdb::cdb;
pub use disk_spec::disk_spec;
pub use host::host;
pub use iscsi_login::iscsi_login;
pub use iscsi_pdu::iscsi_pdu;
pub use iscsi_session::iscsi_session;
pub use md::md;
pub use reservation::reservation;
pub use sense::sense;
pub use unmap::unmap;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("activation", activation),
    ("cdb", cdb),
    ("disk_spec", disk_spec),
    ("host", host),
    ("iscsi_login", iscsi_login),
    ("iscsi_pdu", iscsi_pdu),
    ("iscsi_session", iscsi_session),
    ("md", md),
    ("reservation", reservation),
    ("sense", sense),
    ("unmap", unmap),
];
