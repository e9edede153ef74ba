//! Sessions of foreign initiators, over a backend that watches its slots.

mod backend;

use core::time::Duration;

use outboard_iscsi::login::{LoggedIn, Parameters};
use outboard_iscsi::pdu::{BHS_LEN, Bhs, Response, padded};
use outboard_iscsi::server::{ConnectionId, Piece, Server, ServerConfig, Want};
use outboard_slots::Time;

use backend::Watched;

/// Actions of a program: what follows them is not looked at.
const MAX_ACTIONS: usize = 400;
/// What a connection may have waiting to be sent, as the server promises.
const OUTPUT_MAX: u64 = 4 << 20;

struct Peer {
    id: ConnectionId,
    cmd_sn: u32,
    /// bytes for the server
    backlog: Vec<u8>,
    want: Want,
    /// bytes of the server
    input: Vec<u8>,
    /// task tag, transfer tag, offset and length of the R2Ts that are not served
    r2ts: Vec<(u32, u32, u32, u32)>,
}

struct World {
    now: Time,
    server: Server,
    backend: Watched,
    peers: Vec<Peer>,
    /// data digests were agreed on
    digest: bool,
}

/// The first byte of `bytes` chooses the parameters; each action is four bytes.
pub fn iscsi_session(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let mut world = World {
        now: Time::from_nanos(1),
        server: Server::new(ServerConfig {
            target_name: "iqn.2026-01.test:t".to_owned(),
            max_sessions: 4,
            queue_depth: 8,
            held_bytes: 4096,
            ..ServerConfig::default()
        }),
        backend: Watched::new(),
        peers: Vec::new(),
        digest: kind & 4 != 0,
    };
    world.attach(kind, 0, 0, 1);
    for action in rest.chunks_exact(4).take(MAX_ACTIONS) {
        if let [what, a, b, c] = *action {
            world.act(kind, what, a, b, c);
            world.edge(usize::from(kind >> 6) * 37 + 1 + usize::from(c) * 3);
        }
    }
    world.end();
}

impl World {
    fn attach(&mut self, kind: u8, name: u8, tsih: u16, cid: u16) {
        let bit = |n: u8| kind >> n & 1 != 0;
        let logged_in = LoggedIn {
            initiator_name: format!("iqn.2026-01.test:{name}"),
            initiator_alias: None,
            user: None,
            isid: [0x80, 0, 0, 0, 0, 1],
            tsih,
            cid,
            target_name: "iqn.2026-01.test:t".to_owned(),
            portal_group_tag: 1,
            parameters: Parameters {
                initial_r2t: bit(0),
                immediate_data: bit(1),
                data_digest: bit(2),
                max_connections: 2,
                max_outstanding_r2t: 1 + u16::from(bit(3)),
                first_burst_length: 2048,
                max_burst_length: if bit(4) { 2048 } else { 65_536 },
                target_max_recv_data_segment_length: if bit(5) { 512 } else { 8192 },
                ..Parameters::default()
            },
            cmd_sn: u32::MAX - 2,
            stat_sn: 0,
            final_response: vec![0x23; BHS_LEN],
        };
        let attached = self.server.attach(self.now, &mut self.backend, logged_in);
        match attached {
            Ok(id) => self.peers.push(Peer {
                id,
                cmd_sn: u32::MAX - 2,
                backlog: Vec::new(),
                want: Want::Bytes(BHS_LEN),
                input: Vec::new(),
                r2ts: Vec::new(),
            }),
            Err(refusal) => assert_eq!(refusal.response.len(), BHS_LEN),
        }
    }

    fn act(&mut self, kind: u8, what: u8, a: u8, b: u8, c: u8) {
        let count = self.peers.len();
        match what % 16 {
            0..=3 => self.request(kind, what % 16, a, b, c),
            4 => self.task(a, b, c),
            5 => self.simple(a, 0x00, b, c, 0),
            6 => self.simple(a, 0x06, b % 4, c, 0),
            7 => self.backend.run(usize::from(a)),
            8 => self.attach(kind, b % 3, 0, 1),
            9 => self.attach(kind, b % 3, u16::from(a % 8), 1 + u16::from(c % 3)),
            10 if count != 0 => {
                let peer = self.peers.swap_remove(usize::from(a) % count);
                self.backend.take_back(&peer.want);
                self.server.disconnect(self.now, &mut self.backend, peer.id);
            }
            11 => {
                self.now = self.now + Duration::from_secs(u64::from(a % 16));
                self.server.tick(self.now, &mut self.backend);
            }
            12 => {
                if let Some(peer) = self.peers.get_mut(usize::from(a) % count.max(1)) {
                    peer.backlog.extend([b; 7].iter().chain(&[c; 41]));
                }
            }
            13 => self.serve(kind, a, b),
            14 => self.server.request_logout(&self.backend, u16::from(a)),
            _ => self.simple(a, 0x04, b, c, 8),
        }
    }

