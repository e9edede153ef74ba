//! What goes wrong, and what it costs.

use super::bench::{Cdb, logged_in};
use super::{Bench, backend::BLOCK};
use crate::login::Parameters;
use crate::pdu::{Bhs, DataOut, NO_TAG, RejectReason, Request, Response, Snack};
use crate::server::{ConnectionId, ServerConfig};

fn unsolicited(data_sn: u32, offset: u32, last: bool) -> Request {
    Request::DataOut(DataOut {
        last,
        lun: [0; 8],
        task_tag: 1,
        transfer_tag: NO_TAG,
        exp_stat_sn: 0,
        data_sn,
        offset,
    })
}

/// A write of two blocks, all of its data unsolicited in PDUs of one block.
fn two_blocks(bench: &mut Bench) -> ConnectionId {
    let id = bench.login(Parameters {
        initial_r2t: false,
        immediate_data: false,
        target_max_recv_data_segment_length: 512,
        ..Parameters::default()
    });
    let mut request = bench.command(id, 1, Cdb::write(0, 2));
    request.last = false;
    bench.pdu(id, &Request::Command(request), &[]);
    id
}

fn reject_of(bench: &mut Bench, id: ConnectionId) -> Option<RejectReason> {
    bench.wire(id).got.iter().find_map(|(r, _)| match r {
        Response::Reject(reject) => Some(reject.reason),
        _ => None,
    })
}

#[test]
fn data_with_a_wrong_number_fails_the_write_alone() {
    for numbers in [[0, 0], [1, 0], [27, 28], [u32::MAX, 0]] {
        let mut bench = Bench::new();
        let before = bench.memory.disk.clone();
        let id = two_blocks(&mut bench);
        bench.pdu(id, &unsolicited(numbers[0], 0, false), &[1; BLOCK]);
        assert_eq!(bench.wire(id).end_of(1), None, "not before the end of the sequence");
        bench.pdu(id, &unsolicited(numbers[1], 512, true), &[1; BLOCK]);
        let end = bench.wire(id).end_of(1).unwrap();
        assert_eq!((end.status, end.sense[4], end.sense[14], end.sense[15]), (2, 0x0B, 0x47, 5));
        assert!(before == bench.memory.disk && bench.memory.slots_in_use() == 0);
        bench.read(id, 2, 0, 1);
        assert!(bench.wire(id).end_of(2).is_some());
    }
}

#[test]
fn data_at_a_wrong_offset_or_too_much_of_it_fails_the_write() {
    for (first, second) in [(0, 1024), (512, 512), (0, 0)] {
        let mut bench = Bench::new();
        let id = two_blocks(&mut bench);
        bench.pdu(id, &unsolicited(0, first, false), &[1; BLOCK]);
        bench.pdu(id, &unsolicited(1, second, true), &[1; BLOCK]);
        let end = bench.wire(id).end_of(1).unwrap();
        assert_eq!((end.status, end.sense[14], end.sense[15]), (2, 0x0C, 0x0D));
    }
    let mut bench = Bench::new();
    let id = two_blocks(&mut bench);
    for sn in 0..3 {
        bench.pdu(id, &unsolicited(sn, sn * 512, sn == 2), &[1; BLOCK]);
    }
    assert_eq!(bench.wire(id).end_of(1).unwrap().sense[14..16], [0x0C, 0x0D]);
}

#[test]
fn unsolicited_data_that_was_not_agreed_on() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
    let request = bench.command(id, 1, Cdb::write(0, 1));
    bench.pdu(id, &Request::Command(request), &[1; BLOCK]);
    assert_eq!(bench.wire(id).end_of(1).unwrap().sense[14..16], [0x0C, 0x0C]);

    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let mut request = bench.command(id, 1, Cdb::write(0, 2));
    request.last = false;
    bench.pdu(id, &Request::Command(request), &[]);
    bench.pdu(id, &unsolicited(0, 0, true), &[1; BLOCK]);
    let r2t_outstanding = bench.wire(id).end_of(1);
    assert_eq!(r2t_outstanding, None, "the R2T is answered first");
    bench.solicited(id, 1, &[1; 2 * BLOCK]);
    assert_eq!(bench.wire(id).end_of(1).unwrap().sense[14..16], [0x0C, 0x0C]);
}

#[test]
fn a_short_sequence_and_a_foreign_transfer_tag() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
    let request = bench.command(id, 1, Cdb::write(0, 4));
    bench.pdu(id, &Request::Command(request), &[]);
    let Some(Response::R2t(r2t)) = bench.wire(id).last().copied() else { panic!() };
    bench.data_out(id, 1, r2t.transfer_tag + 1, 0, &[1; BLOCK]);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::InvalidPduField));
    bench.data_out(id, 1, r2t.transfer_tag, 0, &[1; BLOCK]);
    assert_eq!(bench.wire(id).end_of(1).unwrap().sense[14..16], [0x0C, 0x0D]);
    // Data of a task that is gone is dropped.
    let before = bench.wire(id).got.len();
    bench.data_out(id, 1, r2t.transfer_tag, 0, &[1; BLOCK]);
    bench.data_out(id, 77, NO_TAG, 0, &[1; BLOCK]);
    assert_eq!(bench.wire(id).got.len(), before);
}

