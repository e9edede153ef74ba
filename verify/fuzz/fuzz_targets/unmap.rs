//! See `outboard_replay::unmap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::unmap(bytes));
