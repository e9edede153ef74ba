//! See `outboard_replay::activation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::activation(bytes));
