//! Seeded programs for the session target: what a fuzzer would try first, in the ordinary test run.

use outboard_replay::iscsi_session;

const PROGRAMS: u64 = 1500;
/// Actions that move data; the others end most programs too early to be chosen often.
const BUSY: [u8; 6] = [1, 2, 13, 13, 7, 0];

#[test]
fn no_program_breaks_the_sessions() {
    for seed in 1..=PROGRAMS {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut program = vec![numbers.next()];
        for _ in 0..10 + seed % 150 {
            program.extend(numbers.action());
        }
        let ended = std::panic::catch_unwind(|| iscsi_session(&program));
        assert!(ended.is_ok(), "program {seed}");
    }
}

/// xorshift64
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 24) as u8
    }

    fn action(&mut self) -> [u8; 4] {
        let mut what = self.next();
        if self.next() < 100 {
            what = BUSY[usize::from(self.next()) % BUSY.len()];
        }
        let mut peer = self.next();
        if self.next() < 200 {
            peer &= 0x0F;
        }
        [what, peer, self.next(), self.next()]
    }
}
