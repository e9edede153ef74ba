//! See `outboard_replay::iscsi_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::iscsi_session(bytes));
