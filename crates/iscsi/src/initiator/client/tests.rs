use std::io;
use std::sync::Arc;

use outboard_slots::Time;

use super::*;
use crate::access::Initiators;
use crate::config::{Auth, Config, Offer, PortalGroup, Target};
use crate::login::{Login, Outcome};
use crate::pdu::wire::append;
use crate::pdu::{
    BHS_LEN, CommandResponse, DataIn, LogoutOutcome, LogoutReason, NopIn, R2t, Residual, Response,
    Sequence, padded,
};

const INITIATOR: &str = "iqn.2026-11.org.example:host";
const TARGET: &str = "iqn.2026-11.org.example:disk";

/// The other end of the stream: a login, and then a target with a memory of 64 KiB whose commands
/// are `[1, offset / 256]` to write and `[2, offset / 256]` to read. All else is a CHECK CONDITION.
struct Far {
    login: Login,
    full: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    memory: Vec<u8>,
    stat_sn: u32,
    exp_cmd_sn: u32,
    /// A write under way: tag, place, end of what came, length.
    write: Option<(u32, usize, usize, usize)>,
    r2ts: u32,
    data_in_max: usize,
    break_data_sn: bool,
}

impl Far {
    fn new(offer: Offer) -> Self {
        let local = "192.0.2.1:3260".parse().unwrap();
        let target = Target {
            name: TARGET.to_owned(),
            alias: None,
            portal_group_tag: 1,
            auth: Auth::None,
            initiators: Initiators::All,
            redirect: None,
            available: true,
            offer,
        };
        let config = Config {
            portal_groups: vec![PortalGroup { tag: 1, portals: vec![local] }],
            targets: vec![target],
            ..Config::default()
        };
        let peer = "192.0.2.9:40000".parse().unwrap();
        Self {
            login: Login::new(Time::ZERO, &Arc::new(config), peer, local),
            full: false,
            input: Vec::new(),
            output: Vec::new(),
            memory: vec![0; 65_536],
            stat_sn: 0,
            exp_cmd_sn: 0,
            write: None,
            r2ts: 0,
            data_in_max: 1000,
            break_data_sn: false,
        }
    }

    fn sequence(&mut self, numbered: bool) -> Sequence {
        let stat_sn = self.stat_sn;
        self.stat_sn += u32::from(numbered);
        Sequence { stat_sn, exp_cmd_sn: self.exp_cmd_sn, max_cmd_sn: self.exp_cmd_sn + 3 }
    }

    fn send(&mut self, response: Response, data: &[u8]) {
        append(&mut self.output, response.encode(), data);
    }

    fn status(&mut self, task_tag: u32, status: u8, exp_data_sn: u32, sense: &[u8]) {
        let sequence = self.sequence(true);
        let residual = Residual::None;
        let response =
            CommandResponse { response: 0, status, residual, task_tag, sequence, exp_data_sn };
        self.send(Response::Command(response), sense);
    }

    fn log_in(&mut self) {
        loop {
            let received = self.login.receive(Time::ZERO, &self.input);
            self.input.drain(..received.consumed);
            self.output.extend(self.login.output());
            self.login.sent(usize::MAX);
            match received.outcome {
                Outcome::LoggedIn(logged_in) => {
                    self.full = true;
                    (self.stat_sn, self.exp_cmd_sn) = (logged_in.stat_sn + 1, logged_in.cmd_sn);
                    self.output.extend(logged_in.final_response);
                }
                _ if received.consumed > 0 => continue,
                _ => {}
            }
            return;
        }
    }

