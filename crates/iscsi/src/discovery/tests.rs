use super::*;
use crate::access::Initiators;
use crate::config::{Auth, Offer, PortalGroup, Target};
use crate::login::Parameters;
use crate::pdu::{BHS_LEN, CommandRequest, padded};

const INITIATOR: &str = "iqn.2026-11.org.example:host";

fn config(targets: usize) -> Config {
    let target = |number: usize| Target {
        name: format!("iqn.2026-11.org.example:disk{number}"),
        alias: None,
        portal_group_tag: 1,
        auth: Auth::None,
        initiators: Initiators::All,
        redirect: None,
        available: true,
        offer: Offer::default(),
    };
    let portals = vec!["0.0.0.0:3260".parse().unwrap(), "[2001:db8::1]:860".parse().unwrap()];
    Config {
        portal_groups: vec![PortalGroup { tag: 1, portals }],
        targets: (0..targets).map(target).collect(),
        ..Config::default()
    }
}

/// A response and its data.
type Answer = (Response, Vec<u8>);

/// A session with CmdSN 10 and StatSN 20, and what it answers.
struct Session {
    config: Config,
    discovery: Discovery,
    cmd_sn: u32,
    stat_sn: u32,
}

impl Session {
    fn new(config: Config) -> Self {
        let begins = Discovering {
            initiator_name: INITIATOR.to_owned(),
            cid: 4,
            stat_sn: 20,
            exp_cmd_sn: 10,
            parameters: Parameters::default(),
        };
        Self { config, discovery: Discovery::new(begins), cmd_sn: 10, stat_sn: 20 }
    }

    fn send(&mut self, request: Request, data: &[u8]) -> (Option<Answer>, Result<(), CloseReason>) {
        let local = "192.0.2.1:3260".parse().unwrap();
        let mut out = Vec::new();
        let told = self.discovery.pdu(&self.config, local, &request.encode(), data, &mut out);
        let Some(header) = Bhs::read(&out) else { return (None, told) };
        let len = header.data_len() as usize;
        assert_eq!(out.len(), BHS_LEN + padded(len), "one PDU");
        let response = Response::parse(&header).unwrap();
        assert_eq!(response.sequence().stat_sn, self.stat_sn);
        self.stat_sn += 1;
        (Some((response, out[BHS_LEN..BHS_LEN + len].to_vec())), told)
    }

    fn text(&mut self, transfer_tag: u32, last: bool, data: &[u8]) -> (Response, Vec<u8>) {
        let request = TextRequest {
            immediate: false,
            last,
            continues: false,
            lun: [0; 8],
            task_tag: 3,
            transfer_tag,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.stat_sn,
        };
        self.cmd_sn += 1;
        let (answer, told) = self.send(Request::Text(request), data);
        assert_eq!(told, Ok(()));
        let answer = answer.unwrap();
        assert_eq!(answer.0.sequence().exp_cmd_sn, self.cmd_sn);
        answer
    }

    fn ask(&mut self, text: &str) -> String {
        let (response, data) = self.text(NO_TAG, true, text.as_bytes());
        assert!(matches!(response, Response::Text(TextResponse { last: true, .. })));
        String::from_utf8(data).unwrap()
    }
}

fn listed(number: usize) -> String {
    format!(
        "TargetName=iqn.2026-11.org.example:disk{number}\0\
         TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1]:860,1\0"
    )
}

#[test]
fn targets_are_listed() {
    let mut config = config(3);
    config.targets[1].initiators = Initiators::of(["iqn.2026-11.org.example:other"]);
    let mut session = Session::new(config);
    assert_eq!(session.ask("SendTargets=All\0"), listed(0) + &listed(2));
    assert_eq!(session.ask("SendTargets=iqn.2026-11.org.example:DISK2\0"), listed(2));
    assert_eq!(session.ask("SendTargets=iqn.2026-11.org.example:disk1\0"), "", "not to be seen");
    assert_eq!(session.ask("SendTargets=iqn.2026-11.org.example:none\0"), "");
    assert_eq!(session.ask("SendTargets=\0"), "SendTargets=Reject\0");
    assert_eq!(
        session.ask("X-Odd=1\0MaxBurstLength=512\0"),
        "X-Odd=NotUnderstood\0MaxBurstLength=Reject\0"
    );
}

