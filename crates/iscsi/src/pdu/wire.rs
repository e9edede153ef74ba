//! A PDU without digests, appended to a buffer.

use super::bhs::{Bhs, padded};

/// Appends `header` with the length of `data`, `data` and its padding to `out`. `data` must be
/// shorter than 2^24 bytes.
pub(crate) fn append(out: &mut Vec<u8>, mut header: Bhs, data: &[u8]) {
    debug_assert!(data.len() < 1 << 24);
    header.set_data_len(data.len() as u32);
    out.extend_from_slice(&header.0);
    out.extend_from_slice(data);
    out.resize(out.len() + padded(data.len()) - data.len(), 0);
}
