//! Seeded programs for the host and reservation targets: what a fuzzer would try first, in the ordinary test run.

use outboard_replay::{host, reservation};

const PROGRAMS: u64 = 400;
const ACTIONS: usize = 150;

/// Commands that fetch the unit attentions of both nexuses on both logical units.
const ATTENTIONS: [[u8; 4]; 4] = [[0, 8, 0, 0], [0, 8, 0, 1], [0, 8, 0, 2], [0, 8, 0, 3]];

#[test]
fn no_program_breaks_the_host() {
    for seed in 1..=PROGRAMS {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut program: Vec<u8> = ATTENTIONS.concat();
        for _ in 0..ACTIONS {
            program.extend(numbers.action());
        }
        let ended = std::panic::catch_unwind(|| host(&program));
        assert!(ended.is_ok(), "program {seed}");
    }
}

#[test]
fn no_program_breaks_the_reservations() {
    for seed in 1..=PROGRAMS {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut program = Vec::new();
        for _ in 0..ACTIONS {
            let [action, service, kind, flags, keys, usual, ..] = numbers.next().to_le_bytes();
            // Three of four are a PERSISTENT RESERVE OUT, with APTPL if it registers.
            let action = if usual < 192 { action & 0x03 } else { action };
            program.extend([action, service & 0x07, kind, flags & 0x05, keys]);
        }
        let ended = std::panic::catch_unwind(|| reservation(&program));
        assert!(ended.is_ok(), "program {seed}");
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

    /// An action; half of them move tasks along, so that the others meet some.
    fn action(&mut self) -> [u8; 4] {
        const USUAL: [u8; 8] = [0, 0, 1, 1, 5, 9, 10, 3];
        let [a, b, c, code, usual, ..] = self.next().to_le_bytes();
        let code = if usual < 128 { USUAL[usize::from(usual) % USUAL.len()] } else { code };
        [code, a, b, c]
    }
}
