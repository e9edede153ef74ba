//! See `outboard_replay::sense`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::sense(bytes));
