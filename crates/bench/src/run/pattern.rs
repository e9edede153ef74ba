//! What `--verify` writes and expects: each 8 bytes tell where they belong.

use outboard_slots::Memory;

const CHUNK: usize = 4096;

/// Writes the pattern of `bytes` bytes at `position` of the file to `offset` of the memory.
pub(super) fn write(memory: &Memory, offset: u64, bytes: u64, seed: u64, position: u64) {
    let mut chunk = [0; CHUNK];
    let mut done = 0;
    while done < bytes {
        let len = CHUNK.min((bytes - done) as usize);
        make(&mut chunk, seed, position + done);
        // The range is a buffer of the pool: inside.
        let _ = memory.write(offset + done, &chunk[..len]);
        done += len as u64;
    }
}

/// Whether the memory holds the pattern.
pub(super) fn check(memory: &Memory, offset: u64, bytes: u64, seed: u64, position: u64) -> bool {
    let (mut expected, mut found) = ([0; CHUNK], [0; CHUNK]);
    let mut done = 0;
    while done < bytes {
        let len = CHUNK.min((bytes - done) as usize);
        make(&mut expected, seed, position + done);
        if memory.read(offset + done, &mut found[..len]).is_err() || expected[..len] != found[..len]
        {
            return false;
        }
        done += len as u64;
    }
    true
}

fn make(chunk: &mut [u8; CHUNK], seed: u64, position: u64) {
    for (i, word) in chunk.chunks_exact_mut(8).enumerate() {
        let at = position / 8 + i as u64;
        let value = (at ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (at << 32);
        word.copy_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_or_another_place_is_seen() {
        let m = Memory::create("t", 16 << 10).unwrap();
        write(&m, 0, 10_240, 7, 1 << 20);
        assert!(check(&m, 0, 10_240, 7, 1 << 20));
        assert!(!check(&m, 0, 10_240, 7, (1 << 20) + 4096));
        assert!(!check(&m, 0, 10_240, 8, 1 << 20));
        m.write(10_239, &[1]).unwrap();
        assert!(!check(&m, 0, 10_240, 7, 1 << 20));
    }
}
