//! See `outboard_replay::cdb`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::cdb(bytes));