    /// A read, a write with or without immediate data, or unsolicited data.
    fn request(&mut self, kind: u8, what: u8, a: u8, b: u8, c: u8) {
        let len = usize::from(c & 7) * 256;
        let mut bhs = Bhs([0; BHS_LEN]);
        bhs.0[0] = if what == 3 { 0x05 } else { 0x01 } | b & 0x40;
        bhs.0[1] = [0xC1, 0xA1, 0x21, 0x00][usize::from(what)] | c & 0x80;
        bhs.0[16..20].copy_from_slice(&u32::from(b & 15).to_be_bytes());
        if what == 3 {
            bhs.0[20..24].fill(0xFF);
            bhs.0[39] = c >> 5 & 3;
            bhs.0[42] = c >> 3 & 1;
        } else {
            bhs.0[20..24].copy_from_slice(&(u32::from(c >> 3) * 256).to_be_bytes());
            bhs.0[32] = if what == 0 { 0x28 } else { 0x2A };
            bhs.0[40] = c >> 4;
        }
        let data = if what == 0 { 0 } else { len };
        self.push(kind, a, bhs, what != 3 && b & 0x40 == 0, data);
    }

    fn task(&mut self, a: u8, b: u8, c: u8) {
        let mut bhs = Bhs([0; BHS_LEN]);
        bhs.0[0] = 0x02 | b & 0x40;
        bhs.0[1] = 0x80 | (c % 10);
        bhs.0[16..20].copy_from_slice(&0x8000_u32.to_be_bytes());
        bhs.0[20..24].copy_from_slice(&u32::from(b & 15).to_be_bytes());
        bhs.0[32..36]
            .copy_from_slice(&(u32::MAX - 2).wrapping_add(u32::from(c >> 4)).to_be_bytes());
        self.push(0, a, bhs, b & 0x40 == 0, 0);
    }

    fn simple(&mut self, a: u8, opcode: u8, b: u8, c: u8, len: usize) {
        let mut bhs = Bhs([0; BHS_LEN]);
        bhs.0[0] = opcode | c & 0x40;
        bhs.0[1] = 0x80 | if opcode == 6 { b } else { 0 };
        bhs.0[19] = c;
        bhs.0[20..24].copy_from_slice(&if opcode == 6 { [0, c % 3, 0, 0] } else { [0xFF; 4] });
        self.push(0, a, bhs, c & 0x40 == 0, len + usize::from(b & 3));
    }

    fn push(&mut self, kind: u8, a: u8, mut bhs: Bhs, numbered: bool, len: usize) {
        let count = self.peers.len().max(1);
        let Some(peer) = self.peers.get_mut(usize::from(a & 15) % count) else { return };
        // Upper bits of `a`: a number is left out, or used again.
        let sn =
            peer.cmd_sn.wrapping_add(u32::from(a >> 6 == 3)).wrapping_sub(u32::from(a >> 6 == 2));
        if numbered {
            peer.cmd_sn = sn.wrapping_add(1);
        }
        if bhs.opcode() != 5 {
            bhs.0[24..28].copy_from_slice(&sn.to_be_bytes());
        }
        bhs.set_data_len(len as u32);
        peer.backlog.extend(bhs.0);
        peer.backlog.extend(vec![a; padded(len)]);
        if len != 0 && kind & 4 != 0 {
            let crc = crc(&vec![a; padded(len)]) ^ u32::from(a >> 4 == 7);
            peer.backlog.extend(crc.to_le_bytes());
        }
    }

