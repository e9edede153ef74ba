//! However the stream is cut, the same comes of it; and no bytes break the server.

use proptest::prelude::*;

use super::bench::{Cdb, logged_in};
use super::{Bench, backend::BLOCK};
use crate::login::Parameters;
use crate::pdu::{NO_TAG, Request, Response};

#[derive(Clone, Debug)]
enum Op {
    Read { lba: u32, blocks: u16 },
    Write { lba: u32, blocks: u16, seed: u8 },
    Nop { len: usize },
    Ready,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0_u32..500, 0_u16..200).prop_map(|(lba, blocks)| Op::Read { lba, blocks }),
        (0_u32..500, 0_u16..200, any::<u8>()).prop_map(|(lba, blocks, seed)| Op::Write {
            lba,
            blocks,
            seed
        }),
        (0_usize..5000).prop_map(|len| Op::Nop { len }),
        Just(Op::Ready),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    (any::<[bool; 4]>(), 1_u16..4, 1_u32..64, 1_u32..64, 1_u32..40, 1_u32..40).prop_map(
        |([header_digest, data_digest, initial_r2t, immediate_data], r2t, a, b, c, d)| Parameters {
            header_digest,
            data_digest,
            initial_r2t,
            immediate_data,
            max_outstanding_r2t: r2t,
            max_burst_length: (a.max(b) * 1024),
            first_burst_length: (a.min(b) * 1024),
            // Not a multiple of four: padding within the data.
            target_max_recv_data_segment_length: c * 511 + 512,
            initiator_max_recv_data_segment_length: d * 513 + 512,
            ..Parameters::default()
        },
    )
}

fn run(parameters: &Parameters, ops: &[Op], cuts: &[usize], send: usize) -> (Vec<Response>, Bench) {
    let mut bench = Bench::new();
    bench.cuts = cuts.to_vec();
    bench.send = send;
    let id = bench.login(parameters.clone());
    for (tag, op) in ops.iter().enumerate() {
        let tag = tag as u32;
        match *op {
            Op::Read { lba, blocks } => bench.read(id, tag, lba, blocks),
            Op::Write { lba, blocks, seed } => {
                let data = vec![seed; usize::from(blocks) * BLOCK];
                bench.write(id, tag, lba, &data);
            }
            Op::Nop { len } => {
                let len = len.min(parameters.target_max_recv_data_segment_length as usize);
                bench.nop(id, tag, tag.is_multiple_of(2), &vec![1; len]);
            }
            Op::Ready => {
                let request = bench.command(id, tag, Cdb::ready());
                bench.pdu(id, &Request::Command(request), &[]);
            }
        }
        if !matches!(op, Op::Nop { .. }) {
            assert_eq!(bench.wire(id).end_of(tag).unwrap().status, 0);
        }
    }
    assert_eq!(bench.memory.slots_in_use(), 0);
    let got = bench.wire(id).got.iter().map(|(r, _)| *r).collect();
    (got, bench)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_split_of_the_stream_gives_the_same(
        parameters in parameters(),
        ops in prop::collection::vec(op(), 1..12),
        cuts in prop::collection::vec(1_usize..9000, 1..8),
        send in 1_usize..20_000,
    ) {
        let (whole, expected) = run(&parameters, &ops, &[usize::MAX], usize::MAX);
        let (split, got) = run(&parameters, &ops, &cuts, send);
        prop_assert_eq!(whole, split);
        prop_assert!(expected.memory.disk == got.memory.disk);
    }

    #[test]
    fn a_pipeline_of_commands_ends_whole(
        parameters in parameters(),
        ops in prop::collection::vec((0_u32..500, 1_u16..60), 1..40),
        cuts in prop::collection::vec(1_usize..9000, 1..8),
        slots in 1_usize..8,
    ) {
        let mut bench = Bench::new();
        bench.memory.shrink(slots);
        bench.cuts = cuts;
        let id = bench.login(parameters.clone());
        let mut bytes = Vec::new();
        for (tag, (lba, blocks)) in ops.iter().enumerate() {
            let cdb = Cdb::read(*lba, *blocks);
            let request = bench.command(id, tag as u32, cdb);
            bytes.extend(bench.wire(id).wrap(Request::Command(request).encode(), &[]));
        }
        // As many at a time as the window always lets through.
        for chunk in bytes.chunks((48 + usize::from(parameters.header_digest) * 4) * 16) {
            bench.raw(id, chunk);
        }
        for (tag, (lba, blocks)) in ops.iter().enumerate() {
            let end = bench.wire(id).end_of(tag as u32).unwrap();
            let from = *lba as usize * BLOCK;
            prop_assert_eq!(end.status, 0);
            prop_assert!(end.data == bench.memory.disk[from..from + usize::from(*blocks) * BLOCK]);
        }
    }

    #[test]
    fn no_bytes_break_the_server(
        parameters in parameters(),
        pdus in prop::collection::vec(
            (any::<[u8; 48]>(), 0_u8..8, any::<bool>(), 0_u32..4, 0_usize..300), 1..40),
        cuts in prop::collection::vec(1_usize..500, 1..4),
        slow: bool,
    ) {
        let mut bench = Bench::new();
        bench.memory.slow = slow;
        bench.cuts = cuts;
        let parameters = Parameters { max_connections: 2, ..parameters };
        let first = bench.login(parameters.clone());
        let second = bench
            .attach(crate::login::LoggedIn {
                tsih: 1,
                cid: 2,
                ..logged_in("iqn.2026-01.test:initiator", parameters)
            })
            .unwrap();
        for (at, (mut bytes, opcode, immediate, tag, len)) in pdus.into_iter().enumerate() {
            let id = if at % 2 == 0 { first } else { second };
            if bench.wire(id).closed {
                continue;
            }
            bytes[0] = opcode | if immediate { 0x40 } else { 0 };
            bytes[4] = 0;
            bytes[8..16].fill(0);
            bytes[16..20].copy_from_slice(&tag.to_be_bytes());
            if bytes[20] < 128 {
                bytes[20..24].fill(0xFF);
            }
            let sn = 10 + at as u32 / 2 + u32::from(bytes[27] & 1);
            bytes[24..28].copy_from_slice(&sn.to_be_bytes());
            bytes[32] = [0x28, 0x2A, 0, 0x12][usize::from(bytes[32] % 4)];
            bytes[34..36].fill(0);
            bytes[36] = 0;
            if opcode == 5 {
                bytes[36..44].fill(0);
            }
            let bytes = bench.wire(id).wrap(crate::pdu::Bhs(bytes), &vec![7; len]);
            bench.raw(id, &bytes);
        }
        for id in [first, second] {
            if !bench.wire(id).closed {
                bench.cut_off(id);
            }
        }
        bench.memory.run();
        bench.turn();
        prop_assert_eq!(bench.memory.slots_in_use(), 0);
        prop_assert_eq!(bench.server.session_count(), 0);
        prop_assert!(bench.memory.open.is_empty());
    }
}

#[test]
fn a_ping_needs_no_tag_of_its_own() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.nop(id, NO_TAG, true, b"");
    assert!(bench.wire(id).got.is_empty());
}
