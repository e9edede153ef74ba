//! A node in memory: login, server and a disk, driven over its public interface as an edge does.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use outboard_iscsi::config::Config;
use outboard_iscsi::login::{Login, Outcome};
use outboard_iscsi::server::{
    Backend, ConnectionId, Function, Managed, Piece, ScsiAnswer, ScsiCommand, Server, ServerConfig,
    Submitted, Want,
};
use outboard_scsi::{Direction, Status, TaskAttribute};
use outboard_slots::Time;

pub(crate) const BLOCK: usize = 512;
const SLOTS: usize = 16;
const BUFFER: usize = 1 << 20;
const DISK: usize = 4096 * BLOCK;
const NOW: Time = Time::from_nanos(1_000_000_000);

/// A disk of 2 MiB: READ(10) and WRITE(10); any other command is answered GOOD.
pub(crate) struct Disk {
    region: Vec<u8>,
    content: Vec<u8>,
    free: Vec<u16>,
    tasks: HashMap<u16, (u64, bool, usize, usize, usize)>,
    answers: VecDeque<ScsiAnswer>,
    managed: VecDeque<u64>,
    nexuses: u64,
    pub(crate) open: Vec<u64>,
}

impl Disk {
    fn new() -> Self {
        Self {
            region: vec![0xee; SLOTS * BUFFER],
            content: vec![0; DISK],
            free: (0..SLOTS as u16).collect(),
            tasks: HashMap::new(),
            answers: VecDeque::new(),
            managed: VecDeque::new(),
            nexuses: 0,
            open: Vec::new(),
        }
    }
}

impl Backend for Disk {
    fn open_nexus(&mut self, _: &str, _: u16) -> Option<u64> {
        self.nexuses += 1;
        self.open.push(self.nexuses);
        Some(self.nexuses)
    }

    fn close_nexus(&mut self, nexus: u64) {
        self.open.retain(|open| *open != nexus);
    }

    fn submit(&mut self, command: &ScsiCommand<'_>) -> Submitted {
        let cdb = command.cdb;
        let write = match cdb[0] {
            0x28 => false,
            0x2a => true,
            _ => {
                return Submitted::Answered(ScsiAnswer {
                    cookie: command.cookie,
                    slot: None,
                    status: Status::Good,
                    aborted: false,
                    sense: None,
                    transferred: 0,
                    length: 0,
                    offset: 0,
                    data: Vec::new(),
                });
            }
        };
        let Some(slot) = self.free.pop() else { return Submitted::Full };
        let lba = u32::from_be_bytes([cdb[2], cdb[3], cdb[4], cdb[5]]) as usize;
        let length = usize::from(u16::from_be_bytes([cdb[7], cdb[8]])) * BLOCK;
        let len = length.min(command.expected as usize);
        self.tasks.insert(slot, (command.cookie, write, lba * BLOCK, len, length));
        Submitted::Buffer {
            slot,
            offset: (usize::from(slot) * BUFFER) as u64,
            len: len as u64,
            direction: if write { Direction::ToDevice } else { Direction::FromDevice },
        }
    }

    fn ready(&mut self, slot: u16, _: TaskAttribute) {
        let (cookie, write, at, len, length) = self.tasks[&slot];
        let offset = usize::from(slot) * BUFFER;
        let (disk, region) = (at..at + len, offset..offset + len);
        if write {
            self.content[disk].copy_from_slice(&self.region[region]);
        } else {
            self.region[region].copy_from_slice(&self.content[disk]);
        }
        self.answers.push_back(ScsiAnswer {
            cookie,
            slot: Some(slot),
            status: Status::Good,
            aborted: false,
            sense: None,
            transferred: len as u64,
            length: length as u64,
            offset: offset as u64,
            data: Vec::new(),
        });
    }

    fn cancel(&mut self, slot: u16) {
        self.finish(slot);
    }

    fn finish(&mut self, slot: u16) {
        assert!(self.tasks.remove(&slot).is_some());
        self.free.push(slot);
    }

    fn manage(&mut self, _: &Function, cookie: u64) -> Managed {
        self.managed.push_back(cookie);
        Managed::Begun
    }

