//! System test: load, histograms, report.
pub mod cli;
pub mod error;
pub mod format;
pub mod plan;
pub mod progress;
pub mod report;
pub mod results;
pub mod row;
pub mod run;
pub mod sample;
pub mod table;
#[cfg(test)]
mod testing;
mod text;
