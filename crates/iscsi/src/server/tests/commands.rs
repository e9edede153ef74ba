//! Commands that go well.

use super::bench::Cdb;
use super::{Bench, backend::BLOCK};
use crate::login::Parameters;
use crate::pdu::{NO_TAG, Request, Residual, Response, TextRequest};

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[test]
fn the_final_login_response_is_filled_in() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let welcome = bench.wire(id).welcome.clone();
    assert_eq!(welcome[14..16], [0, 1], "TSIH");
    assert_eq!(welcome[24..28], 100_u32.to_be_bytes());
    assert_eq!(welcome[28..32], 10_u32.to_be_bytes());
    assert_eq!(welcome[32..36], 41_u32.to_be_bytes(), "as many as the backend has slots");
    assert_eq!(bench.memory.nexuses, ["iqn.2026-01.test:initiator,i,0x800000000001"]);
}

#[test]
fn a_read_comes_in_as_many_pieces_as_must_be() {
    let mut bench = Bench::new();
    let parameters = Parameters {
        initiator_max_recv_data_segment_length: 4096,
        max_burst_length: 10_000,
        ..Parameters::default()
    };
    let id = bench.login(parameters);
    bench.read(id, 1, 3, 64);
    let end = bench.wire(id).end_of(1).unwrap();
    assert_eq!((end.status, end.residual), (0, Residual::None));
    assert_eq!(end.data, bench.memory.disk[3 * BLOCK..67 * BLOCK]);
    // 4096 + 4096 + 1808 bytes a burst.
    assert_eq!(end.pdus, 10);
    let bursts =
        bench.wire(id).got.iter().filter(|(r, _)| matches!(r, Response::DataIn(p) if p.last));
    assert_eq!(bursts.count(), 4);
    assert_eq!(bench.memory.slots_in_use(), 0);
}

#[test]
fn writes_with_all_ways_of_sending_data() {
    for initial_r2t in [false, true] {
        for immediate_data in [false, true] {
            for digest in [false, true] {
                for max_outstanding_r2t in [1, 4] {
                    let mut bench = Bench::new();
                    let id = bench.login(Parameters {
                        initial_r2t,
                        immediate_data,
                        max_outstanding_r2t,
                        header_digest: digest,
                        data_digest: digest,
                        first_burst_length: 16_384,
                        max_burst_length: 32_768,
                        ..Parameters::default()
                    });
                    for (tag, blocks) in [(1, 1), (2, 20), (3, 32), (4, 500)] {
                        let data = pattern(blocks * BLOCK, tag as u8);
                        bench.write(id, tag, 7, &data);
                        let end = bench.wire(id).end_of(tag).unwrap();
                        assert_eq!((end.status, end.residual), (0, Residual::None));
                        assert_eq!(bench.memory.disk[7 * BLOCK..][..data.len()], data);
                        bench.read(id, tag + 100, 7, blocks as u16);
                        assert_eq!(bench.wire(id).end_of(tag + 100).unwrap().data, data);
                    }
                    assert_eq!(bench.memory.slots_in_use(), 0);
                }
            }
        }
    }
}

#[test]
fn residuals_of_reads() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    for (tag, expected, residual, moved) in [
        (1, 0, Residual::Overflow(512), 0),
        (2, 200, Residual::Overflow(312), 200),
        (3, 10_000, Residual::Underflow(9488), 512),
    ] {
        let request = bench.command(id, tag, Cdb { expected, ..Cdb::read(0, 1) });
        bench.pdu(id, &Request::Command(request), &[]);
        let end = bench.wire(id).end_of(tag).unwrap();
        assert_eq!((end.status, end.residual, end.data.len()), (0, residual, moved));
    }
}

