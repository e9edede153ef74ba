//! System test: load, histograms, report.
pub mod error;
pub mod format;
pub mod plan;
pub mod results;
pub mod row;
pub mod run;
pub mod sample;
#[cfg(test)]
mod testing;
