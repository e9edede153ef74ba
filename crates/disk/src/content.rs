//! The bytes of a disk that lives in memory (`mem:`, `sim:`): a memfd that the host owns.

use outboard_slots::Memory;

use crate::contract::{Allocation, DiskError, Limits, Op, Request};

/// Bytes that [`allocation`] looks at in one call.
const LOOK_MAX: u64 = 4 << 20;

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

/// What is held at `offset`: of a disk that gives ranges back, the blocks that are not all zeroes.
/// Nothing else tells a block that was given back from one that was written.
pub(crate) fn allocation(content: &Memory, limits: &Limits, offset: u64) -> Allocation {
    let end = limits.len_bytes();
    let all = Allocation { mapped: true, len: end.saturating_sub(offset) };
    let block = u64::from(limits.block_size);
    if limits.discard.is_none() || offset >= end {
        return all;
    }
    let Some(mapped) = is_held(content, offset, block) else { return all };
    let look = end.min(offset.saturating_add(LOOK_MAX));
    let mut at = offset + block;
    while at < look && is_held(content, at, block) == Some(mapped) {
        at += block;
    }
    Allocation { mapped, len: at - offset }
}

/// Whether a block is anything but zeroes; `None` if there is no such block.
fn is_held(content: &Memory, offset: u64, block: u64) -> Option<bool> {
    let mut bytes = [0; 4096];
    let bytes = bytes.get_mut(..usize::try_from(block).ok()?)?;
    content.read(offset, bytes).ok()?;
    Some(bytes.iter().any(|&byte| byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Discard;

    #[test]
    fn what_was_given_back_is_not_held() {
        let content = Memory::create("content", 8 << 10).unwrap();
        let discard = Discard { granularity: 512, max_bytes: 1 << 20, reads_zeroes: true };
        let limits = Limits {
            block_size: 512,
            physical_block_size: 512,
            blocks: 16,
            max_transfer: 1 << 20,
            optimal_transfer: 0,
            read_only: false,
            volatile_cache: false,
            rotational: false,
            discard: Some(discard),
            write_zeroes: true,
        };
        let told = |at| allocation(&content, &limits, at);
        assert_eq!(told(0), Allocation { mapped: false, len: 8 << 10 });
        content.fill(1024, 513, 1).unwrap();
        assert_eq!(told(0), Allocation { mapped: false, len: 1024 });
        assert_eq!(told(512), Allocation { mapped: false, len: 512 });
        assert_eq!(told(1024), Allocation { mapped: true, len: 1024 });
        assert_eq!(told(2048), Allocation { mapped: false, len: 6 << 10 });
        assert_eq!(told(8 << 10), Allocation { mapped: true, len: 0 });
        let full = Limits { discard: None, ..limits };
        assert_eq!(allocation(&content, &full, 0), Allocation { mapped: true, len: 8 << 10 });
    }
}
