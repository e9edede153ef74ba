//! Seeded changes of the login corpus: what a fuzzer would try first, in the ordinary test run.

#![allow(clippy::unwrap_used, reason = "a corpus that cannot be read ends the test")]

use std::fs;
use std::path::Path;

use outboard_replay::iscsi_login;

const RUNS: usize = 4000;
const CHANGES: u64 = 6;

#[test]
fn no_change_of_a_login_breaks_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/iscsi_login");
    let mut corpus: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    corpus.sort();
    let corpus: Vec<_> = corpus.into_iter().map(|path| fs::read(path).unwrap()).collect();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for run in 0..RUNS {
        let mut bytes = numbers.pick(&corpus).clone();
        for _ in 0..=numbers.below(CHANGES) {
            numbers.change(&mut bytes, &corpus);
        }
        let ended = std::panic::catch_unwind(|| iscsi_login(&bytes));
        assert!(ended.is_ok(), "run {run}: {:?}", String::from_utf8_lossy(&bytes));
    }
}

/// xorshift64
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn pick<'a>(&mut self, corpus: &'a [Vec<u8>]) -> &'a Vec<u8> {
        &corpus[self.below(corpus.len() as u64) as usize]
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len() as u64) as usize;
        match self.below(6) {
            _ if bytes.is_empty() => bytes.push(self.next() as u8),
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, self.next() as u8),
            4 => {
                let other = self.pick(corpus);
                bytes.extend(other.iter().skip(1));
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
}
