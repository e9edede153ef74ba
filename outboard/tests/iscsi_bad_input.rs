//! What no initiator would send, over real sockets: the RFC's reject, the connection dropped at
//! worst; the server, its other sessions and its data go on.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;

use std::io::{Read as _, Write as _};

use iscsi::MIB;
use iscsi::server::{Server, Setup};
use iscsi::session::{BLOCK, Session, connect, wishes};
use outboard_iscsi::initiator::{Client, ClientError};
use outboard_iscsi::pdu::{Bhs, RejectReason};
use outboard_scsi::Status;
use outboard_scsi::command::build::{Cdb, read_16, write_16};

/// A server, and a session that must not notice anything.
struct Scene {
    server: Server,
    witness: Session,
}

impl Scene {
    fn new() -> Self {
        let server = Setup::memory(64 * MIB).start();
        let mut witness = Session::open(&server, wishes("witness"));
        witness.write(1000, &[0xab; 8 * BLOCK]);
        Self { server, witness }
    }

    fn session(&self, name: &str) -> Session {
        Session::open(&self.server, wishes(name))
    }

    #[track_caller]
    fn end(mut self) {
        assert_eq!(self.witness.read(1000, 8 * BLOCK), [0xab; 8 * BLOCK]);
        self.session("last").write(0, &[1; BLOCK]);
        assert!(self.server.is_alive());
        drop(self.witness);
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(self.server.stop().success(), "{}", self.server.log());
    }
}

/// Sends bytes on a new connection; the target ends it, whatever it answers.
#[track_caller]
fn assert_ended(server: &Server, bytes: &[u8]) {
    let mut stream = connect(server.portal()).unwrap();
    // It may be gone before everything has been sent.
    let _ = stream.write_all(bytes);
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => {
            panic!("{:02x?} keeps the connection: {error}", &bytes[..48.min(bytes.len())])
        }
    }
}

/// A header of `opcode`, with a data segment of `length`.
fn header(opcode: u8, length: u32) -> Bhs {
    let mut header = [0; 48];
    header[0] = opcode;
    header[1] = 0x80;
    header[5..8].copy_from_slice(&length.to_be_bytes()[1..]);
    header[16..20].copy_from_slice(&0x1234_5678u32.to_be_bytes());
    Bhs(header)
}

/// A SCSI Command of this session, the next in its order.
fn command(session: &mut Session, flags: u8, expected: u32, cdb: &Cdb) -> Bhs {
    let mut pdu = header(0x01, 0);
    pdu.0[1] = flags;
    pdu.0[8..16].copy_from_slice(&session.lun);
    pdu.0[20..24].copy_from_slice(&expected.to_be_bytes());
    pdu.0[24..28].copy_from_slice(&session.client.cmd_sn.to_be_bytes());
    pdu.0[32..48].copy_from_slice(cdb.bytes());
    session.client.cmd_sn += 1;
    pdu
}

fn noise(length: usize, mut state: u64) -> Vec<u8> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn before_the_login_nothing_but_a_login_is_heard() {
    let scene = Scene::new();
    for opcode in [0x00, 0x01, 0x02, 0x05, 0x06, 0x1c, 0x20, 0x23, 0x3f] {
        assert_ended(&scene.server, &header(opcode, 0).0);
    }
    assert_ended(&scene.server, b"GET / HTTP/1.1\r\nHost: outboard\r\n\r\n");
    for seed in 1..100 {
        let bytes = noise(48 + (seed as usize * 37) % 4000, seed * 0x9e37_79b9);
        let mut stream = connect(scene.server.portal()).unwrap();
        let _ = stream.write_all(&bytes);
    }
    scene.end();
}

