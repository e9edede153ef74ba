//! Extensions: drivers as packages, from the folder of a developer to the targets of a server.
//!
//! | module | what |
//! |---|---|
//! | [`package`] | `extension.toml`: what a package declares |
//! | [`new`] | a project to start from |
//! | [`names`] | identifiers, versions and paths |
//! | [`disks`] | the disks that extensions are given |
//! | [`store`] | the copies of activated packages, and what is known of them |
//! | [`trial`] | a start of a driver on disks in memory, and its end |
//! | [`change`] | activate, replace, deactivate |
//! | [`check`] | `outboard ext test`: a package as its host sees it |
//! | [`servers`] | which servers run on a state directory |

#![forbid(unsafe_code)]

pub mod change;
pub mod check;
pub mod disks;
pub mod names;
pub mod new;
pub mod package;
pub mod servers;
pub mod store;
pub mod trial;

pub use package::Package;
pub use servers::ServerEntry;
pub use store::{Installed, Record, State, Store, StoreError};