#[test]
fn a_wrong_header_digest_ends_the_session() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { header_digest: true, ..Parameters::default() });
    let request = bench.command(id, 1, Cdb::ready());
    let mut bytes = bench.wire(id).wrap(Request::Command(request).encode(), &[]);
    bytes[50] ^= 1;
    bench.raw(id, &bytes);
    assert!(bench.wire(id).closed && bench.wire(id).got.is_empty());
    assert!(bench.memory.open.is_empty() && bench.server.session_count() == 0);
}

#[test]
fn a_wrong_data_digest_costs_the_write_or_the_session() {
    let parameters = Parameters {
        data_digest: true,
        immediate_data: false,
        first_burst_length: 512,
        ..Parameters::default()
    };
    let mut bench = Bench::new();
    let id = bench.login(parameters.clone());
    let request = bench.command(id, 1, Cdb::write(0, 1));
    bench.pdu(id, &Request::Command(request), &[]);
    let Some(Response::R2t(r2t)) = bench.wire(id).last().copied() else { panic!() };
    let data = Request::DataOut(DataOut {
        last: true,
        lun: [0; 8],
        task_tag: 1,
        transfer_tag: r2t.transfer_tag,
        exp_stat_sn: 0,
        data_sn: 0,
        offset: 0,
    });
    let mut bytes = bench.wire(id).wrap(data.encode(), &[1; BLOCK]);
    bytes[60] ^= 1;
    bench.raw(id, &bytes);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::DataDigestError));
    assert_eq!(bench.wire(id).end_of(1).unwrap().sense[14..16], [0x47, 5]);
    assert!(!bench.wire(id).closed);

    let id = bench.login(Parameters { immediate_data: true, ..parameters });
    let request = bench.command(id, 1, Cdb::write(0, 1));
    let mut bytes = bench.wire(id).wrap(Request::Command(request).encode(), &[1; BLOCK]);
    bytes[60] ^= 1;
    bench.raw(id, &bytes);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::DataDigestError));
    assert!(bench.wire(id).closed && bench.memory.slots_in_use() == 0);
}

#[test]
fn what_is_rejected_leaves_its_number_unused() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let mut unknown = Request::Command(bench.command(id, 1, Cdb::ready())).encode();
    unknown.0[0] = 0x07;
    let bytes = bench.wire(id).wrap(unknown, &[]);
    bench.raw(id, &bytes);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::CommandNotSupported));
    assert_eq!(bench.wire(id).got[0].1, unknown.0, "the rejected header");
    bench.wire(id).got.clear();
    let snack = Snack {
        kind: 0,
        lun: [0; 8],
        task_tag: 1,
        transfer_tag: NO_TAG,
        exp_stat_sn: 0,
        first: 0,
        count: 0,
    };
    bench.pdu(id, &Request::Snack(snack), &[]);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::SnackReject));
    bench.wire(id).cmd_sn -= 1;
    bench.read(id, 2, 0, 1);
    assert!(bench.wire(id).end_of(2).is_some());
}

#[test]
fn a_segment_that_is_too_long_ends_the_session() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let mut bhs = Request::Command(bench.command(id, 1, Cdb::write(0, 100))).encode();
    bhs.set_data_len(8193);
    bench.raw(id, &bhs.0);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::ProtocolError));
    assert!(bench.wire(id).closed && bench.memory.open.is_empty());
}

#[test]
fn numbers_outside_of_the_window_are_ignored() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    let max = 41;
    for sn in [max + 1, 9, 10_u32.wrapping_sub(1 << 30)] {
        bench.pdu(id, &Request::Command(Cdb::ready().request(1, sn)), &[]);
        let mut write = Cdb::write(0, 1).request(1, sn);
        write.last = true;
        bench.pdu(id, &Request::Command(write), &[1; BLOCK]);
        assert!(bench.wire(id).got.is_empty());
    }
    bench.pdu(id, &Request::Command(Cdb::ready().request(1, 10)), &[]);
    assert!(bench.wire(id).end_of(1).is_some());
    // A duplicate.
    bench.wire(id).got.clear();
    bench.pdu(id, &Request::Command(Cdb::ready().request(2, 10)), &[]);
    assert!(bench.wire(id).got.is_empty());
}

#[test]
fn a_tag_in_use_is_rejected() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let id = bench.login(Parameters::default());
    bench.read(id, 1, 0, 1);
    bench.read(id, 1, 0, 1);
    assert_eq!(reject_of(&mut bench, id), Some(RejectReason::TaskInProgress));
    bench.memory.run();
    bench.turn();
    assert!(bench.wire(id).end_of(1).is_some());
}