#[test]
fn a_long_list_is_asked_for_piece_by_piece() {
    let mut session = Session::new(config(300));
    let (mut response, mut whole) = session.text(NO_TAG, true, b"SendTargets=All\0");
    let mut pieces = 1;
    while let Response::Text(TextResponse { last: false, continues, transfer_tag, .. }) = response {
        assert!(continues && transfer_tag != NO_TAG);
        assert!(whole.len() <= pieces * 8192);
        let (next, data) = session.text(transfer_tag, true, b"");
        whole.extend(data);
        response = next;
        pieces += 1;
    }
    assert!(pieces > 3);
    let expected: String = (0..300).map(listed).collect();
    assert_eq!(String::from_utf8(whole).unwrap(), expected);

    // A larger segment, once the initiator says so.
    let (response, data) =
        session.text(NO_TAG, true, b"MaxRecvDataSegmentLength=65536\0SendTargets=All\0");
    assert!(matches!(response, Response::Text(TextResponse { last: true, .. })));
    assert_eq!(data.len(), expected.len());
}

#[test]
fn a_question_may_be_long_too() {
    let mut session = Session::new(config(1));
    let request = |session: &Session, continues: bool, transfer_tag: u32| {
        Request::Text(TextRequest {
            immediate: false,
            last: !continues,
            continues,
            lun: [0; 8],
            task_tag: 3,
            transfer_tag,
            cmd_sn: session.cmd_sn,
            exp_stat_sn: 0,
        })
    };
    let first = request(&session, true, NO_TAG);
    let (answer, _) = session.send(first, b"SendTar");
    let Some((Response::Text(response), data)) = answer else { panic!() };
    assert!(!response.last && !response.continues && data.is_empty());
    session.cmd_sn += 1;
    let second = request(&session, false, response.transfer_tag);
    let (answer, _) = session.send(second, b"gets=All\0");
    let (_, data) = answer.unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), listed(0));
    session.cmd_sn += 1;
    let stale = request(&session, false, response.transfer_tag);
    let (answer, _) = session.send(stale, b"");
    assert!(matches!(
        answer,
        Some((Response::Reject(Reject { reason: RejectReason::InvalidPduField, .. }), _))
    ));
}

#[test]
fn pings_are_echoed_and_other_things_rejected() {
    let mut session = Session::new(config(1));
    let nop = |task_tag| {
        Request::NopOut(NopOut {
            immediate: true,
            lun: [0; 8],
            task_tag,
            transfer_tag: NO_TAG,
            cmd_sn: 10,
            exp_stat_sn: 20,
        })
    };
    let (answer, _) = session.send(nop(5), b"ping");
    let Some((Response::NopIn(response), data)) = answer else { panic!() };
    assert_eq!((response.task_tag, data.as_slice()), (5, &b"ping"[..]));
    assert!(session.send(nop(NO_TAG), b"").0.is_none());

    let command = Request::Command(CommandRequest {
        immediate: false,
        last: true,
        read: false,
        write: false,
        attribute: Default::default(),
        lun: [0; 8],
        task_tag: 6,
        expected: 0,
        cmd_sn: 10,
        exp_stat_sn: 20,
        cdb: [0; 16],
    });
    let (answer, told) = session.send(command, b"");
    let Some((Response::Reject(reject), data)) = answer else { panic!() };
    assert_eq!((told, reject.reason), (Ok(()), RejectReason::CommandNotSupported));
    assert_eq!(data, command.encode().0);
    assert_eq!(session.send(command, b"").0, None, "its number is over");
}

#[test]
fn a_logout_ends_the_session() {
    let logout = |reason, cid| {
        Request::Logout(LogoutRequest {
            immediate: true,
            reason,
            task_tag: 8,
            cid,
            cmd_sn: 10,
            exp_stat_sn: 20,
        })
    };
    for (reason, cid, outcome, ends) in [
        (LogoutReason::CloseSession, 9, LogoutOutcome::Closed, true),
        (LogoutReason::CloseConnection, 4, LogoutOutcome::Closed, true),
        (LogoutReason::CloseConnection, 5, LogoutOutcome::CidNotFound, false),
        (LogoutReason::RemoveConnection, 4, LogoutOutcome::RecoveryNotSupported, false),
    ] {
        let (answer, told) = Session::new(config(1)).send(logout(reason, cid), b"");
        let Some((Response::Logout(response), _)) = answer else { panic!() };
        assert_eq!((response.outcome, response.task_tag), (outcome, 8));
        assert_eq!(told == Err(CloseReason::LoggedOut), ends);
    }
}