    fn pdu(&mut self, header: &Bhs, data: &[u8]) {
        match Request::parse(header).unwrap() {
            Request::Command(command) => {
                assert_eq!(command.cmd_sn, self.exp_cmd_sn);
                self.exp_cmd_sn += 1;
                let place = usize::from(command.cdb[1]) * 256;
                let (tag, len) = (command.task_tag, command.expected as usize);
                match command.cdb[0] {
                    1 => {
                        self.memory[place..place + data.len()].copy_from_slice(data);
                        self.write = Some((tag, place, data.len(), len));
                        if command.last {
                            self.go_on();
                        }
                    }
                    2 => self.read(tag, place, len),
                    _ => self.status(tag, 2, 0, &[0, 3, 0x70, 0, 5, 0]),
                }
            }
            Request::DataOut(pdu) => {
                let (tag, place, done, len) = self.write.unwrap();
                assert_eq!((pdu.task_tag, pdu.offset as usize), (tag, done));
                self.memory[place + done..place + done + data.len()].copy_from_slice(data);
                self.write = Some((tag, place, done + data.len(), len));
                if pdu.last {
                    self.go_on();
                }
            }
            Request::NopOut(ping) => {
                let (task_tag, transfer_tag) = (ping.task_tag, NO_TAG);
                let sequence = self.sequence(true);
                let pong = NopIn { lun: ping.lun, task_tag, transfer_tag, sequence };
                self.send(Response::NopIn(pong), data);
            }
            other => panic!("{other:?}"),
        }
    }

    fn go_on(&mut self) {
        let (task_tag, _, done, len) = self.write.unwrap();
        if done == len {
            let asked = core::mem::take(&mut self.r2ts);
            return self.status(task_tag, 0, asked, &[]);
        }
        let r2t = R2t {
            lun: [0; 8],
            task_tag,
            transfer_tag: 9,
            sequence: self.sequence(false),
            r2t_sn: 0,
            offset: done as u32,
            length: (len - done) as u32,
        };
        self.r2ts += 1;
        self.send(Response::R2t(r2t), &[]);
    }

    fn read(&mut self, task_tag: u32, place: usize, len: usize) {
        let memory = self.memory[place..place + len].to_vec();
        let pieces: Vec<_> = memory.chunks(self.data_in_max).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let last = number + 1 == pieces.len();
            let pdu = DataIn {
                last,
                acknowledge: false,
                status: last.then_some(0),
                residual: Residual::None,
                lun: [0; 8],
                task_tag,
                transfer_tag: NO_TAG,
                sequence: self.sequence(last),
                data_sn: number as u32 + u32::from(self.break_data_sn),
                offset: (number * self.data_in_max) as u32,
            };
            self.send(Response::DataIn(pdu), piece);
        }
    }
}

