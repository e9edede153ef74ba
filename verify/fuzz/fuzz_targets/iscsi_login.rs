//! See `outboard_replay::iscsi_login`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outboard_replay::iscsi_login(bytes));