#[test]
fn residuals_of_writes() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { initial_r2t: false, ..Parameters::default() });
    let before = bench.memory.disk.clone();
    for (tag, expected, residual) in [
        (1, 0, Residual::Overflow(512)),
        (2, 200, Residual::Overflow(312)),
        (3, 10_000, Residual::Underflow(9488)),
    ] {
        let mut request = bench.command(id, tag, Cdb { expected, ..Cdb::write(9, 1) });
        let data = vec![tag as u8; expected as usize];
        let now = data.len().min(8192);
        request.last = now == data.len();
        bench.pdu(id, &Request::Command(request), &data[..now]);
        if now != data.len() {
            bench.data_out(id, tag, NO_TAG, now, &data[now..]);
        }
        let end = bench.wire(id).end_of(tag).unwrap();
        assert_eq!((end.status, end.residual), (0, residual), "{tag}");
    }
    assert_eq!(bench.memory.disk[9 * BLOCK..10 * BLOCK], [3; BLOCK]);
    assert_eq!(bench.memory.disk[10 * BLOCK..], before[10 * BLOCK..], "what has no place");
}

#[test]
fn a_command_of_the_wrong_direction_moves_nothing() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let before = bench.memory.disk.clone();
    // Data that the initiator does not send cannot be written.
    let request = bench.command(id, 1, Cdb { read: true, write: false, ..Cdb::write(0, 1) });
    bench.pdu(id, &Request::Command(request), &[]);
    let end = bench.wire(id).end_of(1).unwrap();
    assert_eq!((end.status, end.sense[4], end.sense[14], end.sense[15]), (2, 5, 0x0E, 3));
    // A read is executed: none of it is sent, and what came is dropped.
    for (tag, immediate) in [(2, 0), (3, 512)] {
        let request = bench.command(id, tag, Cdb { read: false, write: true, ..Cdb::read(0, 1) });
        bench.pdu(id, &Request::Command(request), &[0; 512][..immediate]);
        let end = bench.wire(id).end_of(tag).unwrap();
        assert_eq!((end.status, end.residual), (0, Residual::Underflow(512)));
        assert!(end.sense.is_empty() && end.data.is_empty());
    }
    assert!(before == bench.memory.disk && bench.memory.slots_in_use() == 0);
}

#[test]
fn an_answer_of_the_host_waits_for_data_that_is_on_its_way() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { initial_r2t: false, ..Parameters::default() });
    let mut request = bench.command(id, 1, Cdb::write(1 << 20, 20));
    request.last = false;
    bench.pdu(id, &Request::Command(request), &[0; 512]);
    assert_eq!(bench.wire(id).end_of(1), None);
    bench.data_out(id, 1, NO_TAG, 512, &[0; 512]);
    let end = bench.wire(id).end_of(1).unwrap();
    assert_eq!((end.status, end.residual), (2, Residual::Underflow(10_240)));
    assert_eq!(end.sense[..3], [0, 18, 0x70]);
}

#[test]
fn nops_and_text() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.nop(id, 5, false, b"hello");
    bench.nop(id, 6, true, b"");
    bench.nop(id, NO_TAG, true, b"");
    let got = bench.wire(id).got.clone();
    assert_eq!(got.len(), 2);
    assert!(matches!(got[0].0, Response::NopIn(p) if p.task_tag == 5 && p.transfer_tag == NO_TAG));
    assert_eq!(got[0].1, b"hello");
    let text = TextRequest {
        immediate: true,
        last: true,
        continues: false,
        lun: [0; 8],
        task_tag: 7,
        transfer_tag: NO_TAG,
        cmd_sn: 0,
        exp_stat_sn: 0,
    };
    bench.pdu(id, &Request::Text(text), b"SendTargets=\0X-odd=1\0");
    assert_eq!(
        bench.wire(id).got.last().unwrap().1,
        b"TargetName=iqn.2026-01.test:target\0TargetAddress=127.0.0.1:3260,1\0X-odd=NotUnderstood\0"
    );
    bench.pdu(id, &Request::Text(text), b"SendTargets=All\0MaxBurstLength=512\0");
    assert_eq!(
        bench.wire(id).got.last().unwrap().1,
        b"SendTargets=Reject\0MaxBurstLength=Reject\0"
    );
}

#[test]
fn host_data_goes_with_the_answer() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let mut cdb = Cdb::ready();
    cdb.bytes[0] = 0x12;
    let request = bench.command(id, 1, Cdb { expected: 255, read: true, ..cdb });
    bench.pdu(id, &Request::Command(request), &[]);
    let end = bench.wire(id).end_of(1).unwrap();
    assert_eq!((end.data.len(), end.residual, end.pdus), (36, Residual::Underflow(219), 1));
}
