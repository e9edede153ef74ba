//! Order of requests, room, and task management.

use super::bench::{Cdb, logged_in};
use super::{Bench, backend::BLOCK};
use crate::login::Parameters;
use crate::pdu::{
    CommandRequest, NO_TAG, Request, Response, TaskFunction, TaskOutcome, TaskRequest,
};
use crate::server::{ConnectionId, Function, ServerConfig};

fn function(bench: &mut Bench, id: ConnectionId, function: u8, referenced: u32) -> TaskRequest {
    TaskRequest {
        immediate: true,
        function: TaskFunction::from_code(function),
        lun: [0; 8],
        task_tag: 1000,
        referenced,
        cmd_sn: bench.wire(id).cmd_sn,
        exp_stat_sn: 0,
        ref_cmd_sn: 0,
        exp_data_sn: 0,
    }
}

fn outcome(bench: &mut Bench, id: ConnectionId) -> Option<TaskOutcome> {
    bench.wire(id).got.iter().find_map(|(r, _)| match r {
        Response::Task(p) => Some(p.outcome),
        _ => None,
    })
}

#[test]
fn requests_out_of_order_wait_for_their_turn() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { initial_r2t: false, ..Parameters::default() });
    bench.pdu(id, &Request::Command(Cdb::read(0, 1).request(2, 12)), &[]);
    let mut write = Cdb::write(0, 3).request(1, 11);
    write.last = false;
    bench.pdu(id, &Request::Command(write), &[5; BLOCK]);
    bench.data_out(id, 1, NO_TAG, BLOCK, &[5; BLOCK]);
    // Twice the same number.
    bench.pdu(id, &Request::Command(Cdb::read(5, 1).request(3, 12)), &[]);
    assert!(bench.wire(id).got.is_empty());
    bench.pdu(id, &Request::Command(Cdb::ready().request(4, 10)), &[]);
    assert!(bench.wire(id).end_of(4).is_some() && bench.wire(id).end_of(2).is_some());
    assert!(bench.wire(id).end_of(3).is_none());
    bench.solicited(id, 1, &[5; 3 * BLOCK]);
    assert_eq!(bench.wire(id).end_of(1).unwrap().status, 0);
    assert_eq!(bench.memory.disk[..3 * BLOCK], [5; 3 * BLOCK]);
}

#[test]
fn a_number_that_never_comes_ends_the_session() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.pdu(id, &Request::Command(Cdb::read(0, 1).request(2, 12)), &[]);
    for tag in 0..30 {
        bench.pass(1);
        if !bench.wire(id).closed {
            bench.nop(id, tag, true, b"");
        }
    }
    assert!(bench.wire(id).closed);
}

#[test]
fn commands_wait_for_room_with_their_data() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { initial_r2t: false, ..Parameters::default() });
    bench.memory.shrink(1);
    bench.memory.slow = true;
    for tag in 0..4_u32 {
        let mut request = bench.command(id, tag, Cdb::write(tag * 2, 2));
        request.last = false;
        bench.pdu(id, &Request::Command(request), &[tag as u8; BLOCK]);
        bench.data_out(id, tag, NO_TAG, BLOCK, &[tag as u8; BLOCK]);
    }
    for tag in 0..4 {
        assert!(bench.wire(id).end_of(tag).is_none());
        bench.memory.run();
        bench.turn();
        assert_eq!(bench.wire(id).end_of(tag).unwrap().status, 0);
        assert_eq!(bench.memory.disk[tag as usize * 2 * BLOCK..][..2 * BLOCK], [tag as u8; 1024]);
    }
    assert_eq!(bench.server.sessions().next().unwrap().held, 0);
}

#[test]
fn a_write_without_immediate_data_waits_for_room_too() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
    bench.memory.shrink(1);
    bench.memory.slow = true;
    bench.read(id, 1, 0, 1);
    let request = bench.command(id, 2, Cdb::write(0, 1));
    bench.pdu(id, &Request::Command(request), &[]);
    bench.memory.run();
    bench.turn();
    bench.solicited(id, 2, &[4; BLOCK]);
    bench.memory.run();
    bench.turn();
    assert_eq!(bench.wire(id).end_of(2).unwrap().status, 0);
    assert_eq!(bench.memory.disk[..BLOCK], [4; BLOCK]);
}

