//! The bytes of a disk that lives in memory (`mem:`, `sim:`): a memfd that the host owns.

use outboard_slots::Memory;

use crate::contract::{DiskError, Op, Request};

/// Does a request that [`crate::Limits::check`] has passed on the content, at once.
#[inline]
pub(crate) fn execute(
    content: &Memory,
    memory: &Memory,
    request: &Request<'_>,
) -> Result<(), DiskError> {
    let mut at = request.offset;
    match request.op {
        Op::Read => {
            for segment in request.segments {
                memory
                    .copy_from(segment.offset, content, at, segment.len as usize)
                    .map_err(|_| DiskError::OutOfRange)?;
                at += u64::from(segment.len);
            }
        }
        Op::Write { .. } => {
            for segment in request.segments {
                content
                    .copy_from(at, memory, segment.offset, segment.len as usize)
                    .map_err(|_| DiskError::OutOfRange)?;
                at += u64::from(segment.len);
            }
        }
        Op::Discard | Op::WriteZeroes { .. } => {
            let len = usize::try_from(request.len).map_err(|_| DiskError::OutOfRange)?;
            content.fill(at, len, 0).map_err(|_| DiskError::OutOfRange)?;
        }
        Op::Flush => {}
    }
    Ok(())
}
