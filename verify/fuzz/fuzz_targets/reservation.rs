//! See `outboard_replay::reservation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::reservation(bytes));