#[test]
fn a_login_that_is_no_login_is_refused() {
    let scene = Scene::new();
    let login = |length: u32| {
        let mut pdu = header(0x43, length);
        pdu.0[1] = 0x87;
        pdu
    };
    // More text than may be, promised and sent.
    assert_ended(&scene.server, &[&login(0x00ff_ffff).0[..], &vec![b'a'; 1 << 20]].concat());
    for text in [
        &b"no equals sign at all\0"[..],
        b"=value\0",
        b"InitiatorName=\0SessionType=Normal\0",
        b"InitiatorName=iqn.2026-11.test:a\0SessionType=Other\0",
        b"InitiatorName=iqn.2026-11.test:a\0TargetName=iqn.2026-11.test:none\0",
        b"\xff\xfe\xfd\xfc\0",
        b"InitiatorName=iqn.2026-11.test:a\0InitiatorName=iqn.2026-11.test:a\0",
    ] {
        let mut bytes = login(u32::try_from(text.len()).unwrap()).0.to_vec();
        bytes.extend(text);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        assert_ended(&scene.server, &bytes);
    }
    // Wrong versions, stages that there are not, additional headers.
    for (at, value) in [(2, 9), (1, 0x8a), (1, 0xff), (4, 0xff)] {
        let mut pdu = login(0);
        pdu.0[at] = value;
        if at == 2 {
            pdu.0[3] = value;
        }
        let mut bytes = pdu.0.to_vec();
        bytes.resize(48 + 4 * 255, 0);
        assert_ended(&scene.server, &bytes);
    }
    scene.end();
}

#[test]
fn a_wrong_header_digest_ends_the_connection() {
    let scene = Scene::new();
    let wishes = wishes("digest").with("HeaderDigest", "CRC32C");
    let mut session = Session::open(&scene.server, wishes);
    let pdu = command(&mut session, 0xc0, 512, &read_16(0, 1));
    let mut bytes = Vec::new();
    session.client.pdus().encode(pdu, &[], &[], &mut bytes).unwrap();
    bytes[40] ^= 1;
    session.client.pdus().write_raw(&bytes).unwrap();
    let ended = session.client.turn();
    assert!(matches!(ended, Err(ClientError::Closed | ClientError::Io(_))), "{ended:?}");
    scene.end();
}

#[test]
fn a_wrong_data_digest_fails_the_task_alone() {
    let scene = Scene::new();
    let wishes = wishes("digest").with("DataDigest", "CRC32C");
    let mut session = Session::open(&scene.server, wishes);
    session.write(0, &[1; 8 * BLOCK]);
    let data = vec![2; 8 * BLOCK];
    let pdu = command(&mut session, 0xa0, data.len() as u32, &write_16(0, 8));
    let mut bytes = Vec::new();
    session.client.pdus().encode(pdu, &[], &data, &mut bytes).unwrap();
    bytes[100] ^= 0x10;
    session.client.pdus().write_raw(&bytes).unwrap();
    // A reject, then the end of a task that our client does not know: it says so.
    while session.client.rejects.is_empty() {
        session.client.turn().unwrap();
    }
    assert_eq!(session.client.rejects[0].0, RejectReason::DataDigestError);
    drop(session);
    let mut again = scene.session("digest");
    assert_eq!(again.read(0, 8 * BLOCK), [1; 8 * BLOCK], "nothing of it was written");
    scene.end();
}