impl Write for Far {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.extend(bytes);
        if !self.full {
            self.log_in();
        }
        while self.full
            && let Some(header) = Bhs::read(&self.input)
        {
            let len = header.data_len() as usize;
            let total = BHS_LEN + padded(len);
            if self.input.len() < total {
                break;
            }
            let pdu: Vec<_> = self.input.drain(..total).collect();
            self.pdu(&header, &pdu[BHS_LEN..BHS_LEN + len]);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Far {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // Odd pieces, as TCP may give.
        let len = bytes.len().min(self.output.len()).min(777);
        bytes[..len].copy_from_slice(&self.output[..len]);
        self.output.drain(..len);
        Ok(len)
    }
}

fn client(offer: Offer) -> Client<Far> {
    Client::login(Far::new(offer), Wishes::normal(INITIATOR, TARGET)).unwrap()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[test]
fn what_is_written_is_read() {
    for (initial_r2t, immediate_data) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let mut client = client(Offer {
            initial_r2t,
            immediate_data,
            first_burst_length: 4096,
            max_recv_data_segment_length: 1024,
            ..Offer::default()
        });
        for len in [1, 511, 1024, 1025, 4096, 4097, 20_000] {
            let data = pattern(len);
            let written = client.command([0; 8], &[1, 3], &data, 0).unwrap();
            let unasked = match (initial_r2t, immediate_data) {
                (true, true) => 1024,
                (true, false) => 0,
                (false, _) => 4096,
            };
            assert_eq!((written.status, written.r2ts), (0, u32::from(len > unasked)), "{len}");
            let read = client.command([0; 8], &[2, 3], &[], len as u32).unwrap();
            assert_eq!(read.data, data);
            assert_eq!((read.status, read.residual), (0, Residual::None));
        }
    }
}

#[test]
fn several_commands_are_under_way_within_the_window() {
    let mut client = client(Offer::default());
    let tags: Vec<_> = (0..10)
        .map(|number| client.submit(&Command::read([0; 8], &[2, number], 256)).unwrap())
        .collect();
    let mut ended = Vec::new();
    for _ in 0..5 {
        ended.push(client.complete_any().unwrap().0);
    }
    for tag in tags {
        if !ended.contains(&tag) {
            assert_eq!(client.complete(tag).unwrap().data.len(), 256);
        }
    }
    assert_eq!(client.outstanding(), 0);
    assert!(matches!(client.complete(77), Err(ClientError::NoTask(77))));
    assert!(matches!(client.complete_any(), Err(ClientError::NoTask(_))));
}

#[test]
fn sense_and_pings_come_through() {
    let mut client = client(Offer::default());
    let end = client.command([0; 8], &[9], &[], 0).unwrap();
    assert_eq!((end.status, end.sense.as_slice()), (2, &[0x70, 0, 5][..]));
    assert_eq!(client.ping(b"hello").unwrap(), b"hello");
}

#[test]
fn a_target_that_breaks_the_rules_is_found_out() {
    let mut client = client(Offer::default());
    client.stream().break_data_sn = true;
    let end = client.command([0; 8], &[2, 0], &[], 10);
    assert!(matches!(end, Err(ClientError::Protocol("DataSN or R2TSN out of order"))));
}

#[test]
fn discovery_lists_targets_and_ends() {
    let far = Far::new(Offer::default());
    let mut client = Client::login(far, Wishes::discovery(INITIATOR)).unwrap();
    let expected = vec![(TARGET.to_owned(), vec!["192.0.2.1:3260,1".to_owned()])];
    assert_eq!(client.send_targets("All").unwrap(), expected);
    assert_eq!(client.ping(b"x").unwrap(), b"x");
    let rejected = client.command([0; 8], &[0], &[], 0);
    assert!(matches!(rejected, Err(ClientError::Rejected(RejectReason::CommandNotSupported))));
    assert_eq!(client.logout(LogoutReason::CloseSession, 0).unwrap(), LogoutOutcome::Closed);
    assert!(matches!(client.ping(b""), Err(ClientError::Closed)));
}

#[test]
fn digests_are_sent_and_checked() {
    struct Pipe(Vec<u8>);
    impl Read for Pipe {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.0.len());
            bytes[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let header = Bhs([7; BHS_LEN]);
    for (header_digest, data_digest) in [(false, false), (true, false), (false, true), (true, true)]
    {
        let mut pdus = Pdus::new(Pipe(Vec::new()));
        pdus.set_digests(header_digest, data_digest);
        for (ahs, data) in [(&b""[..], &b""[..]), (b"", b"12345"), (b"1234", b"1234")] {
            pdus.write(header, ahs, data).unwrap();
            let (back, came) = pdus.read().unwrap();
            assert_eq!((back.ahs_len(), came.as_slice()), (ahs.len(), data));
        }
        pdus.write(header, b"", b"12345").unwrap();
        pdus.stream().0[50 + 4 * usize::from(header_digest)] ^= 1;
        assert_eq!(pdus.read().is_err(), data_digest);
    }
    let mut pdus = Pdus::new(Pipe(Vec::new()));
    pdus.set_digests(true, false);
    pdus.write(header, b"", b"").unwrap();
    pdus.stream().0[20] ^= 1;
    assert!(matches!(pdus.read(), Err(ClientError::Digest("header"))));
    pdus.stream().0.clear();
    assert!(matches!(Pdus::new(Pipe(Vec::new())).read(), Err(ClientError::Closed)));
}