#[test]
fn data_that_does_not_come_ends_the_session() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
    let request = bench.command(id, 1, Cdb::write(0, 1));
    bench.pdu(id, &Request::Command(request), &[]);
    for tag in 100..120 {
        bench.pass(1);
        bench.nop(id, tag, true, b"");
    }
    assert!(!bench.wire(id).closed);
    for tag in 200..210 {
        bench.pass(1);
        if !bench.wire(id).closed {
            bench.nop(id, tag, true, b"");
        }
    }
    assert!(bench.wire(id).closed && bench.memory.slots_in_use() == 0);
}

/// Sends the data of a write of 16 KiB as a drip of `len` bytes every ten seconds; how many of them
/// it takes until the session ends.
fn drip(len: usize) -> usize {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
    let request = bench.command(id, 1, Cdb::write(0, 32));
    bench.pdu(id, &Request::Command(request), &[]);
    let Some(Response::R2t(r2t)) = bench.wire(id).last().copied() else { panic!() };
    for count in 0..100 {
        if bench.wire(id).closed {
            assert_eq!(bench.memory.slots_in_use(), 0);
            return count;
        }
        bench.pdu(
            id,
            &Request::DataOut(DataOut {
                last: false,
                lun: [0; 8],
                task_tag: 1,
                transfer_tag: r2t.transfer_tag,
                exp_stat_sn: 0,
                data_sn: count as u32,
                offset: (count * len) as u32,
            }),
            &vec![0; len],
        );
        bench.pass(10);
    }
    panic!("a buffer is held for ever")
}

#[test]
fn a_drip_of_data_does_not_hold_a_buffer_for_ever() {
    assert_eq!(drip(0), 3, "no data at all: 25 s");
    assert_eq!(drip(1), 3, "next to none");
    // 4 KiB are worth half a second.
    assert_eq!(drip(4096), 3);
}

#[test]
fn slow_data_is_waited_for() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
    let request = bench.command(id, 1, Cdb::write(0, 1024));
    bench.pdu(id, &Request::Command(request), &[]);
    let mut sent = 0;
    // 64 KiB every six seconds.
    while let Some(r2t) = bench.wire(id).got.iter().find_map(|(r, _)| match r {
        Response::R2t(r2t) if r2t.offset == sent => Some(*r2t),
        _ => None,
    }) {
        for (data_sn, offset) in (0..).zip((r2t.offset..r2t.offset + r2t.length).step_by(8192)) {
            bench.pdu(
                id,
                &Request::DataOut(DataOut {
                    last: offset + 8192 == r2t.offset + r2t.length,
                    lun: [0; 8],
                    task_tag: 1,
                    transfer_tag: r2t.transfer_tag,
                    exp_stat_sn: 0,
                    data_sn,
                    offset,
                }),
                &[1; 8192],
            );
            if offset % 65_536 == 0 {
                bench.pass(6);
            }
        }
        sent = r2t.offset + r2t.length;
    }
    assert_eq!(sent, 1024 * 512);
    assert_eq!(bench.wire(id).end_of(1).unwrap().status, 0);
}

#[test]
fn a_silent_peer_is_asked_and_given_up() {
    let mut bench = Bench::with(ServerConfig {
        nop_timeout: core::time::Duration::from_secs(10),
        ..ServerConfig::default()
    });
    let id = bench.login(Parameters::default());
    bench.pass(16);
    assert!(matches!(
        bench.wire(id).last(),
        Some(Response::NopIn(p)) if p.task_tag == NO_TAG && p.transfer_tag != NO_TAG
    ));
    bench.nop(id, NO_TAG, true, b"");
    bench.pass(16);
    assert_eq!(bench.wire(id).got.len(), 2);
    assert!(!bench.wire(id).closed);
    bench.pass(15);
    assert!(bench.wire(id).closed && bench.memory.open.is_empty());
}

#[test]
fn output_that_nobody_takes_stalls_the_input() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.send = 0;
    for tag in 0..400 {
        bench.nop(id, tag, true, &[7; 8000]);
    }
    let waiting = bench.server.output_len(id);
    assert!(waiting > 1 << 20 && waiting < (1 << 20) + 20_000, "{waiting}");
    bench.send = usize::MAX;
    bench.turn();
    assert_eq!(bench.wire(id).got.len(), 400);
}

#[test]
fn a_refused_login_says_why() {
    let mut bench = Bench::new();
    let unknown = crate::login::LoggedIn { tsih: 9, ..logged_in("iqn.a", Parameters::default()) };
    let refusal = bench.attach(unknown).unwrap_err();
    let bhs = Bhs::read(&refusal).unwrap();
    assert_eq!((bhs.opcode(), bhs.flags(), bhs.half::<36>()), (0x23, 0, 0x020A));
}
