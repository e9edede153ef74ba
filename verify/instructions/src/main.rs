//! Kernels whose instructions are counted: `cargo xtask instructions`.
//!
//! `outboard-instructions` lists the kernels; `outboard-instructions KERNEL ROUNDS` runs one of
//! them. `xtask` runs each under callgrind with two numbers of rounds: the difference of the
//! counts, divided by the operations between them, is what one operation costs. Start-up and
//! clean-up cancel out.

mod cdb;
mod ring;
mod slots;

use std::process::ExitCode;

/// A kernel: its name, what one operation is, operations per round, and the code of one round.
struct Kernel {
    name: &'static str,
    operation: &'static str,
    operations: u32,
    run: fn(rounds: u32),
}

const KERNELS: &[Kernel] = &[
    Kernel {
        name: "ring-bundle-1",
        operation: "entry, in bundles of 1",
        operations: 1,
        run: ring::bundles::<1>,
    },
    Kernel {
        name: "ring-bundle-32",
        operation: "entry, in bundles of 32",
        operations: 32,
        run: ring::bundles::<32>,
    },
    Kernel {
        name: "slots-bundle-32",
        operation: "task there and back, in bundles of 32",
        operations: 32,
        run: slots::bundles::<32>,
    },
    Kernel { name: "cdb-read-10", operation: "READ(10)", operations: 1, run: cdb::read_10 },
    Kernel { name: "cdb-read-16", operation: "READ(16)", operations: 1, run: cdb::read_16 },
    Kernel {
        name: "cdb-mixed",
        operation: "CDB of a mix of all commands",
        operations: cdb::MIX.len() as u32,
        run: cdb::mixed,
    },
    Kernel {
        name: "cdb-refused",
        operation: "CDB refused, its sense data encoded",
        operations: cdb::REFUSED.len() as u32,
        run: cdb::refused,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for kernel in KERNELS {
            println!("{}\t{}\t{}", kernel.name, kernel.operations, kernel.operation);
        }
        return ExitCode::SUCCESS;
    };
    let rounds = arguments.next().and_then(|text| text.parse().ok());
    match (KERNELS.iter().find(|kernel| kernel.name == name), rounds) {
        (Some(kernel), Some(rounds)) => {
            (kernel.run)(rounds);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "usage: outboard-instructions [KERNEL ROUNDS]; without arguments: the kernels"
            );
            ExitCode::from(2)
        }
    }
}
