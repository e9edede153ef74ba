//! A server with its backend, and initiators that speak to it over streams of bytes.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use outboard_scsi::TaskAttribute;
use outboard_slots::Time;

use super::Memory;
use crate::login::{LoggedIn, Parameters};
use crate::pdu::{
    BHS_LEN, Bhs, CommandRequest, DataOut, NO_TAG, NopOut, Request, Response, digest, padded,
};
use crate::server::{Backend, ConnectionId, Piece, Server, ServerConfig, Want};

pub(super) struct Bench {
    pub(super) now: Time,
    pub(super) server: Server,
    pub(super) memory: Memory,
    pub(super) wires: BTreeMap<ConnectionId, Wire>,
    /// lengths of the pieces that the stream is cut into, used in turn
    pub(super) cuts: Vec<usize>,
    cut: usize,
    /// what the edge sends at a time
    pub(super) send: usize,
}

/// The initiator's end of a connection.
pub(super) struct Wire {
    pub(super) parameters: Parameters,
    pub(super) cmd_sn: u32,
    /// bytes for the server that it has not taken
    backlog: VecDeque<u8>,
    /// bytes of the server that are no whole PDU yet
    input: Vec<u8>,
    pub(super) got: Vec<(Response, Vec<u8>)>,
    pub(super) welcome: Vec<u8>,
    pub(super) closed: bool,
    exp_stat_sn: Option<u32>,
    lent: Option<Want>,
}