    /// Sends what an R2T asked for, or a little less.
    fn serve(&mut self, kind: u8, a: u8, b: u8) {
        let count = self.peers.len().max(1);
        let Some(peer) = self.peers.get_mut(usize::from(a & 15) % count) else { return };
        if peer.r2ts.is_empty() {
            return;
        }
        let (task_tag, transfer_tag, offset, length) = peer.r2ts.remove(0);
        let step = if kind & 32 != 0 { 512 } else { 8192 };
        let length = length.saturating_sub(u32::from(b & 1));
        let (mut at, mut data_sn) = (0, u32::from(b >> 1 & 1));
        while at < length {
            let len = step.min(length - at);
            let mut bhs = Bhs([0; BHS_LEN]);
            bhs.0[0] = 0x05;
            bhs.0[1] = if at + len == length { 0x80 } else { 0 };
            bhs.0[16..20].copy_from_slice(&task_tag.to_be_bytes());
            bhs.0[20..24].copy_from_slice(&transfer_tag.to_be_bytes());
            bhs.0[36..40].copy_from_slice(&data_sn.to_be_bytes());
            bhs.0[40..44].copy_from_slice(&(offset + at).to_be_bytes());
            self.push(kind, a & 0x3F, bhs, false, len as usize);
            at += len;
            data_sn += 1;
        }
    }

    /// What the edge does: streams in pieces of `cut` bytes, answers, output.
    fn edge(&mut self, cut: usize) {
        let mut at = 0;
        while let Some(peer) = self.peers.get_mut(at) {
            let id = peer.id;
            if let Want::Data { offset, len } = peer.want {
                let take = cut.min(len as usize).min(peer.backlog.len());
                if take != 0 {
                    let bytes: Vec<u8> = peer.backlog.drain(..take).collect();
                    self.backend.land(offset, &bytes);
                    self.backend.take_back(&peer.want);
                    peer.want = Want::Bytes(1);
                    self.server.landed(self.now, &mut self.backend, id, take as u32);
                }
            }
            if !matches!(peer.want, Want::Data { .. }) {
                let bytes = peer.backlog.get(..cut.max(1100)).unwrap_or(&peer.backlog);
                let got = self.server.receive(self.now, &mut self.backend, id, bytes);
                peer.backlog.drain(..got.consumed);
                peer.want = got.want;
                self.backend.lend(&peer.want);
            }
            if self.output(at, cut) {
                let peer = self.peers.swap_remove(at);
                self.backend.take_back(&peer.want);
                self.server.disconnect(self.now, &mut self.backend, peer.id);
            } else {
                at += 1;
            }
        }
        while let Some(answer) = self.backend.answers.pop_front() {
            self.server.answer(self.now, &mut self.backend, answer);
        }
        if self.backend.settled() {
            while let Some(cookie) = self.backend.managed.pop_front() {
                self.server.managed(self.now, &mut self.backend, cookie);
            }
        }
        self.server.drain_changed().for_each(drop);
    }

    /// Sends at most `cut` bytes; whether the socket is to be closed.
    fn output(&mut self, at: usize, cut: usize) -> bool {
        let Some(peer) = self.peers.get_mut(at) else { return false };
        assert!(self.server.output_len(peer.id) <= OUTPUT_MAX);
        let mut bytes = Vec::new();
        for piece in self.server.output(peer.id) {
            match piece {
                Piece::Bytes(own) => bytes.extend_from_slice(own),
                Piece::Buffer { offset, len } => {
                    bytes.extend_from_slice(self.backend.sending(offset, len));
                }
            }
        }
        bytes.truncate(cut);
        self.server.sent(self.now, &mut self.backend, peer.id, bytes.len());
        peer.input.extend(bytes);
        while let Some(bhs) = Bhs::read(&peer.input) {
            let welcome = bhs.opcode() == 0x23;
            let len = if welcome { 0 } else { bhs.data_len() as usize };
            let digest = if len != 0 && self.digest { 4 } else { 0 };
            let total = BHS_LEN + padded(len) + digest;
            if peer.input.len() < total {
                break;
            }
            peer.input.drain(..total);
            if welcome {
                continue;
            }
            let response = Response::parse(&bhs).expect("a response that can be read");
            if let Response::R2t(r) = response {
                peer.r2ts.push((r.task_tag, r.transfer_tag, r.offset, r.length));
                peer.r2ts.truncate(64);
            }
        }
        self.server.is_closing(peer.id)
    }

    /// All go away: nothing may be left.
    fn end(mut self) {
        for peer in std::mem::take(&mut self.peers) {
            self.backend.take_back(&peer.want);
            self.server.disconnect(self.now, &mut self.backend, peer.id);
        }
        for _ in 0..8 {
            self.backend.run(usize::MAX);
            self.edge(1);
        }
        assert_eq!(self.backend.in_use(), 0, "slots are lost");
        assert_eq!(self.server.session_count(), 0, "sessions are left");
        assert_eq!(self.backend.nexuses.len(), 0, "nexuses are left");
    }
}

/// CRC32C, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0x82F6_3B78 } else { 0 };
        }
    }
    !crc
}