#[test]
fn commands_that_wait_end_with_their_unit() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.memory.shrink(1);
    bench.memory.slow = true;
    bench.read(id, 1, 0, 1);
    let before = bench.memory.disk.clone();
    for (tag, lun) in [(2, FLAT), (3, [0, 1, 0, 0, 0, 0, 0, 0])] {
        let request = CommandRequest { lun, ..bench.command(id, tag, Cdb::write(0, 1)) };
        bench.pdu(id, &Request::Command(request), &[7; BLOCK]);
    }
    // Early: what it waits for is missing.
    let early = Cdb::write(0, 1).request(4, 14);
    bench.pdu(id, &Request::Command(early), &[7; BLOCK]);
    bench.server.unit_lost([0; 8]);
    bench.memory.run();
    bench.turn();
    bench.pdu(id, &Request::Command(Cdb::ready().request(5, 13)), &[]);
    for tag in [2, 4] {
        let ended = bench.wire(id).end_of(tag).unwrap();
        assert_eq!((ended.status, ended.sense[4], ended.sense[14]), (2, 5, 0x25), "{tag}");
    }
    assert!(bench.memory.disk == before);
    bench.memory.run();
    bench.turn();
    assert_eq!(bench.wire(id).end_of(3).unwrap().status, 0, "another unit's");
    assert_eq!(bench.wire(id).end_of(5).unwrap().status, 0, "it came later");
    assert_eq!(bench.server.sessions().next().unwrap().held, 0);
}

#[test]
fn a_command_whose_data_comes_in_to_wait_ends_with_its_unit() {
    // One that finds no room, one that is early.
    for (cmd_sn, lun) in [(11, FLAT), (12, [0; 8])] {
        let mut bench = Bench::new();
        let id = bench.login(Parameters::default());
        bench.memory.shrink(1);
        bench.memory.slow = true;
        bench.read(id, 1, 0, 1);
        let before = bench.memory.disk.clone();
        let request = Request::Command(Cdb::write(0, 1).request(2, cmd_sn));
        let bytes = bench.wire(id).wrap(request.encode(), &[7; BLOCK]);
        bench.raw(id, &bytes[..100]);
        bench.server.unit_lost([0, 1, 0, 0, 0, 0, 0, 0]);
        bench.server.unit_lost(lun);
        bench.raw(id, &bytes[100..]);
        // The next one is meant for the new unit.
        let next = Cdb::write(1, 1).request(3, 23 - cmd_sn);
        bench.pdu(id, &Request::Command(next), &[8; BLOCK]);
        for _ in 0..2 {
            bench.memory.run();
            bench.turn();
        }
        let ended = bench.wire(id).end_of(2).unwrap();
        assert_eq!((ended.status, ended.sense[4], ended.sense[14]), (2, 5, 0x25), "{cmd_sn}");
        assert!(bench.memory.disk[..BLOCK] == before[..BLOCK]);
        assert_eq!(bench.wire(id).end_of(3).unwrap().status, 0, "it came later");
        assert_eq!(bench.memory.disk[BLOCK..2 * BLOCK], [8; BLOCK]);
    }
}

#[test]
fn what_cannot_be_kept_ends_task_set_full() {
    let mut bench = Bench::with(ServerConfig { held_bytes: 1000, ..ServerConfig::default() });
    let id = bench.login(Parameters { initial_r2t: false, ..Parameters::default() });
    bench.memory.shrink(1);
    bench.memory.slow = true;
    for tag in 0..4_u32 {
        let mut request = bench.command(id, tag, Cdb::write(tag * 2, 2));
        request.last = false;
        bench.pdu(id, &Request::Command(request), &[tag as u8; BLOCK]);
        bench.data_out(id, tag, NO_TAG, BLOCK, &[tag as u8; BLOCK]);
    }
    for _ in 0..4 {
        bench.memory.run();
        bench.turn();
    }
    let statuses: Vec<_> = (0..4).map(|tag| bench.wire(id).end_of(tag).unwrap().status).collect();
    assert_eq!(statuses, [0, 0x28, 0x28, 0x28]);
}

#[test]
fn the_window_shrinks_with_the_tasks_and_opens_again() {
    let mut bench = Bench::with(ServerConfig { queue_depth: 2, ..ServerConfig::default() });
    bench.memory.slow = true;
    let id = bench.login(Parameters::default());
    for tag in 0..3 {
        bench.read(id, tag, 0, 1);
    }
    bench.memory.run();
    bench.turn();
    let ends: Vec<_> = (0..3).map(|tag| bench.wire(id).end_of(tag).is_some()).collect();
    assert_eq!(ends, [true, true, false], "the third came outside of the window");
    let window = bench.wire(id).last().unwrap().sequence();
    assert_eq!((window.exp_cmd_sn, window.max_cmd_sn), (12, 13));
}

