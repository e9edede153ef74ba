//! Commands, and what blocks hold after them.

/// Whether every thread of a process is stopped: the signal takes its time.
pub(super) fn is_stopped(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states = tasks.map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 't']))
    });
    states.next().unwrap_or(true) && states.all(|stopped| stopped)
}

/// READ(16) or WRITE(16).
pub(super) fn read_write(opcode: u8, lba: u64, blocks: u32) -> Vec<u8> {
    let mut cdb = vec![0; 16];
    cdb[0] = opcode;
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

/// What blocks hold after a write: no other block and no other write has it.
pub(super) fn content(lba: u64, number: u32, block: u64, bytes: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(bytes);
    for lba in lba.. {
        if data.len() >= bytes {
            break;
        }
        let word = (lba << 32 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        data.extend(word.to_le_bytes().repeat(block as usize / 8));
    }
    data.truncate(bytes);
    data
}