pub(super) fn logged_in(initiator: &str, parameters: Parameters) -> LoggedIn {
    LoggedIn {
        initiator_name: initiator.to_owned(),
        initiator_alias: None,
        user: None,
        isid: [0x80, 0, 0, 0, 0, 1],
        tsih: 0,
        cid: 1,
        target_name: "iqn.2026-01.test:target".to_owned(),
        portal_group_tag: 1,
        parameters,
        cmd_sn: 10,
        stat_sn: 100,
        final_response: {
            let mut bytes = vec![0; BHS_LEN];
            bytes[0] = 0x23;
            bytes[1] = 0x87;
            bytes
        },
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(ServerConfig {
            target_name: "iqn.2026-01.test:target".to_owned(),
            addresses: vec!["127.0.0.1:3260,1".to_owned()],
            ..ServerConfig::default()
        })
    }

    pub(super) fn with(config: ServerConfig) -> Self {
        Self {
            now: Time::from_nanos(1_000_000_000),
            server: Server::new(config),
            memory: Memory::new(),
            wires: BTreeMap::new(),
            cuts: vec![usize::MAX],
            cut: 0,
            send: usize::MAX,
        }
    }

    pub(super) fn login(&mut self, parameters: Parameters) -> ConnectionId {
        self.attach(logged_in("iqn.2026-01.test:initiator", parameters)).unwrap()
    }

    pub(super) fn attach(&mut self, logged_in: LoggedIn) -> Result<ConnectionId, Vec<u8>> {
        let wire = Wire {
            parameters: logged_in.parameters.clone(),
            cmd_sn: logged_in.cmd_sn,
            backlog: VecDeque::new(),
            input: Vec::new(),
            got: Vec::new(),
            welcome: Vec::new(),
            closed: false,
            exp_stat_sn: None,
            lent: None,
        };
        let attached = self.server.attach(self.now, &mut self.memory, logged_in);
        let id = attached.map_err(|refused| refused.response)?;
        self.wires.insert(id, wire);
        self.turn();
        Ok(id)
    }

    pub(super) fn wire(&mut self, id: ConnectionId) -> &mut Wire {
        self.wires.get_mut(&id).unwrap()
    }

    /// Sends bytes as they are and lets everything happen that can.
    pub(super) fn raw(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.wire(id).backlog.extend(bytes);
        self.turn();
    }

    pub(super) fn pdu(&mut self, id: ConnectionId, request: &Request, data: &[u8]) {
        let bytes = self.wire(id).wrap(request.encode(), data);
        self.raw(id, &bytes);
    }

    fn next_cut(&mut self) -> usize {
        self.cut += 1;
        self.cuts[self.cut % self.cuts.len()].max(1)
    }

    /// Streams in, answers through, streams out, until nothing moves.
    pub(super) fn turn(&mut self) {
        loop {
            let ids: Vec<_> = self.wires.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                moved |= self.feed(id);
                moved |= self.drain(id);
            }
            while let Some(answer) = self.memory.answers.pop_front() {
                self.server.answer(self.now, &mut self.memory, answer);
                moved = true;
            }
            if self.memory.settled() {
                while let Some(cookie) = self.memory.managed.pop_front() {
                    self.server.managed(self.now, &mut self.memory, cookie);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        self.server.drain_changed().for_each(drop);
    }

    fn feed(&mut self, id: ConnectionId) -> bool {
        let mut moved = false;
        // The edge stays where it was told to receive until something comes.
        let mut want = self.wires[&id].lent.unwrap_or(Want::Bytes(1));
        let mut window = 0_usize;
        loop {
            if self.wires[&id].closed {
                return moved;
            }
            if let Want::Data { offset, len } = want {
                let cut = self.next_cut();
                let wire = self.wires.get_mut(&id).unwrap();
                let take = cut.min(len as usize).min(wire.backlog.len());
                if take == 0 {
                    return moved;
                }
                let bytes: Vec<u8> = wire.backlog.drain(..take).collect();
                self.memory.copy_in(offset, &bytes);
                self.server.landed(self.now, &mut self.memory, id, take as u32);
                moved = true;
                window = 0;
            }
            let cut = self.next_cut();
            let wire = self.wires.get_mut(&id).unwrap();
            let before = window;
            window = window.saturating_add(cut).min(wire.backlog.len());
            let bytes: Vec<u8> = wire.backlog.iter().take(window).copied().collect();
            let got = self.server.receive(self.now, &mut self.memory, id, &bytes);
            assert!(got.consumed <= bytes.len());
            let wire = self.wires.get_mut(&id).unwrap();
            wire.backlog.drain(..got.consumed);
            window -= got.consumed;
            moved |= got.consumed != 0;
            want = got.want;
            wire.lent = matches!(want, Want::Data { .. }).then_some(want);
            match want {
                Want::Bytes(needed) => {
                    assert!(needed > window && needed <= 2048, "{needed} of {window}");
                    if window == wire.backlog.len() && (got.consumed == 0 || window == before) {
                        return moved;
                    }
                }
                Want::Data { .. } => {
                    assert_eq!(window, 0);
                    if wire.backlog.is_empty() {
                        return moved;
                    }
                }
                Want::Stalled | Want::Close => return moved,
            }
        }
    }

    fn drain(&mut self, id: ConnectionId) -> bool {
        let mut moved = false;
        loop {
            let mut bytes = Vec::new();
            for piece in self.server.output(id) {
                match piece {
                    Piece::Bytes(own) => bytes.extend_from_slice(own),
                    Piece::Buffer { offset, len } => bytes.extend_from_slice(
                        &self.memory.region[offset as usize..(offset + len) as usize],
                    ),
                }
            }
            assert_eq!(bytes.len() as u64, self.server.output_len(id));
            bytes.truncate(self.send);
            if !bytes.is_empty() {
                self.server.sent(self.now, &mut self.memory, id, bytes.len());
                self.wire(id).take(&bytes);
                moved = true;
                continue;
            }
            if self.server.is_closing(id) && !self.wire(id).closed {
                self.wire(id).closed = true;
                self.server.disconnect(self.now, &mut self.memory, id);
                moved = true;
            }
            return moved;
        }
    }

    /// The peer goes away.
    pub(super) fn cut_off(&mut self, id: ConnectionId) {
        self.wire(id).closed = true;
        self.server.disconnect(self.now, &mut self.memory, id);
        self.turn();
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            if self.now >= self.server.next_event() {
                self.server.tick(self.now, &mut self.memory);
            }
            self.turn();
        }
    }

    pub(super) fn command(&mut self, id: ConnectionId, tag: u32, cdb: Cdb) -> CommandRequest {
        let wire = self.wire(id);
        let request = cdb.request(tag, wire.cmd_sn);
        wire.cmd_sn = wire.cmd_sn.wrapping_add(1);
        request
    }

    pub(super) fn read(&mut self, id: ConnectionId, tag: u32, lba: u32, blocks: u16) {
        let request = self.command(id, tag, Cdb::read(lba, blocks));
        self.pdu(id, &Request::Command(request), &[]);
    }

    /// Sends a write as the parameters allow: immediate, unsolicited, then solicited data.
    pub(super) fn write(&mut self, id: ConnectionId, tag: u32, lba: u32, data: &[u8]) {
        let blocks = (data.len() / super::backend::BLOCK) as u16;
        let mut request = self.command(id, tag, Cdb::write(lba, blocks));
        let p = self.wire(id).parameters.clone();
        let first = data.len().min(p.first_burst_length as usize);
        let max = p.target_max_recv_data_segment_length as usize;
        let now = if p.immediate_data { first.min(max) } else { 0 };
        request.last = p.initial_r2t || now == first;
        let last = request.last;
        self.pdu(id, &Request::Command(request), &data[..now]);
        if !last {
            self.data_out(id, tag, NO_TAG, now, &data[now..first]);
        }
        self.solicited(id, tag, data);
    }

    /// Serves all R2Ts of a task.
    pub(super) fn solicited(&mut self, id: ConnectionId, tag: u32, data: &[u8]) {
        while let Some(r2t) = self.wire(id).take_r2t(tag) {
            let (from, to) = (r2t.offset as usize, (r2t.offset + r2t.length) as usize);
            self.data_out(id, tag, r2t.transfer_tag, from, &data[from..to]);
        }
    }

    pub(super) fn data_out(
        &mut self,
        id: ConnectionId,
        task_tag: u32,
        transfer_tag: u32,
        offset: usize,
        data: &[u8],
    ) {
        let max = self.wire(id).parameters.target_max_recv_data_segment_length as usize;
        let count = data.chunks(max).count();
        let mut at = offset;
        for (data_sn, chunk) in data.chunks(max).enumerate() {
            let pdu = DataOut {
                last: data_sn + 1 == count,
                lun: [0; 8],
                task_tag,
                transfer_tag,
                exp_stat_sn: 0,
                data_sn: data_sn as u32,
                offset: at as u32,
            };
            at += chunk.len();
            self.pdu(id, &Request::DataOut(pdu), chunk);
        }
    }

    pub(super) fn nop(&mut self, id: ConnectionId, tag: u32, immediate: bool, data: &[u8]) {
        let wire = self.wire(id);
        let cmd_sn = wire.cmd_sn;
        if !immediate {
            wire.cmd_sn = cmd_sn.wrapping_add(1);
        }
        let nop = NopOut {
            immediate,
            lun: [0; 8],
            task_tag: tag,
            transfer_tag: NO_TAG,
            cmd_sn,
            exp_stat_sn: 0,
        };
        self.pdu(id, &Request::NopOut(nop), data);
    }
}

impl Wire {
    /// A PDU on the wire, with the digests that were agreed on.
    pub(super) fn wrap(&self, bhs: Bhs, data: &[u8]) -> Vec<u8> {
        let mut bhs = bhs;
        bhs.set_data_len(data.len() as u32);
        let mut bytes = bhs.0.to_vec();
        if self.parameters.header_digest {
            bytes.extend(digest::to_wire(digest::crc32c(0, &bhs.0)));
        }
        if !data.is_empty() {
            bytes.extend_from_slice(data);
            bytes.resize(bytes.len() + padded(data.len()) - data.len(), 0);
            if self.parameters.data_digest {
                let crc = digest::pad(digest::crc32c(0, data), data.len());
                bytes.extend(digest::to_wire(crc));
            }
        }
        bytes
    }

    fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        if self.welcome.is_empty() {
            if self.input.len() < BHS_LEN {
                return;
            }
            self.welcome = self.input.drain(..BHS_LEN).collect();
        }
        while let Some(bhs) = Bhs::read(&self.input) {
            let header = if self.parameters.header_digest { 4 } else { 0 };
            let len = bhs.data_len() as usize;
            let digest_len = if self.parameters.data_digest && len != 0 { 4 } else { 0 };
            let total = BHS_LEN + header + padded(len) + digest_len;
            if self.input.len() < total {
                return;
            }
            let pdu: Vec<u8> = self.input.drain(..total).collect();
            if header != 0 {
                let crc = digest::to_wire(digest::crc32c(0, &pdu[..BHS_LEN]));
                assert_eq!(pdu[BHS_LEN..BHS_LEN + 4], crc);
            }
            let segment = &pdu[BHS_LEN + header..BHS_LEN + header + padded(len)];
            if digest_len != 0 {
                let crc = digest::to_wire(digest::crc32c(0, segment));
                assert_eq!(pdu[total - 4..], crc);
            }
            let response = Response::parse(&bhs).expect("a response that can be read");
            self.check_stat_sn(&response);
            self.got.push((response, segment[..len].to_vec()));
        }
    }

    /// StatSN rises by one with each status and by nothing else (RFC 7143 4.2.2.2).
    fn check_stat_sn(&mut self, response: &Response) {
        let counts = match response {
            Response::DataIn(p) if p.status.is_none() => return,
            Response::R2t(_) => false,
            Response::NopIn(p) => p.task_tag != NO_TAG,
            _ => true,
        };
        let sn = response.sequence().stat_sn;
        if let Some(expected) = self.exp_stat_sn {
            assert_eq!(sn, expected, "StatSN of {response:?}");
        }
        self.exp_stat_sn = Some(sn.wrapping_add(u32::from(counts)));
    }

    fn take_r2t(&mut self, tag: u32) -> Option<crate::pdu::R2t> {
        let at = self
            .got
            .iter()
            .position(|(r, _)| matches!(r, Response::R2t(r2t) if r2t.task_tag == tag))?;
        match self.got.remove(at) {
            (Response::R2t(r2t), _) => Some(r2t),
            _ => None,
        }
    }

    /// Status, data and residual of a task, if it has ended.
    pub(super) fn end_of(&self, tag: u32) -> Option<Ended> {
        let mut ended = Ended::default();
        let mut status = None;
        for (response, data) in &self.got {
            match response {
                Response::DataIn(p) if p.task_tag == tag => {
                    assert_eq!(p.data_sn, ended.pdus, "DataSN");
                    assert_eq!(p.offset as usize, ended.data.len(), "Buffer Offset");
                    assert!(
                        data.len()
                            <= self.parameters.initiator_max_recv_data_segment_length as usize
                    );
                    ended.pdus += 1;
                    ended.data.extend_from_slice(data);
                    status = status.or_else(|| p.status.map(|s| (s, p.residual)));
                }
                Response::Command(p) if p.task_tag == tag => {
                    assert!(status.is_none(), "two ends of task {tag}");
                    ended.sense.clone_from(data);
                    status = Some((p.status, p.residual));
                }
                _ => {}
            }
        }
        let (status, residual) = status?;
        Some(Ended { status, residual, ..ended })
    }

    pub(super) fn last(&self) -> Option<&Response> {
        self.got.last().map(|(r, _)| r)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ended {
    pub(super) status: u8,
    pub(super) residual: crate::pdu::Residual,
    pub(super) data: Vec<u8>,
    pub(super) sense: Vec<u8>,
    pub(super) pdus: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Cdb {
    pub(super) bytes: [u8; 16],
    pub(super) expected: u32,
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Cdb {
    fn ten(opcode: u8, lba: u32, blocks: u16) -> Self {
        let mut bytes = [0; 16];
        bytes[0] = opcode;
        bytes[2..6].copy_from_slice(&lba.to_be_bytes());
        bytes[7..9].copy_from_slice(&blocks.to_be_bytes());
        let expected = u32::from(blocks) * super::backend::BLOCK as u32;
        Self { bytes, expected, read: opcode == 0x28, write: opcode == 0x2A }
    }

    pub(super) fn read(lba: u32, blocks: u16) -> Self {
        Self::ten(0x28, lba, blocks)
    }

    pub(super) fn write(lba: u32, blocks: u16) -> Self {
        Self::ten(0x2A, lba, blocks)
    }

    pub(super) fn ready() -> Self {
        Self { expected: 0, ..Self::ten(0, 0, 0) }
    }

    pub(super) fn request(self, task_tag: u32, cmd_sn: u32) -> CommandRequest {
        CommandRequest {
            immediate: false,
            last: true,
            read: self.read,
            write: self.write,
            attribute: TaskAttribute::Simple,
            lun: [0; 8],
            task_tag,
            expected: self.expected,
            cmd_sn,
            exp_stat_sn: 0,
            cdb: self.bytes,
        }
    }
}
