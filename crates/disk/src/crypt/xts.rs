//! AES-256-XTS (IEEE 1619, NIST SP 800-38E) over whole data units, many of them at once: the
//! processor's AES instructions work on several blocks at a time, and a data unit is a logical block.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes256, Block};
use zeroize::Zeroize;

use super::Key;

/// Bytes of a block of the cipher.
const BLOCK: usize = size_of::<Block>();

/// The cipher under one key, and its working memory.
pub(super) struct Xts {
    data: Aes256,
    tweak: Aes256,
    /// the first tweak of each data unit
    heads: Vec<Block>,
    tweaks: Vec<Block>,
}

/// Which way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Decrypt,
    Encrypt,
}

impl Xts {
    pub(super) fn new(key: &Key) -> Self {
        let (data, tweak) = key.halves();
        Self { data: cipher(data), tweak: cipher(tweak), heads: Vec::new(), tweaks: Vec::new() }
    }

    /// Works on `bytes` in place: data units of `unit` bytes, a multiple of 16, the first of which
    /// has the number `first`. What is no whole unit at the end stays as it is.
    pub(super) fn apply(&mut self, way: Way, first: u64, unit: usize, bytes: &mut [u8]) {
        let units = bytes.len() / unit.max(BLOCK);
        let Some(bytes) = bytes.get_mut(..units * unit) else { return };
        self.make_tweaks(first, units, unit / BLOCK);
        let blocks = Array::cast_slice_from_core_mut(bytes.as_chunks_mut::<BLOCK>().0);
        mask(blocks, &self.tweaks);
        match way {
            Way::Decrypt => self.data.decrypt_blocks(blocks),
            Way::Encrypt => self.data.encrypt_blocks(blocks),
        }
        mask(blocks, &self.tweaks);
    }

    /// The tweak of every block: that of a unit is its number, encrypted, and each following one is
    /// the one before, multiplied by x.
    fn make_tweaks(&mut self, first: u64, units: usize, blocks: usize) {
        let number = |number| Array(u128::from(number).to_le_bytes());
        self.heads.clear();
        self.heads.extend((first..).take(units).map(number));
        self.tweak.encrypt_blocks(&mut self.heads);
        self.tweaks.clear();
        for head in &self.heads {
            let mut tweak = u128::from_le_bytes(head.0);
            self.tweaks.extend((0..blocks).map(|_| {
                let block = Array(tweak.to_le_bytes());
                tweak = times_x(tweak);
                block
            }));
        }
    }
}

impl Drop for Xts {
    fn drop(&mut self) {
        // The ciphers do the same of their own.
        self.heads.iter_mut().chain(&mut self.tweaks).for_each(|tweak| tweak.0.zeroize());
    }
}

fn cipher(key: &[u8; 32]) -> Aes256 {
    Aes256::new(&Array(*key))
}

/// Multiplication by x modulo x^128 + x^7 + x^2 + x + 1, in constant time.
const fn times_x(tweak: u128) -> u128 {
    (tweak << 1) ^ ((tweak >> 127) * 0x87)
}

fn mask(blocks: &mut [Block], tweaks: &[Block]) {
    for (block, tweak) in blocks.iter_mut().zip(tweaks) {
        let masked = u128::from_ne_bytes(block.0) ^ u128::from_ne_bytes(tweak.0);
        *block = Array(masked.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests;
