//! The server against a backend of memory and a model initiator.

mod backend;
mod bench;
mod commands;
mod errors;
mod sessions;
mod splits;
mod tasks;

use backend::Memory;
use bench::Bench;
