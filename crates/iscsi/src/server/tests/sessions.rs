//! The life of sessions and connections.

use super::Bench;
use super::bench::{Cdb, logged_in};
use crate::login::{LoggedIn, Parameters};
use crate::pdu::{AsyncEvent, Bhs, LogoutOutcome, LogoutReason, LogoutRequest, Request, Response};
use crate::server::{ConnectionId, Refusal, ServerConfig};

fn two() -> Parameters {
    Parameters { max_connections: 2, ..Parameters::default() }
}

fn joined(bench: &mut Bench, cid: u16, parameters: Parameters) -> Result<ConnectionId, Vec<u8>> {
    let tsih = bench.server.sessions().last().unwrap().tsih;
    bench.attach(LoggedIn { tsih, cid, ..logged_in("iqn.2026-01.test:initiator", parameters) })
}

fn logout(bench: &mut Bench, id: ConnectionId, reason: LogoutReason, cid: u16) {
    let request = LogoutRequest {
        immediate: false,
        reason,
        task_tag: 900,
        cid,
        cmd_sn: bench.wire(id).cmd_sn,
        exp_stat_sn: 0,
    };
    bench.wire(id).cmd_sn += 1;
    bench.pdu(id, &Request::Logout(request), &[]);
}

fn logged_out(bench: &mut Bench, id: ConnectionId) -> Option<LogoutOutcome> {
    bench.wire(id).got.iter().find_map(|(r, _)| match r {
        Response::Logout(p) => Some(p.outcome),
        _ => None,
    })
}

#[test]
fn a_logout_waits_for_the_tasks_it_ends() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let id = bench.login(Parameters::default());
    bench.read(id, 1, 0, 1);
    let request = bench.command(id, 2, Cdb::write(0, 1));
    bench.pdu(id, &Request::Command(request), &[]);
    logout(&mut bench, id, LogoutReason::CloseSession, 0);
    assert_eq!(logged_out(&mut bench, id), Some(LogoutOutcome::Closed));
    assert!(bench.wire(id).closed && bench.memory.open.is_empty());
    assert_eq!((bench.memory.slots_in_use(), bench.server.session_count()), (0, 0));
}

#[test]
fn logouts_that_are_refused() {
    let mut bench = Bench::new();
    let id = bench.login(two());
    logout(&mut bench, id, LogoutReason::RemoveConnection, 1);
    assert_eq!(logged_out(&mut bench, id), Some(LogoutOutcome::RecoveryNotSupported));
    bench.wire(id).got.clear();
    logout(&mut bench, id, LogoutReason::CloseConnection, 77);
    assert_eq!(logged_out(&mut bench, id), Some(LogoutOutcome::CidNotFound));
    assert!(!bench.wire(id).closed);
}

#[test]
fn a_session_of_two_connections_has_one_order() {
    let mut bench = Bench::new();
    let first = bench.login(two());
    let second = joined(&mut bench, 2, two()).unwrap();
    assert_eq!(bench.wire(second).welcome[14..16], [0, 1]);
    bench.pdu(second, &Request::Command(Cdb::read(0, 1).request(2, 11)), &[]);
    assert!(bench.wire(second).got.is_empty());
    bench.pdu(first, &Request::Command(Cdb::read(0, 1).request(1, 10)), &[]);
    assert!(bench.wire(first).end_of(1).is_some() && bench.wire(first).end_of(2).is_none());
    assert!(bench.wire(second).end_of(2).is_some(), "each answer goes where its command came");
    let refusal = joined(&mut bench, 3, two()).unwrap_err();
    assert_eq!(Bhs::read(&refusal).unwrap().half::<36>(), 0x0206);
    assert_eq!(bench.memory.open.len(), 1);
}

#[test]
fn one_connection_of_two_logs_out() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let first = bench.login(two());
    let second = joined(&mut bench, 2, two()).unwrap();
    bench.pdu(first, &Request::Command(Cdb::read(0, 1).request(1, 10)), &[]);
    bench.pdu(second, &Request::Command(Cdb::read(0, 1).request(2, 11)), &[]);
    bench.wire(first).cmd_sn = 12;
    logout(&mut bench, first, LogoutReason::CloseConnection, 2);
    assert_eq!(logged_out(&mut bench, first), Some(LogoutOutcome::Closed));
    assert!(bench.wire(second).closed && !bench.wire(first).closed);
    bench.memory.run();
    bench.turn();
    assert!(bench.wire(first).end_of(1).is_some() && bench.wire(second).end_of(2).is_none());
    assert_eq!(bench.server.sessions().next().unwrap().connections.len(), 1);
    logout(&mut bench, first, LogoutReason::CloseConnection, 1);
    assert_eq!(bench.server.session_count(), 0);
}

