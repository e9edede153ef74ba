//! The System test: what the boundary around a driver costs, measured side by side.
//!
//! The same driver is attached over each path in turn, loaded by one host thread, and ended; turns
//! are interleaved, figures are medians over them. A path's ratio is to `resident` of the same run.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line of `outboard bench` |
//! | [`plan`] | what is to be measured: options that have been checked |
//! | [`mod@format`] | frames: rasters, pixel formats, bytes of a frame |
//! | [`idle`] | what an attached driver costs while nothing is asked |
//! | [`row`] | what is compared: a path, on the resident one how many threads, on the bundled one whether confined |
//! | [`run`] | the measurements: sessions, loads, bare ping-pongs, CPU time |
//! | [`sample`] | what one measurement gives; the observer that hears of progress |
//! | [`results`] | medians, ratios, the JSON form |
//! | [`table`], [`report`] | the same as text for a terminal and as one HTML file |
//! | [`progress`] | what is shown while it runs |
//!
//! CPU time is that of the host's thread and of the driver's process, time spent watching for work
//! included.

pub mod cli;
pub mod error;
pub mod format;
pub mod idle;
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