    fn copy_in(&mut self, offset: u64, bytes: &[u8]) {
        self.region[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn crc32c(&self, crc: u32, offset: u64, len: u64) -> u32 {
        crc32c::crc32c_append(crc, &self.region[offset as usize..(offset + len) as usize])
    }

    fn free_slots(&self) -> u32 {
        self.free.len() as u32
    }
}

/// The node, shared by its connections.
pub(crate) struct Node {
    config: Arc<Config>,
    server: Server,
    pub(crate) disk: Disk,
    out: HashMap<ConnectionId, Vec<u8>>,
    /// at most so many bytes come at a time
    step: usize,
}

impl Node {
    pub(crate) fn new(config: Config, step: usize) -> Rc<RefCell<Self>> {
        let server = Server::new(ServerConfig {
            target_name: config.targets[0].name.clone(),
            addresses: vec!["192.0.2.1:3260,1".to_owned()],
            ..ServerConfig::default()
        });
        let (config, disk, out) = (Arc::new(config), Disk::new(), HashMap::new());
        Rc::new(RefCell::new(Self { config, server, disk, out, step }))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.disk.tasks.is_empty()
    }

    /// Lets everything happen that can; what is to be sent is put by.
    fn turn(&mut self) {
        loop {
            while let Some(answer) = self.disk.answers.pop_front() {
                self.server.answer(NOW, &mut self.disk, answer);
            }
            while let Some(cookie) = self.disk.managed.pop_front() {
                self.server.managed(NOW, &mut self.disk, cookie);
            }
            let changed: Vec<_> = self.server.drain_changed().collect();
            for id in &changed {
                let mut bytes: Vec<u8> = Vec::new();
                for piece in self.server.output(*id) {
                    match piece {
                        Piece::Bytes(piece) => bytes.extend(piece),
                        Piece::Buffer { offset, len } => {
                            bytes.extend(&self.disk.region[offset as usize..][..len as usize]);
                        }
                    }
                }
                self.server.sent(NOW, &mut self.disk, *id, bytes.len());
                self.out.entry(*id).or_default().extend(bytes);
            }
            if changed.is_empty() && self.disk.answers.is_empty() && self.disk.managed.is_empty() {
                return;
            }
        }
    }
}

/// One connection, from its login on.
pub(crate) struct Wire {
    node: Rc<RefCell<Node>>,
    state: State,
    input: Vec<u8>,
    output: Vec<u8>,
}

enum State {
    Login(Box<Login>),
    Connection(ConnectionId),
    Closed,
}

impl Wire {
    pub(crate) fn new(node: &Rc<RefCell<Node>>) -> Self {
        let (peer, local) = (([192, 0, 2, 9], 40_000).into(), ([192, 0, 2, 1], 3260).into());
        let login = Login::new(NOW, &node.borrow().config, peer, local);
        Self {
            node: Rc::clone(node),
            state: State::Login(Box::new(login)),
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    fn turn(&mut self) {
        let node = &mut *self.node.borrow_mut();
        loop {
            match &mut self.state {
                State::Login(login) => {
                    let received = login.receive(NOW, &self.input);
                    self.input.drain(..received.consumed);
                    self.output.extend(login.output());
                    login.sent(usize::MAX);
                    self.state = match received.outcome {
                        Outcome::More if received.consumed > 0 => continue,
                        Outcome::More => return,
                        Outcome::Close { .. } => State::Closed,
                        Outcome::LoggedIn(logged_in) => {
                            match node.server.attach(NOW, &mut node.disk, *logged_in) {
                                Ok(id) => State::Connection(id),
                                Err(refusal) => {
                                    self.output.extend(refusal.response);
                                    State::Closed
                                }
                            }
                        }
                    };
                }
                State::Connection(id) => {
                    let id = *id;
                    let received = node.server.receive(NOW, &mut node.disk, id, &self.input);
                    self.input.drain(..received.consumed);
                    node.turn();
                    self.output.extend(node.out.remove(&id).unwrap_or_default());
                    match received.want {
                        Want::Data { offset, len } if !self.input.is_empty() => {
                            let len = self.input.len().min(len as usize);
                            let bytes: Vec<_> = self.input.drain(..len).collect();
                            node.disk.region[offset as usize..][..len].copy_from_slice(&bytes);
                            node.server.landed(NOW, &mut node.disk, id, len as u32);
                            continue;
                        }
                        _ if received.consumed > 0 => continue,
                        _ => {}
                    }
                    if node.server.is_closing(id) {
                        node.server.disconnect(NOW, &mut node.disk, id);
                        node.turn();
                        self.state = State::Closed;
                    }
                    return;
                }
                State::Closed => return,
            }
        }
    }

    /// The socket fails.
    pub(crate) fn cut(&mut self) {
        if let State::Connection(id) = std::mem::replace(&mut self.state, State::Closed) {
            let node = &mut *self.node.borrow_mut();
            node.server.disconnect(NOW, &mut node.disk, id);
            node.turn();
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.node.borrow().step;
        for piece in bytes.chunks(step) {
            self.input.extend(piece);
            self.turn();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.output.is_empty() {
            self.turn();
        }
        if self.output.is_empty() && !matches!(self.state, State::Closed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = bytes.len().min(self.output.len());
        bytes[..len].copy_from_slice(&self.output[..len]);
        self.output.drain(..len);
        Ok(len)
    }
}