#[test]
fn an_aborted_task_gets_no_status() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let id = bench.login(Parameters::default());
    bench.read(id, 1, 0, 1);
    bench.read(id, 2, 0, 1);
    let request = function(&mut bench, id, 1, 1);
    bench.pdu(id, &Request::Task(request), &[]);
    assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::Complete));
    bench.memory.run();
    bench.turn();
    assert!(bench.wire(id).end_of(1).is_none() && bench.wire(id).end_of(2).is_some());
    assert_eq!(bench.memory.slots_in_use(), 0);
    bench.wire(id).got.clear();
    let request = function(&mut bench, id, 1, 1);
    bench.pdu(id, &Request::Task(request), &[]);
    assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::TaskDoesNotExist));
}

#[test]
fn a_write_that_still_collects_is_aborted_and_its_data_dropped() {
    for code in [1, 2, 4, 5, 6] {
        let mut bench = Bench::new();
        let before = bench.memory.disk.clone();
        let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
        let request = bench.command(id, 1, Cdb::write(0, 600));
        bench.pdu(id, &Request::Command(request), &[]);
        let Some(Response::R2t(r2t)) = bench.wire(id).last().copied() else { panic!() };
        // Half a PDU of the data is there.
        let data = crate::pdu::DataOut {
            last: false,
            lun: [0; 8],
            task_tag: 1,
            transfer_tag: r2t.transfer_tag,
            exp_stat_sn: 0,
            data_sn: 0,
            offset: 0,
        };
        bench.pdu(id, &Request::DataOut(data), &[9; 8192]);
        let request = function(&mut bench, id, code, 1);
        bench.pdu(id, &Request::Task(request), &[]);
        assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::Complete), "{code}");
        bench.pdu(
            id,
            &Request::DataOut(crate::pdu::DataOut { data_sn: 1, offset: 8192, ..data }),
            &[9; 100],
        );
        assert!(bench.wire(id).end_of(1).is_none());
        assert!(before == bench.memory.disk && bench.memory.slots_in_use() == 0);
        bench.read(id, 2, 0, 1);
        assert!(bench.wire(id).end_of(2).is_some());
    }
}

#[test]
fn a_buffer_is_not_given_back_while_the_edge_receives_into_it() {
    let mut bench = Bench::new();
    let (id, other, rest) = aborted_while_received(&mut bench);
    bench.raw(id, &rest);
    assert_eq!(outcome(&mut bench, other), Some(TaskOutcome::Complete));
    assert_eq!(bench.memory.slots_in_use(), 0);
    assert!(bench.wire(id).end_of(1).is_none());
}

/// A write whose data the edge receives into its buffer when it is aborted on another connection:
/// both connections, and the rest of the data.
fn aborted_while_received(bench: &mut Bench) -> (ConnectionId, ConnectionId, Vec<u8>) {
    let id = bench.login(Parameters {
        target_max_recv_data_segment_length: 65_536,
        max_connections: 2,
        ..Parameters::default()
    });
    let other = bench
        .attach(crate::login::LoggedIn {
            tsih: 1,
            cid: 2,
            ..logged_in(
                "iqn.2026-01.test:initiator",
                Parameters { max_connections: 2, ..Parameters::default() },
            )
        })
        .unwrap();
    let request = Request::Command(bench.command(id, 1, Cdb::write(0, 100)));
    let bytes = bench.wire(id).wrap(request.encode(), &[3; 51_200]);
    bench.raw(id, &bytes[..1000]);
    bench.wire(other).cmd_sn = 11;
    let request = function(bench, other, 1, 1);
    bench.pdu(other, &Request::Task(request), &[]);
    assert!(matches!(bench.memory.functions[..], [Function::AbortTask { nexus: 1, .. }]));
    assert_eq!(outcome(bench, other), None);
    assert_eq!(bench.memory.slots_in_use(), 1);
    (id, other, bytes[1000..].to_vec())
}