#[test]
fn the_loss_of_a_connection_ends_the_session() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let first = bench.login(two());
    let second = joined(&mut bench, 2, two()).unwrap();
    bench.read(first, 1, 0, 8);
    bench.cut_off(second);
    assert!(bench.wire(first).closed && bench.memory.open.is_empty());
    assert_eq!((bench.memory.slots_in_use(), bench.server.session_count()), (0, 0));
}

#[test]
fn a_connection_is_reinstated() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let first = bench.login(two());
    bench.read(first, 1, 0, 1);
    let again = joined(&mut bench, 1, two()).unwrap();
    assert!(bench.wire(first).closed && !bench.wire(again).closed);
    assert_eq!((bench.server.session_count(), bench.memory.slots_in_use()), (1, 0));
    bench.pdu(again, &Request::Command(Cdb::ready().request(1, 11)), &[]);
    assert!(bench.wire(again).end_of(1).is_some());
}

#[test]
fn a_reinstated_connection_waits_for_the_tasks_of_the_old_one() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let old = bench.login(Parameters::default());
    let request = bench.command(old, 1, Cdb::write(0, 1));
    bench.pdu(old, &Request::Command(request), &[7; 512]);
    // The backend is slow to abort: the write is in its driver.
    let tsih = bench.server.sessions().last().unwrap().tsih;
    let login = LoggedIn { tsih, ..logged_in("iqn.2026-01.test:initiator", Parameters::default()) };
    let lost = bench.server.attach(bench.now, &mut bench.memory, login.clone()).unwrap();
    let held = std::mem::take(&mut bench.memory.answers);
    assert_eq!((held.len(), bench.server.session_count()), (1, 1));
    assert_eq!(bench.server.output_len(lost), 0, "no welcome yet");
    // Once more, before the first has been welcomed.
    let id = bench.server.attach(bench.now, &mut bench.memory, login).unwrap();
    assert!(bench.server.is_closing(lost) && bench.server.is_closing(old));
    bench.server.disconnect(bench.now, &mut bench.memory, lost);
    let got = bench.server.receive(bench.now, &mut bench.memory, id, &[]);
    assert_eq!(got.want, crate::server::Want::Stalled);
    assert_eq!(bench.server.output_len(id), 0, "the write may still land");
    bench.memory.answers = held;
    bench.turn();
    assert_eq!((bench.server.output_len(id), bench.server.closing(id)), (48, None));
    assert_eq!((bench.memory.open.len(), bench.server.session_count()), (1, 1));
    assert_eq!(bench.memory.slots_in_use(), 0);
    assert!(bench.wire(old).closed);
}

#[test]
fn a_session_ends_with_the_connection_that_waits_to_be_reinstated() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let old = bench.login(Parameters::default());
    bench.read(old, 1, 0, 1);
    let tsih = bench.server.sessions().last().unwrap().tsih;
    let login = LoggedIn { tsih, ..logged_in("iqn.2026-01.test:initiator", Parameters::default()) };
    let id = bench.server.attach(bench.now, &mut bench.memory, login).unwrap();
    bench.server.disconnect(bench.now, &mut bench.memory, id);
    bench.turn();
    assert_eq!((bench.server.session_count(), bench.memory.open.len()), (0, 0));
    assert_eq!(bench.memory.slots_in_use(), 0);
}

#[test]
fn a_connection_that_is_cut_off_in_its_logout_has_ended_when_its_tasks_have() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let first = bench.login(two());
    let second = joined(&mut bench, 2, two()).unwrap();
    bench.pdu(first, &Request::Command(Cdb::read(0, 1).request(1, 10)), &[]);
    bench.pdu(second, &Request::Command(Cdb::read(0, 1).request(2, 11)), &[]);
    bench.wire(first).cmd_sn = 12;
    // The edge hears of the logout, and of the end of the socket, before the backend ends the task.
    let request = LogoutRequest {
        immediate: true,
        reason: LogoutReason::CloseConnection,
        task_tag: 900,
        cid: 2,
        cmd_sn: 12,
        exp_stat_sn: 0,
    };
    let bytes = bench.wire(first).wrap(Request::Logout(request).encode(), &[]);
    let (now, memory) = (bench.now, &mut bench.memory);
    bench.server.receive(now, memory, first, &bytes);
    bench.wires.get_mut(&second).unwrap().closed = true;
    let held = std::mem::take(&mut bench.memory.answers);
    assert_eq!(held.len(), 1);
    bench.server.disconnect(bench.now, &mut bench.memory, second);
    bench.turn();
    assert_eq!(logged_out(&mut bench, first), None, "its read is in the driver");
    bench.memory.answers = held;
    bench.turn();
    assert_eq!(logged_out(&mut bench, first), Some(LogoutOutcome::Closed));
    assert!(!bench.wire(first).closed);
}

