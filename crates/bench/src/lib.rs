//! System test: load, histograms, report.
pub mod error;
pub mod format;
pub mod plan;
pub mod row;
pub mod sample;