#[test]
fn a_buffer_that_is_received_into_is_given_back_at_the_data_timeout() {
    let mut bench = Bench::new();
    let (id, other, _) = aborted_while_received(&mut bench);
    bench.pass(24);
    assert_eq!(bench.memory.slots_in_use(), 1);
    bench.pass(2);
    assert!(bench.wire(id).closed && bench.wire(other).closed);
    assert_eq!(bench.memory.slots_in_use(), 0);
}

#[test]
fn an_abort_plugs_the_hole_of_a_lost_command() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.pdu(id, &Request::Command(Cdb::ready().request(2, 11)), &[]);
    bench.wire(id).cmd_sn = 12;
    let request = TaskRequest { ref_cmd_sn: 10, ..function(&mut bench, id, 1, 1) };
    bench.pdu(id, &Request::Task(request), &[]);
    assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::Complete));
    assert!(bench.wire(id).end_of(2).is_some());
    bench.pdu(id, &Request::Command(Cdb::ready().request(1, 10)), &[]);
    assert!(bench.wire(id).end_of(1).is_none());
}

#[test]
fn functions_that_are_refused() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    for (code, expected) in [
        (3, TaskOutcome::NotSupported),
        (8, TaskOutcome::ReassignmentNotSupported),
        (9, TaskOutcome::NotSupported),
        (99, TaskOutcome::NotSupported),
    ] {
        bench.wire(id).got.clear();
        let request = function(&mut bench, id, code, 1);
        let mut bhs = Request::Task(request).encode();
        bhs.0[1] = 0x80 | code;
        let bytes = bench.wire(id).wrap(bhs, &[]);
        bench.raw(id, &bytes);
        assert_eq!(outcome(&mut bench, id), Some(expected));
    }
    bench.wire(id).got.clear();
    let request = TaskRequest { lun: [0, 9, 0, 0, 0, 0, 0, 0], ..function(&mut bench, id, 5, 0) };
    bench.pdu(id, &Request::Task(request), &[]);
    assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::LunDoesNotExist));
}

#[test]
fn a_reset_ends_the_tasks_of_all_sessions() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let id = bench.login(Parameters::default());
    let other = bench.attach(logged_in("iqn.2026-01.test:other", Parameters::default())).unwrap();
    bench.read(id, 1, 0, 1);
    bench.read(other, 1, 0, 1);
    let request = bench.command(other, 2, Cdb::write(0, 1));
    bench.pdu(other, &Request::Command(request), &[]);
    let request = function(&mut bench, id, 5, 0);
    bench.pdu(id, &Request::Task(request), &[]);
    assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::Complete));
    assert_eq!(bench.memory.slots_in_use(), 0);
    assert_eq!(bench.server.sessions().map(|s| s.tasks).collect::<Vec<_>>(), [0, 0]);

    let request = function(&mut bench, id, 7, 0);
    bench.pdu(id, &Request::Task(request), &[]);
    assert!(bench.wire(id).closed && bench.wire(other).closed, "a cold reset ends all sessions");
    assert!(matches!(bench.wire(id).last(), Some(Response::Task(_))));
    assert!(bench.memory.open.is_empty());
}

/// LUN 0 by flat space addressing.
const FLAT: [u8; 8] = [0x40, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_unit_is_the_same_in_every_form_of_its_lun() {
    for (of_task, of_function) in [(FLAT, [0; 8]), ([0; 8], FLAT)] {
        for code in [1, 2, 4, 5] {
            let mut bench = Bench::new();
            let id = bench.login(Parameters { immediate_data: false, ..Parameters::default() });
            let request = CommandRequest { lun: of_task, ..bench.command(id, 1, Cdb::write(0, 1)) };
            bench.pdu(id, &Request::Command(request), &[]);
            // Early: what it waits for is missing.
            let early = CommandRequest { lun: of_task, ..Cdb::ready().request(2, 12) };
            bench.pdu(id, &Request::Command(early), &[]);
            bench.wire(id).cmd_sn = 13;
            let request = TaskRequest { lun: of_function, ..function(&mut bench, id, code, 1) };
            bench.pdu(id, &Request::Task(request), &[]);
            assert_eq!(outcome(&mut bench, id), Some(TaskOutcome::Complete), "{code}");
            assert_eq!(bench.memory.slots_in_use(), 0, "{code}: its data is waited for");
            bench.pdu(id, &Request::Command(Cdb::ready().request(3, 11)), &[]);
            assert!(bench.wire(id).end_of(3).is_some());
            assert_eq!(bench.wire(id).end_of(2).is_some(), code == 1, "{code}: the early one");
        }
    }
}
