//! See `outboard_replay::disk_spec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::disk_spec(bytes));
