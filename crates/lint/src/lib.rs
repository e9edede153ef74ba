//! Checks the sources of DriverKit storage controllers on any machine, without an SDK.
//!
//! [`check::check_paths`] reads `.iig`, C++, property lists and entitlements, builds a model of the driver and runs the
//! [`rules`] over it. [`cli`] is the command around it.

pub mod check;
pub mod cli;
pub mod config;
pub mod docs;
pub mod fix;
pub mod load;
pub mod methods;
mod model;
mod plist;
pub mod report;
pub mod rules;
mod silence;
pub mod source;
mod syntax;
mod text;