#[test]
fn what_contradicts_itself_is_rejected_or_ends_the_connection() {
    let scene = Scene::new();
    type Spoil = fn(&mut Session) -> Vec<u8>;
    let cases: [(&str, Spoil); 8] = [
        ("an opcode that there is not", |_| header(0x1d, 0).0.to_vec()),
        ("a target's opcode", |_| header(0x25, 0).0.to_vec()),
        ("a login in the full feature phase", |_| header(0x43, 0).0.to_vec()),
        ("data for nothing", |_| {
            let mut pdu = header(0x05, 512);
            pdu.0[20..24].copy_from_slice(&7u32.to_be_bytes());
            [&pdu.0[..], &[0; 512]].concat()
        }),
        ("a segment longer than agreed", |_| header(0x00, 0x00ff_ffff).0.to_vec()),
        ("a snack at level 0", |_| {
            let mut pdu = header(0x10, 0);
            pdu.0[40..44].copy_from_slice(&1u32.to_be_bytes());
            pdu.0.to_vec()
        }),
        ("text that is none", |session| {
            let mut pdu = header(0x04, 8);
            pdu.0[20..24].copy_from_slice(&u32::MAX.to_be_bytes());
            pdu.0[24..28].copy_from_slice(&session.client.cmd_sn.to_be_bytes());
            [&pdu.0[..], b"no pair\0"].concat()
        }),
        ("a task management function that there is not", |session| {
            let mut pdu = header(0x42, 0);
            pdu.0[1] = 0xbf;
            pdu.0[24..28].copy_from_slice(&session.client.cmd_sn.to_be_bytes());
            pdu.0.to_vec()
        }),
    ];
    for (index, (name, spoil)) in cases.into_iter().enumerate() {
        let mut session = scene.session(&format!("case{index}"));
        let bytes = spoil(&mut session);
        session.client.pdus().write_raw(&bytes).unwrap();
        // Either the connection ends, or it goes on with whatever follows.
        let _ = session.client.ping(b"still there?");
        println!("{name}: rejects {:?}", session.client.rejects);
        drop(session);
        let mut after = scene.session(&format!("case{index}"));
        after.read(0, BLOCK);
    }
    scene.end();
}

#[test]
fn any_bytes_after_a_login_harm_only_their_own_session() {
    let scene = Scene::new();
    for seed in 1..150u64 {
        let mut session = Session::try_open(&scene.server, wishes("noise")).unwrap();
        let mut bytes = noise(48 * 20, seed * 0x51_7cc1_b727_220a);
        // Headers that get further than noise does: a known opcode, the window's CmdSN.
        for (index, pdu) in bytes.chunks_exact_mut(48).enumerate() {
            let opcodes = [0x01, 0x41, 0x00, 0x02, 0x05, 0x04, 0x06, 0x10];
            pdu[0] = opcodes[(seed as usize + index) % opcodes.len()];
            pdu[4..7].fill(0);
            let cmd_sn = session.client.cmd_sn + index as u32;
            pdu[24..28].copy_from_slice(&cmd_sn.to_be_bytes());
            // Not WRITE, FORMAT or SANITIZE: what the witness wrote stays.
            pdu[32] = [0x00, 0x12, 0x28, 0x88, 0x9e, 0xa0, 0x1a, 0x4d][index % 8];
        }
        let _ = session.client.pdus().write_raw(&bytes);
    }
    scene.end();
}

#[test]
fn lengths_that_do_not_match_are_residuals() {
    let scene = Scene::new();
    let mut session = scene.session("lengths");
    session.write(0, &[6; 8 * BLOCK]);
    // Less room than the command reads, and more.
    let short = session.run(&read_16(0, 8), &[], 1000);
    assert_eq!((short.status, &short.data[..]), (Status::Good.code(), &[6; 1000][..]));
    let long = session.run(&read_16(0, 8), &[], 8 * BLOCK as u32 + 512);
    assert_eq!((long.status, long.data.len()), (Status::Good.code(), 8 * BLOCK));
    assert_ne!(format!("{:?}", short.residual), format!("{:?}", long.residual));
    scene.end();
}

#[test]
fn a_session_of_the_same_name_takes_the_place_of_the_old_one() {
    let scene = Scene::new();
    let mut old = scene.session("twice");
    let mut new = scene.session("twice");
    new.write(0, &[4; BLOCK]);
    let ended = old.client.ping(b"?");
    assert!(ended.is_err(), "RFC 7143 6.3.5: the old session is gone");
    let stream = connect(scene.server.portal()).unwrap();
    let mut other = wishes("twice");
    other.isid = [0x80, 0, 0, 0, 0, 2];
    let mut other = Client::login(stream, other).unwrap();
    other.ping(b"!").unwrap();
    assert_eq!(new.read(0, BLOCK), [4; BLOCK]);
    scene.end();
}
