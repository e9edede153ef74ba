use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::access::Initiators;
use crate::chap::{Algorithm, ChapError, Credentials, Secret};
use crate::config::{Auth, Digests, Offer, PortalGroup, Redirect, Target};
use crate::initiator::login::{Agreed, FailedLogin, InitiatorLogin, Wishes};
use crate::login::Parameters;
use crate::pdu::{LoginResponse, Stage, Status};
use crate::text;

const INITIATOR: &str = "iqn.2026-11.org.example:host";
const TARGET: &str = "iqn.2026-11.org.example:disk";
const NOW: Time = Time::from_nanos(1_000_000_000);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn local() -> SocketAddr {
    at("192.0.2.1:3260")
}

fn target() -> Target {
    Target {
        name: TARGET.to_owned(),
        alias: Some("a disk".to_owned()),
        portal_group_tag: 1,
        auth: Auth::None,
        initiators: Initiators::All,
        redirect: None,
        available: true,
        offer: Offer::default(),
    }
}

fn config_of(target: Target) -> Config {
    let portals = vec![at("0.0.0.0:3260")];
    Config {
        portal_groups: vec![PortalGroup { tag: 1, portals }],
        targets: vec![target],
        ..Config::default()
    }
}

fn login_at(config: Config) -> Login {
    Login::new(NOW, &Arc::new(config), at("192.0.2.9:50000"), local())
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn user() -> (String, Secret) {
    ("ann".to_owned(), secret("secret of ann"))
}

fn own() -> (String, Secret) {
    ("disk".to_owned(), secret("secret of the disk"))
}

fn chap(mutual: bool) -> Auth {
    Auth::Chap(Credentials::new(vec![user()], mutual.then(own), &[]).unwrap())
}

fn with_chap(wishes: Wishes) -> Wishes {
    Wishes { chap: Some(user()), ..wishes }
}

/// How both ends came out of it.
#[derive(Debug)]
struct End {
    agreed: Result<Agreed, FailedLogin>,
    logged_in: Option<LoggedIn>,
    reason: Option<CloseReason>,
    login: Login,
}

impl End {
    fn status(&self) -> Status {
        match &self.agreed {
            Ok(_) => Status::Success,
            Err(FailedLogin::Refused { status, .. }) => *status,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Both ends against each other; the target gets `step` bytes at a time.
fn drive_by(config: Config, wishes: Wishes, step: usize) -> End {
    let mut login = login_at(config);
    let mut bytes = Vec::new();
    let mut initiator = InitiatorLogin::begin(wishes, &mut bytes);
    let (mut buffer, mut logged_in, mut reason) = (Vec::new(), None, None);
    for _ in 0..1000 {
        while !bytes.is_empty() && logged_in.is_none() && reason.is_none() {
            buffer.extend(bytes.drain(..step.min(bytes.len())));
            let Received { consumed, outcome } = login.receive(NOW, &buffer);
            buffer.drain(..consumed);
            match outcome {
                Outcome::More => {}
                Outcome::LoggedIn(result) => {
                    assert!(login.output().is_empty());
                    logged_in = Some(*result);
                }
                Outcome::Close { reason: why } => reason = Some(why),
            }
        }
        let mut answer = login.output().to_vec();
        login.sent(answer.len());
        if let Some(logged_in) = &logged_in {
            answer = logged_in.final_response.clone();
        }
        let Some(header) = Bhs::read(&answer) else { panic!("no answer: {reason:?}") };
        let len = header.data_len() as usize;
        assert_eq!(answer.len(), BHS_LEN + padded(len), "one response at a time");
        let data = &answer[BHS_LEN..BHS_LEN + len];
        let agreed = match initiator.receive(&header, data, &mut System, &mut bytes) {
            Ok(None) => continue,
            Ok(Some(agreed)) => Ok(agreed),
            Err(error) => Err(error),
        };
        return End { agreed, logged_in, reason, login };
    }
    panic!("no end");
}

fn drive(target: Target, wishes: Wishes) -> End {
    drive_by(config_of(target), wishes, usize::MAX)
}

fn normal() -> Wishes {
    Wishes::normal(INITIATOR, TARGET)
}

#[test]
fn a_normal_session() {
    for skip_security in [false, true] {
        let wishes = Wishes { skip_security, cmd_sn: 77, cid: 3, exp_stat_sn: 9, ..normal() };
        let end = drive(target(), wishes);
        let agreed = end.agreed.unwrap();
        let logged_in = end.logged_in.unwrap();
        assert_eq!(agreed.parameters, logged_in.parameters);
        assert_eq!(
            logged_in.parameters,
            Parameters {
                max_connections: 8,
                initial_r2t: false,
                initiator_max_recv_data_segment_length: 262_144,
                target_max_recv_data_segment_length: 262_144,
                max_burst_length: 1024 * 1024,
                first_burst_length: 262_144,
                default_time2wait: 2,
                default_time2retain: 0,
                max_outstanding_r2t: 4,
                ..Parameters::default()
            }
        );
        assert_eq!((&*logged_in.initiator_name, logged_in.user), (INITIATOR, None));
        assert_eq!(logged_in.target_name, TARGET);
        assert_eq!((logged_in.tsih, logged_in.cid, logged_in.cmd_sn), (0, 3, 77));
        assert_eq!(logged_in.isid, [0x80, 0, 0, 0, 0, 1]);
        let header = Bhs::read(&logged_in.final_response).unwrap();
        let response = LoginResponse::parse(&header).unwrap();
        assert_eq!(response.stat_sn, logged_in.stat_sn);
        assert_eq!(agreed.exp_stat_sn, logged_in.stat_sn.wrapping_add(1));
        assert_eq!((response.transit, response.next), (true, Some(Stage::FullFeature)));
        assert_eq!(
            agreed.answers[0],
            ("TargetPortalGroupTag".to_owned(), "1".to_owned()),
            "with the first response"
        );
    }
}

#[test]
fn a_further_connection_keeps_to_its_own_keys() {
    let end = drive(target(), normal().joining(5, 2).with("MaxBurstLength", "512"));
    let logged_in = end.logged_in.unwrap();
    assert_eq!((logged_in.tsih, logged_in.cid), (5, 2));
    let agreed = end.agreed.unwrap();
    let irrelevant = ("MaxBurstLength".to_owned(), "Irrelevant".to_owned());
    assert!(agreed.answers.contains(&irrelevant));
    assert_eq!(logged_in.parameters.max_burst_length, 262_144);
}

#[test]
fn chap_one_way_and_mutual() {
    for algorithm in Algorithm::ALL {
        for mutual in [false, true] {
            let wishes = Wishes {
                mutual: mutual.then(own),
                algorithms: vec![algorithm],
                ..with_chap(normal())
            };
            let end = drive(Target { auth: chap(true), ..target() }, wishes);
            assert!(end.agreed.is_ok(), "{algorithm} {mutual}");
            assert_eq!(end.logged_in.unwrap().user.as_deref(), Some("ann"));
        }
    }
    assert_eq!(drive(target(), with_chap(normal())).status(), Status::Success, "None of CHAP,None");
}

#[test]
fn who_does_not_prove_itself_is_refused() {
    let demanding = || Target { auth: chap(false), ..target() };
    let skipping = Wishes { skip_security: true, ..normal() };
    let liar = ("ann".to_owned(), secret("another secret"));
    let stranger = ("eve".to_owned(), secret("secret of ann"));
    for (wishes, error) in [
        (normal(), LoginError::NotAuthenticated),
        (skipping, LoginError::NotAuthenticated),
        (Wishes { chap: Some(liar), ..normal() }, LoginError::Chap(ChapError::Wrong)),
        (Wishes { chap: Some(stranger), ..normal() }, LoginError::Chap(ChapError::Wrong)),
        (
            Wishes { mutual: Some(own()), ..with_chap(normal()) },
            LoginError::Chap(ChapError::NotMutual),
        ),
    ] {
        let end = drive(demanding(), wishes);
        assert_eq!(end.status(), Status::AuthenticationFailure);
        assert_eq!(end.reason, Some(CloseReason::Refused(error)));
        assert_eq!(end.login.initiator_name(), Some(INITIATOR), "for the log");
    }
    let md5 = Credentials::new(vec![user()], None, &[Algorithm::Sha256]).unwrap();
    let wishes = Wishes { algorithms: vec![Algorithm::Md5], ..with_chap(normal()) };
    let end = drive(Target { auth: Auth::Chap(md5), ..target() }, wishes);
    let error = LoginError::Chap(ChapError::NoAlgorithm);
    assert_eq!(end.reason, Some(CloseReason::Refused(error)));
}

#[test]
fn an_impostor_of_a_target_is_found_out() {
    let wishes = Wishes {
        mutual: Some(("disk".to_owned(), secret("not its secret"))),
        ..with_chap(normal())
    };
    let end = drive(Target { auth: chap(true), ..target() }, wishes);
    assert_eq!(end.agreed, Err(FailedLogin::Chap(ChapError::Wrong)));
}

#[test]
fn every_refusal_has_its_status() {
    let status = |target: Target, wishes: Wishes| drive(target, wishes).status();
    let moved = |permanent| Target {
        redirect: Some(Redirect { address: "[2001:db8::1]:3260".to_owned(), permanent }),
        ..target()
    };
    assert_eq!(status(moved(false), normal()), Status::MovedTemporarily);
    let end = drive(moved(true), normal());
    assert_eq!(
        end.agreed,
        Err(FailedLogin::Refused {
            status: Status::MovedPermanently,
            address: Some("[2001:db8::1]:3260".to_owned())
        })
    );
    let lists =
        Target { initiators: Initiators::of(["iqn.2026-11.org.example:other"]), ..target() };
    assert_eq!(status(lists, normal()), Status::AuthorizationFailure);
    let elsewhere = Wishes::normal(INITIATOR, "iqn.2026-11.org.example:none");
    assert_eq!(status(target(), elsewhere), Status::NotFound);
    let other_group = Target { portal_group_tag: 2, ..target() };
    assert_eq!(status(other_group, normal()), Status::NotFound);
    assert_eq!(status(Target { available: false, ..target() }, normal()), Status::Unavailable);
    assert_eq!(status(target(), Wishes::normal("host", TARGET)), Status::InitiatorError);
    let joins = Wishes { tsih: 1, ..Wishes::discovery(INITIATOR) };
    assert_eq!(status(target(), joins), Status::CannotInclude);
    let twice = normal().with("X-A", "1").with("X-B", "1");
    assert_eq!(status(target(), twice), Status::Success, "unknown keys do no harm");
}

/// A hand-made request.
fn request(flags: u8, text: &[u8]) -> Vec<u8> {
    let mut pdu = Vec::new();
    LoginRequest { itt: 7, cmd_sn: 1, ..LoginRequest::default() }.write(text, &mut pdu);
    pdu[1] = flags;
    pdu
}

/// The response to each of `requests`, and how it ended.
fn responses(config: Config, requests: &[Vec<u8>]) -> (Vec<(LoginResponse, Vec<u8>)>, Outcome) {
    let mut login = login_at(config);
    let mut list = Vec::new();
    for request in requests {
        let Received { consumed, outcome } = login.receive(NOW, request);
        if let Some(header) = Bhs::read(login.output()) {
            let len = header.data_len() as usize;
            let data = login.output()[BHS_LEN..BHS_LEN + len].to_vec();
            list.push((LoginResponse::parse(&header).unwrap(), data));
        }
        login.sent(usize::MAX);
        if !matches!(outcome, Outcome::More) {
            return (list, outcome);
        }
        assert_eq!(consumed, request.len());
    }
    (list, Outcome::More)
}

fn refused(requests: &[Vec<u8>]) -> (Status, LoginError) {
    let (list, outcome) = responses(config_of(target()), requests);
    let Outcome::Close { reason: CloseReason::Refused(error) } = outcome else {
        panic!("{outcome:?}")
    };
    let status = list.last().unwrap().0.status;
    assert_eq!(status, error.status());
    (status, error)
}

const NAMES: &[u8] =
    b"InitiatorName=iqn.2026-11.org.example:host\0TargetName=iqn.2026-11.org.example:disk\0";

const SECURITY: u8 = 0x00;
const OPERATIONAL: u8 = 0x04;
const TO_OPERATIONAL: u8 = 0x81;
const TO_FULL: u8 = 0x83;
const OPERATIONAL_TO_FULL: u8 = 0x87;
const MORE: u8 = 0x40;

fn named(more: &[u8]) -> Vec<u8> {
    [NAMES, more].concat()
}

#[test]
fn what_must_be_in_the_first_request() {
    let (status, error) = refused(&[request(TO_OPERATIONAL, b"AuthMethod=None\0")]);
    assert_eq!((status, error), (Status::MissingParameter, LoginError::Missing("InitiatorName")));
    let only = b"InitiatorName=iqn.2026-11.org.example:host\0";
    let (status, error) = refused(&[request(OPERATIONAL, only)]);
    assert_eq!((status, error), (Status::MissingParameter, LoginError::Missing("TargetName")));
    let (status, _) = refused(&[request(OPERATIONAL, &named(b"SessionType=Odd\0"))]);
    assert_eq!(status, Status::SessionType);
    let mut newer = request(OPERATIONAL, NAMES);
    newer[2..4].fill(1);
    assert_eq!(refused(&[newer]).0, Status::UnsupportedVersion);
}

#[test]
fn stages_go_forward_only() {
    let stage = |flags| refused(&[request(flags, NAMES)]).1;
    assert_eq!(stage(0x08), LoginError::Stage(Stage::Security), "reserved");
    assert_eq!(stage(0x0c), LoginError::Stage(Stage::Security), "not the full feature phase");
    assert_eq!(stage(0x80), LoginError::Transition(Stage::Security));
    assert_eq!(stage(0x82), LoginError::Transition(Stage::Security), "reserved");
    assert_eq!(stage(0x85), LoginError::Transition(Stage::Operational));
    assert_eq!(stage(0x84), LoginError::Transition(Stage::Operational));
    assert_eq!(stage(0xc1), LoginError::Transition(Stage::Security), "text goes on");
    let back = [request(OPERATIONAL, NAMES), request(TO_OPERATIONAL, b"")];
    assert_eq!(refused(&back).1, LoginError::Stage(Stage::Operational));
    let early = [request(SECURITY, NAMES), request(OPERATIONAL, b"")];
    assert_eq!(refused(&early).1, LoginError::Stage(Stage::Security));

    // All keys by their defaults.
    for last in [TO_FULL, OPERATIONAL_TO_FULL] {
        let (_, outcome) = responses(config_of(target()), &[request(last, NAMES)]);
        assert!(matches!(outcome, Outcome::LoggedIn(_)), "{last:x}");
    }
}

#[test]
fn a_stage_is_left_when_both_sides_are_ready() {
    let auth = chap(false);
    let config = config_of(Target { auth, ..target() });
    let requests = [
        request(TO_OPERATIONAL, &named(b"AuthMethod=CHAP\0")),
        request(TO_OPERATIONAL, b"CHAP_A=5\0"),
        request(TO_OPERATIONAL, b""),
    ];
    let (list, _) = responses(config, &requests);
    assert_eq!(list.len(), 3);
    for (number, (response, _)) in list.iter().enumerate() {
        assert!(!response.transit);
        assert_eq!(response.stage, Some(Stage::Security));
        assert_eq!(response.stat_sn as usize, number);
        assert_eq!((response.itt, response.exp_cmd_sn), (7, 1));
    }
    assert!(list[0].1.ends_with(b"AuthMethod=CHAP\0"));
    assert!(list[1].1.starts_with(b"CHAP_A=5\0CHAP_I="));
    assert!(list[2].1.is_empty());
}

#[test]
fn names_may_be_repeated_but_not_changed() {
    // As libiscsi does: the names again in the operational stage.
    let again = [
        request(TO_OPERATIONAL, &named(b"AuthMethod=None\0")),
        request(OPERATIONAL_TO_FULL, NAMES),
    ];
    let (_, outcome) = responses(config_of(target()), &again);
    assert!(matches!(outcome, Outcome::LoggedIn(_)));
    let other = b"InitiatorName=iqn.2026-11.org.example:other\0";
    let changed = [request(TO_OPERATIONAL, NAMES), request(OPERATIONAL, other)];
    assert_eq!(refused(&changed).1, LoginError::Redeclared("InitiatorName"));
    let twice = named(b"TargetName=iqn.2026-11.org.example:b\0");
    assert_eq!(refused(&[request(OPERATIONAL, &twice)]).1, LoginError::Redeclared("TargetName"));
}

#[test]
fn a_key_is_negotiated_once() {
    let twice = named(b"MaxBurstLength=8192\0MaxBurstLength=8192\0");
    assert_eq!(refused(&[request(OPERATIONAL, &twice)]).0, Status::InitiatorError);
    let later = [
        request(OPERATIONAL, &named(b"InitialR2T=No\0")),
        request(OPERATIONAL, b"InitialR2T=Yes\0"),
    ];
    assert_eq!(refused(&later).0, Status::InitiatorError);
    let method = named(b"AuthMethod=None\0AuthMethod=None\0");
    assert_eq!(refused(&[request(SECURITY, &method)]).1, LoginError::AuthTwice);
}

#[test]
fn one_login_is_one_session() {
    let mut other = request(OPERATIONAL, b"");
    other[9] = 1;
    let changed = [request(OPERATIONAL, NAMES), other];
    assert_eq!(refused(&changed), (Status::InitiatorError, LoginError::Changed));
    let mut scsi = request(OPERATIONAL, b"");
    scsi[0] = 0x01;
    let foreign = [request(OPERATIONAL, NAMES), scsi.clone()];
    assert_eq!(refused(&foreign), (Status::InvalidDuringLogin, LoginError::Foreign(1)));

    // What does not begin with a login is not answered.
    let (list, outcome) = responses(config_of(target()), &[scsi]);
    assert!(list.is_empty());
    assert!(matches!(outcome, Outcome::Close { reason: CloseReason::NotALogin(1) }));
}

#[test]
fn text_may_take_several_requests_and_responses() {
    let half = NAMES.len() / 2;
    let (list, outcome) = responses(
        config_of(target()),
        &[request(SECURITY | MORE, &NAMES[..half]), request(TO_FULL, &NAMES[half..])],
    );
    assert!(matches!(outcome, Outcome::LoggedIn(_)));
    assert_eq!(list.len(), 1);
    assert!(list[0].1.is_empty() && !list[0].0.transit);

    // An answer of more than one PDU.
    let mut long = Vec::new();
    for number in 0..400 {
        text::push(&mut long, &format!("X-key-{number}"), "1");
    }
    let config = config_of(target());
    let requests = [
        request(OPERATIONAL | MORE, NAMES),
        request(OPERATIONAL_TO_FULL, &long),
        request(OPERATIONAL_TO_FULL, b""),
    ];
    let (list, outcome) = responses(config, &requests);
    assert!(list[1].0.more && !list[1].0.transit);
    assert_eq!(list[1].1.len(), DATA_LEN_MAX);
    let Outcome::LoggedIn(logged_in) = outcome else { panic!("{outcome:?}") };
    let mut whole = list[1].1.clone();
    let header = Bhs::read(&logged_in.final_response).unwrap();
    whole.extend(&logged_in.final_response[BHS_LEN..BHS_LEN + header.data_len() as usize]);
    let answers: Vec<_> = text::pairs(&whole).map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|(_, value)| *value == "NotUnderstood").count(), 400);
    assert_eq!(header.flags(), OPERATIONAL_TO_FULL);
}

#[test]
fn a_peer_cannot_make_this_side_hold_much() {
    let full = vec![b'x'; DATA_LEN_MAX];
    let mut endless: Vec<_> = vec![request(OPERATIONAL | MORE, &full); 9];
    assert_eq!(refused(&endless).1, LoginError::Text(text::TextError::TooLong(65_536)));
    endless = vec![request(OPERATIONAL | MORE, b""); 65];
    assert_eq!(refused(&endless).1, LoginError::TooManyRequests(64));
    let many = "A=1\0".repeat(513);
    assert_eq!(refused(&[request(OPERATIONAL, many.as_bytes())]).1, LoginError::TooManyKeys(512));
    let mut long = request(OPERATIONAL, b"");
    long[6..8].copy_from_slice(&8193_u16.to_be_bytes());
    let (_, outcome) = responses(config_of(target()), &[long]);
    assert!(matches!(outcome, Outcome::Close { reason: CloseReason::TooLong(8193) }));
    let mut segments = request(OPERATIONAL, b"");
    segments[4] = 1;
    let (_, outcome) = responses(config_of(target()), &[segments]);
    assert!(matches!(outcome, Outcome::Close { reason: CloseReason::HeaderSegments }));
}

#[test]
fn nothing_is_taken_while_there_is_output() {
    let mut login = login_at(config_of(target()));
    let first = request(OPERATIONAL, NAMES);
    let both = [first.clone(), request(OPERATIONAL_TO_FULL, b"")].concat();
    let received = login.receive(NOW, &both);
    assert_eq!(received.consumed, first.len());
    assert!(matches!(login.receive(NOW, &both[first.len()..]).outcome, Outcome::More));
    login.sent(10);
    assert_eq!(login.receive(NOW, &both[first.len()..]).consumed, 0);
    login.sent(usize::MAX);
    let outcome = login.receive(NOW, &both[first.len()..]).outcome;
    assert!(matches!(outcome, Outcome::LoggedIn(_)));
    assert_eq!(login.receive(NOW, &both).consumed, 0, "not its connection any more");
    assert_eq!(login.deadline(), NOW + Duration::from_secs(15));
}

#[test]
fn the_target_demands_what_it_needs() {
    let offer = Offer { max_burst_length: 65_536, immediate_data: false, ..Offer::default() };
    let offer = Offer { header_digest: Digests::Required, first_burst_length: 4096, ..offer };
    let demanding = || Target { offer: offer.clone(), ..target() };
    let mut silent = normal();
    silent.keys.clear();
    let end = drive(demanding(), silent);
    let parameters = end.logged_in.unwrap().parameters;
    assert!(parameters.header_digest && !parameters.immediate_data && !parameters.data_digest);
    assert_eq!((parameters.max_burst_length, parameters.first_burst_length), (65_536, 4096));
    let agreed = end.agreed.unwrap().parameters;
    assert_eq!(agreed.max_burst_length, 65_536);

    assert_eq!(drive(demanding(), normal()).status(), Status::InitiatorError, "None only");
    let (_, outcome) = responses(config_of(demanding()), &[request(TO_FULL, NAMES)]);
    assert!(matches!(outcome, Outcome::Close { .. }), "without the stage");
    let deaf = [request(OPERATIONAL_TO_FULL, NAMES), request(OPERATIONAL_TO_FULL, b"")];
    let (_, outcome) = responses(config_of(demanding()), &deaf);
    assert!(matches!(outcome, Outcome::Close { .. }), "no answer to what is demanded");
}

#[test]
fn operational_keys_have_their_stage() {
    let early = named(b"AuthMethod=None\0InitialR2T=No\0X-Odd=1\0");
    let (list, _) = responses(config_of(target()), &[request(SECURITY, &early)]);
    let text = String::from_utf8(list[0].1.clone()).unwrap();
    assert!(text.contains("InitialR2T=Reject\0") && text.contains("X-Odd=NotUnderstood\0"));
    let late = named(b"AuthMethod=None\0");
    let (list, _) = responses(config_of(target()), &[request(OPERATIONAL, &late)]);
    let text = String::from_utf8(list[0].1.clone()).unwrap();
    assert!(text.contains("AuthMethod=Reject\0"));
}

#[test]
fn discovery_begins_where_the_login_ends() {
    let end = drive(target(), Wishes::discovery(INITIATOR));
    let agreed = end.agreed.unwrap();
    assert!(agreed.tsih != 0 && end.logged_in.is_none());
    assert!(end.login.is_discovery());
    assert_eq!(end.login.initiator_name(), Some(INITIATOR));
    assert_eq!(end.login.deadline(), NOW + Duration::from_secs(60));
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_is_the_same(step in 1_usize..300, mutual: bool) {
        let wishes = Wishes {
            mutual: mutual.then(own),
            data_len_max: 40 + step,
            ..with_chap(normal())
        };
        let end = drive_by(config_of(Target { auth: chap(true), ..target() }), wishes, step);
        let logged_in = end.logged_in.unwrap();
        prop_assert_eq!(end.agreed.unwrap().parameters, logged_in.parameters);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes: Vec<u8>, head in prop::array::uniform8(any::<u8>())) {
        let mut login = login_at(config_of(target()));
        let mut pdu = request(head[0], NAMES);
        pdu[2..5].copy_from_slice(&head[1..4]);
        pdu.extend(request(head[4], &bytes));
        pdu.extend(&bytes);
        let mut at = 0;
        for _ in 0..8 {
            at += login.receive(NOW, &pdu[at..]).consumed;
            login.sent(usize::MAX);
        }
    }
}
