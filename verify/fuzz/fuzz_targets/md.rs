//! See `outboard_replay::md`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::md(bytes));