#[test]
fn a_reinstated_session_waits_for_the_end_of_the_old_one() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let old = bench.login(Parameters::default());
    bench.read(old, 1, 0, 1);
    // The backend is slow to abort: the read is in its driver.
    let answers = |bench: &mut Bench| std::mem::take(&mut bench.memory.answers);
    let new = logged_in("iqn.2026-01.test:initiator", Parameters::default());
    let id = bench.server.attach(bench.now, &mut bench.memory, new).unwrap();
    let held = answers(&mut bench);
    assert_eq!((held.len(), bench.memory.open.len()), (1, 0));
    assert_eq!(bench.server.output_len(id), 0, "no welcome yet");
    let got = bench.server.receive(bench.now, &mut bench.memory, id, &[]);
    assert_eq!(got.want, crate::server::Want::Stalled);
    bench.memory.answers = held;
    bench.turn();
    assert_eq!(bench.server.output_len(id), 48);
    assert!(bench.server.drain_changed().next().is_none());
    assert_eq!((bench.memory.open.len(), bench.server.session_count()), (1, 1));
    assert!(bench.wire(old).closed);
}

#[test]
fn sessions_are_bounded() {
    let mut bench = Bench::with(ServerConfig { max_sessions: 2, ..ServerConfig::default() });
    for name in ["iqn.a", "iqn.b"] {
        bench.attach(logged_in(name, Parameters::default())).unwrap();
    }
    let refusal = bench.attach(logged_in("iqn.c", Parameters::default())).unwrap_err();
    assert_eq!(Bhs::read(&refusal).unwrap().half::<36>(), 0x0302);
    bench.attach(logged_in("iqn.a", Parameters::default())).unwrap();
}

#[test]
fn a_target_that_stops_asks_for_logouts_and_drops_the_rest() {
    let mut bench = Bench::new();
    let id = bench.login(Parameters::default());
    bench.server.request_logout(&bench.memory, 10);
    bench.turn();
    let Some(Response::Async(message)) = bench.wire(id).last().copied() else { panic!() };
    assert_eq!(message.event, AsyncEvent::LogoutRequest { within: 10 });
    bench.server.drop_sessions(bench.now, &mut bench.memory);
    bench.turn();
    let Some(Response::Async(message)) = bench.wire(id).last().copied() else { panic!() };
    assert!(matches!(message.event, AsyncEvent::DropSession(_)));
    assert!(bench.wire(id).closed && bench.memory.open.is_empty());
}

fn of(user: Option<&str>, tsih: u16, cid: u16) -> LoggedIn {
    let user = user.map(str::to_owned);
    LoggedIn { user, tsih, cid, ..logged_in("iqn.2026-01.test:initiator", two()) }
}

#[test]
fn a_session_is_its_users() {
    let mut bench = Bench::new();
    let ann = bench.attach(of(Some("ann"), 0, 1)).unwrap();
    let tsih = bench.server.sessions().last().unwrap().tsih;
    for stranger in [Some("eve"), None] {
        let refusal = bench.attach(of(stranger, 0, 1)).unwrap_err();
        assert_eq!(Bhs::read(&refusal).unwrap().half::<36>(), 0x0201, "reinstatement");
        for cid in [1, 2] {
            let refusal = bench.attach(of(stranger, tsih, cid)).unwrap_err();
            assert_eq!(Bhs::read(&refusal).unwrap().half::<36>(), 0x020A, "joining");
        }
        let now = bench.now;
        let refused = bench.server.attach(now, &mut bench.memory, of(stranger, 0, 1));
        assert_eq!(refused.unwrap_err().reason, Refusal::AnotherUser);
    }
    bench.pdu(ann, &Request::Command(Cdb::ready().request(1, 10)), &[]);
    assert!(bench.wire(ann).end_of(1).is_some() && !bench.wire(ann).closed);

    bench.attach(of(Some("ann"), tsih, 2)).unwrap();
    bench.attach(of(Some("ann"), 0, 1)).unwrap();
    assert!(bench.wire(ann).closed, "her own login takes its place");
    assert_eq!(bench.server.session_count(), 1);
}

#[test]
fn a_session_from_before_there_were_users_is_anyones() {
    let mut bench = Bench::new();
    let old = bench.attach(of(None, 0, 1)).unwrap();
    bench.attach(of(Some("ann"), 0, 1)).unwrap();
    assert!(bench.wire(old).closed);
}

#[test]
fn a_login_that_waits_for_its_session_is_its_users() {
    let mut bench = Bench::new();
    bench.memory.slow = true;
    let old = bench.attach(of(Some("ann"), 0, 1)).unwrap();
    bench.read(old, 1, 0, 1);
    let now = bench.now;
    let ann = bench.server.attach(now, &mut bench.memory, of(Some("ann"), 0, 1)).unwrap();
    let held = std::mem::take(&mut bench.memory.answers);
    let eve = bench.server.attach(now, &mut bench.memory, of(Some("eve"), 0, 1));
    assert_eq!(eve.unwrap_err().reason, Refusal::AnotherUser);
    bench.memory.answers = held;
    bench.turn();
    assert_eq!((bench.server.output_len(ann), bench.server.closing(ann)), (48, None));
}
