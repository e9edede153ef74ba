//! Logins and discovery sessions of a foreign initiator.

use std::net::SocketAddr;
use std::sync::Arc;

use outboard_iscsi::access::Initiators;
use outboard_iscsi::chap::{Credentials, Entropy, Secret};
use outboard_iscsi::config::{Auth, Config, Discovery, Offer, PortalGroup, Target};
use outboard_iscsi::login::{CloseReason, LoggedIn, Login, Outcome};
use outboard_iscsi::pdu::{BHS_LEN, Bhs, LoginRequest, LoginResponse, Response, Stage, padded};
use outboard_slots::Time;

/// A target's answer is one PDU, whose data is bounded.
const OUTPUT_MAX: usize = BHS_LEN + 64 * 1024;

/// The first byte of `bytes` says who must prove what (bit 0: the target demands CHAP, bit 1:
/// discovery too, bit 2: another offer) and in how many pieces the rest comes. It is followed by
/// requests: opcode, flags, length of the text, text. The opcodes 0 to 2 stand for Login, Text and
/// Logout; any other is taken as it is, with the text also written over the header.
pub fn iscsi_login(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let stream = stream(rest);
    let whole = run(kind, &stream, usize::MAX);
    assert_eq!(whole, run(kind, &stream, usize::from(kind >> 3) + 1), "other pieces, other end");
}

/// The requests as they are on the wire.
fn stream(mut program: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut cmd_sn = 1_u32;
    while let [opcode, flags, len, rest @ ..] = program {
        let text = rest.get(..usize::from(*len)).unwrap_or(rest);
        program = &rest[text.len()..];
        let mut header = Bhs([0; BHS_LEN]);
        let text_len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        header.0[7] = text_len;
        header.0[1] = *flags;
        header.0[16..20].copy_from_slice(&7_u32.to_be_bytes());
        header.0[24..28].copy_from_slice(&cmd_sn.to_be_bytes());
        match opcode {
            0 => header.0[0] = 0x43,
            1 => {
                header.0[0] = 0x04;
                // The first tag of a target, so that a text can be continued.
                let tag = if flags & 1 == 0 { u32::MAX } else { u32::from(flags >> 1 & 7) };
                header.0[20..24].copy_from_slice(&tag.to_be_bytes());
                cmd_sn += 1;
            }
            2 => header.0[0] = 0x46,
            _ => {
                let len = text.len().min(BHS_LEN);
                header.0[..len].copy_from_slice(&text[..len]);
                header.0[0] = *opcode;
            }
        }
        stream.extend(header.0);
        stream.extend(text);
        stream.resize(stream.len() + padded(text.len()) - text.len(), 0);
    }
    stream
}

/// All that was answered, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct End {
    answered: Vec<u8>,
    logged_in: Option<LoggedIn>,
    closed: Option<CloseReason>,
}

fn run(kind: u8, stream: &[u8], step: usize) -> End {
    let local: SocketAddr = ([192, 0, 2, 1], 3260).into();
    let peer: SocketAddr = ([192, 0, 2, 9], 40_000).into();
    let config = Arc::new(config(kind, local));
    let mut login = Login::with_entropy(Time::ZERO, &config, peer, local, Box::new(Same));
    let (mut buffer, mut end) = (Vec::new(), End::default());
    for piece in stream.chunks(step.min(stream.len()).max(1)) {
        buffer.extend(piece);
        loop {
            let received = login.receive(Time::ZERO, &buffer);
            assert!(received.consumed <= buffer.len());
            buffer.drain(..received.consumed);
            assert!(login.output().len() <= OUTPUT_MAX, "{} bytes of output", login.output().len());
            answered(login.output());
            end.answered.extend(login.output());
            login.sent(login.output().len());
            match received.outcome {
                Outcome::More if received.consumed > 0 => continue,
                Outcome::More => break,
                Outcome::LoggedIn(logged_in) => {
                    assert_eq!(kind & 1, 0, "without a secret");
                    sound(&logged_in);
                    end.logged_in = Some(*logged_in);
                    return end;
                }
                Outcome::Close { reason } => {
                    assert!(!reason.to_string().is_empty());
                    end.closed = Some(reason);
                    return end;
                }
            }
        }
        assert!(kind & 2 == 0 || !login.is_discovery(), "without a secret");
    }
    end
}

/// Whole PDUs that an initiator understands.
fn answered(mut output: &[u8]) {
    while let Some(header) = Bhs::read(output) {
        let len = header.data_len() as usize;
        assert!(output.len() >= BHS_LEN + len, "half a PDU");
        let known = LoginResponse::parse(&header).is_some() || Response::parse(&header).is_some();
        assert!(known, "an unknown answer {header:?}");
        output = output.get(BHS_LEN + padded(len)..).expect("the padding of the PDU");
    }
    assert!(output.is_empty(), "half a PDU");
}

fn sound(logged_in: &LoggedIn) {
    let keys = &logged_in.parameters;
    let length = 512..1 << 24;
    assert!(length.contains(&keys.max_burst_length));
    assert!(keys.first_burst_length <= keys.max_burst_length);
    assert!(length.contains(&keys.initiator_max_recv_data_segment_length));
    assert!(length.contains(&keys.target_max_recv_data_segment_length));
    assert!(keys.max_outstanding_r2t > 0 && keys.max_connections > 0);
    assert!(keys.data_pdu_in_order && keys.data_sequence_in_order);
    assert_eq!(keys.error_recovery_level, 0);
    assert!(!logged_in.initiator_name.is_empty());
    let header = Bhs::read(&logged_in.final_response).expect("a response");
    let response = LoginResponse::parse(&header).expect("a response");
    assert_eq!((response.transit, response.next), (true, Some(Stage::FullFeature)));
    let request = LoginRequest { isid: logged_in.isid, ..LoginRequest::default() };
    assert_eq!(response.isid, request.isid);
}

fn config(kind: u8, local: SocketAddr) -> Config {
    let auth = |bit: u8| {
        if kind & bit == 0 {
            return Auth::None;
        }
        let secret = |text: &str| Secret::new(text).expect("a secret");
        let users = vec![("ann".to_owned(), secret("not to be guessed"))];
        let own = Some(("disk".to_owned(), secret("the target's own")));
        Auth::Chap(Credentials::new(users, own, &[]).expect("two secrets"))
    };
    let offer = Offer {
        max_burst_length: if kind & 4 == 0 { 1 << 20 } else { 4096 },
        first_burst_length: if kind & 4 == 0 { 1 << 18 } else { 4096 },
        immediate_data: kind & 4 == 0,
        ..Offer::default()
    };
    let target = |number: usize| Target {
        name: format!("iqn.2026-11.a:{number}"),
        alias: None,
        portal_group_tag: 1,
        auth: auth(1),
        initiators: if number == 1 { Initiators::of(["iqn.2026-11.b:*"]) } else { Initiators::All },
        redirect: None,
        available: true,
        offer: offer.clone(),
    };
    Config {
        portal_groups: vec![PortalGroup { tag: 1, portals: vec![local] }],
        targets: (0..200).map(target).collect(),
        discovery: Discovery { auth: auth(2) },
        ..Config::default()
    }
}

/// Challenges that a second run gets too.
struct Same;

impl Entropy for Same {
    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = at as u8 ^ 0x5a;
        }
        true
    }
}
