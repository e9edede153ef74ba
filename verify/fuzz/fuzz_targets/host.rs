//! See `outboard_replay::host`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::host(bytes));
