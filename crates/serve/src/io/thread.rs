//! An I/O thread: receive, hand over, reap, send, and sleep in one place when there is nothing to do.

mod ending;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use outboard_iscsi::server::{ConnectionId, Refused};
use outboard_slots::doorbell::Doorbell;
use outboard_slots::spin::{Advice, Spinner};
use outboard_slots::wait::Waiter;
use outboard_slots::{Memory, Time};
use rustix::event::epoll;
use rustix::io::Errno;

use self::ending::Ending;
use super::connection::Connection;
use super::mailbox::{Addresses, Mailbox, Message, NewConnection, Post};
use super::target::{Target, TargetReport};

/// What the mailbox's bell is known as.
const BELL: u64 = u64::MAX;
/// Longest sleep: bounds what a lost wake can cost.
const SLEEP_LIMIT_NS: u64 = 1_000_000_000;
/// Kernel events taken at a time.
const EVENTS: usize = 256;
/// Bytes that a refused login's last response may take.
const REFUSAL_BYTES_MAX: usize = 4096;

/// How a thread runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// the processor it stays on, if it does
    pub cpu: Option<usize>,
    /// never sleep while there are sessions
    pub spin: bool,
}

/// An I/O thread's state.
pub struct IoThread {
    targets: Vec<Target>,
    connections: Connections,
    epoll: OwnedFd,
    waiter: Waiter,
    mailbox: Mailbox,
    post: Post,
    settings: Settings,
    spinner: Spinner,
    /// connections with something to do in the next round
    busy: Vec<Key>,
    changed: Vec<ConnectionId>,
    ending: Option<Ending>,
    /// it was said already that waiting fails
    cannot_wait: bool,
}

impl IoThread {
    /// A thread's state for `targets`.
    ///
    /// # Errors
    /// The kernel gives no epoll.
    pub fn new(
        targets: Vec<Target>,
        post: Post,
        mailbox: Mailbox,
        settings: Settings,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(BELL);
        epoll::add(&epoll, mailbox.bell(), data, epoll::EventFlags::IN)?;
        Ok(Self {
            targets,
            connections: Connections::default(),
            epoll,
            waiter: Waiter::new(),
            mailbox,
            post,
            settings,
            spinner: Spinner::new(),
            busy: Vec::new(),
            changed: Vec::new(),
            ending: None,
            cannot_wait: false,
        })
    }

    /// Runs until it is drained.
    pub fn run(mut self) {
        if let Some(cpu) = self.settings.cpu {
            let mut set = rustix::thread::CpuSet::new();
            set.set(cpu);
            if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
                tracing::warn!(cpu, %error, "the I/O thread does not stay on its processor");
            }
        }
        loop {
            let now = Time::now();
            let moved = self.round(now);
            if self.ending.is_some() && self.has_ended(now, moved) {
                break;
            }
            if moved || !self.busy.is_empty() {
                self.spinner.hit(now);
                self.poll_sockets();
                continue;
            }
            self.wait(now);
        }
        self.connections = Connections::default();
        for target in &mut self.targets {
            target.stop();
        }
    }

    /// One round over everything. Whether anything moved.
    fn round(&mut self, now: Time) -> bool {
        let mut moved = self.receive(now);
        for index in 0..self.targets.len() {
            let Some(target) = self.targets.get_mut(index) else { continue };
            moved |= target.turn(now, &self.post, index);
            moved |= self.send(now, index);
        }
        moved
    }

    /// Takes from the sockets that have something.
    fn receive(&mut self, now: Time) -> bool {
        let mut moved = false;
        for at in 0..self.busy.len() {
            let Some(&key) = self.busy.get(at) else { break };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let Some(target) = self.targets.get_mut(key.target) else { continue };
            let (server, mut scsi, memory) = target.lend(now);
            moved |= connection.receive(now, server, &mut scsi, memory);
        }
        let connections = &mut self.connections;
        let mut ended = Vec::new();
        self.busy.retain(|key| {
            let Some(connection) = connections.get(*key) else { return false };
            if connection.has_ended() {
                ended.push(*key);
            }
            connection.is_ready()
        });
        for key in ended {
            self.disconnect(now, key);
            moved = true;
        }
        moved
    }

    /// Sends what the sessions of a target have to send. What that changes has its turn in the next
    /// round, so that no connection keeps the others from theirs.
    fn send(&mut self, now: Time, index: usize) -> bool {
        let Some(target) = self.targets.get_mut(index) else { return false };
        if !target.server.has_changed() {
            return false;
        }
        self.changed.clear();
        self.changed.extend(target.server.drain_changed());
        let mut moved = false;
        for at in 0..self.changed.len() {
            let Some(&id) = self.changed.get(at) else { break };
            let key = Key::of(index, id);
            if self.connections.get(key).is_some_and(|c| c.id() == id) {
                moved |= self.serve_changed(now, key);
            }
        }
        moved || self.targets.get(index).is_some_and(|target| target.server.has_changed())
    }

    fn serve_changed(&mut self, now: Time, key: Key) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let Some(target) = self.targets.get_mut(key.target) else { return false };
        let (server, mut scsi, memory) = target.lend(now);
        let mut moved = connection.send(now, server, &mut scsi, memory);
        moved |= connection.resume();
        if connection.is_ready() && !self.busy.contains(&key) {
            self.busy.push(key);
        }
        if connection.has_ended() || server.is_closing(connection.id()) {
            self.disconnect(now, key);
            return true;
        }
        moved
    }

    fn disconnect(&mut self, now: Time, key: Key) {
        let Some(connection) = self.connections.remove(key) else { return };
        let _ = epoll::delete(&self.epoll, connection.socket());
        if let Some(target) = self.targets.get_mut(key.target) {
            let (server, mut scsi, _) = target.lend(now);
            server.disconnect(now, &mut scsi, connection.id());
        }
    }

    /// Learns what has happened to the sockets, without waiting.
    fn poll_sockets(&mut self) {
        let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut buffer = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let events = match epoll::wait(&self.epoll, &mut buffer, Some(&zero)) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return,
            Err(error) => return tracing::error!(%error, "epoll"),
        };
        let mut bell = false;
        for event in events {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == BELL {
                bell = true;
                continue;
            }
            let key = Key::from_u64(data);
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let broken = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            let end = broken | epoll::EventFlags::RDHUP;
            let readable = flags.intersects(epoll::EventFlags::IN | end);
            let writable = flags.intersects(epoll::EventFlags::OUT | end);
            connection.notice(readable, writable);
            if flags.intersects(end) {
                connection.hang_up(flags.intersects(broken));
            }
            if connection.is_ready() && !self.busy.contains(&key) {
                self.busy.push(key);
            }
            if writable {
                self.serve_changed(Time::now(), key);
            }
        }
        if bell {
            self.read_mail();
        }
    }

    fn read_mail(&mut self) {
        while let Some(message) = self.mailbox.take() {
            let now = Time::now();
            match message {
                Message::Connection(new) => self.admit(now, *new),
                Message::Driver { target, started } => {
                    if let Some(it) = self.targets.get_mut(target) {
                        it.driver_started(now, *started, &self.post, target);
                    }
                }
                Message::Report(sender) => {
                    let reports: Vec<TargetReport> =
                        self.targets.iter_mut().map(|t| t.report(now)).collect();
                    let _ = sender.send(reports);
                }
                Message::Addresses(sender) => {
                    let _ = sender.send(self.addresses());
                }
                Message::Replace { target, serves, done } => match self.targets.get_mut(target) {
                    Some(it) => it.replace(now, serves, done),
                    None => drop(done.send(Err("there is no such target".to_owned()))),
                },
                Message::Trace { target, wanted, done } => {
                    if let Some(it) = self.targets.get_mut(target) {
                        it.trace(now, wanted, done);
                    }
                }
                Message::Drain { within } => self.begin_to_end(now, within),
            }
        }
    }

    /// Addresses of the connections, by target and number.
    fn addresses(&self) -> Vec<Addresses> {
        let each = |(target, c): (usize, &Connection)| Addresses {
            target,
            connection: c.id(),
            peer: c.peer,
            local: c.local,
        };
        self.connections.iter().map(each).collect()
    }

    fn admit(&mut self, now: Time, new: NewConnection) {
        let NewConnection {
            target: index,
            socket,
            peer,
            local,
            logged_in,
            received,
            addresses,
            seat,
        } = new;
        if self.ending.is_some() {
            return;
        }
        let Some(target) = self.targets.get_mut(index) else { return };
        let (server, mut scsi, memory) = target.lend(now);
        let initiator = logged_in.initiator_name.clone();
        let user = logged_in.user.clone();
        let id = match server.attach(now, &mut scsi, logged_in) {
            Ok(id) => id,
            Err(Refused { reason, response }) => {
                tracing::warn!(%peer, initiator, user, %reason, "login refused");
                let bytes = response.get(..REFUSAL_BYTES_MAX.min(response.len()));
                let piece = outboard_slots::socket::Piece::Bytes(bytes.unwrap_or_default());
                let _ = send_once(&socket, memory, piece);
                return;
            }
        };
        if let Some(addresses) = addresses {
            server.set_addresses(id, addresses);
        }
        tracing::info!(%peer, initiator, target = target.name, "logged in");
        let key = Key::of(index, id);
        let data = epoll::EventData::new_u64(key.to_u64());
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        let added = epoll::add(&self.epoll, &socket, data, flags);
        let connection = Connection::new(id, socket, (peer, local), &received, seat);
        self.connections.insert(key, connection);
        if let Err(error) = added {
            tracing::error!(%peer, %error, "epoll");
            self.disconnect(now, key);
            return;
        }
        self.busy.push(key);
        self.serve_changed(now, key);
    }

    /// Sleeps until a socket, a driver, a message or the clock has something; or looks again at once
    /// if that is near.
    fn wait(&mut self, now: Time) {
        let mut until = now.plus_nanos(SLEEP_LIMIT_NS);
        if let Some(ending) = &self.ending {
            until = until.min(ending.next());
        }
        let mut spin = false;
        let mut outstanding = 0;
        for target in &mut self.targets {
            until = until.min(target.next_event());
            if let Some((channel, in_driver)) = target.channel() {
                outstanding += in_driver;
                match channel.advise(now, until, in_driver) {
                    Advice::Spin => spin = true,
                    Advice::SleepUntil(advised) => until = until.min(advised),
                }
            }
        }
        if outstanding == 0 {
            // The next command: predicted from those before, so that idle sessions cost nothing.
            match self.spinner.idle(now, until, false) {
                Advice::Spin => spin = true,
                Advice::SleepUntil(advised) => until = until.min(advised),
            }
            let any = self.targets.iter().any(|target| target.server.session_count() != 0);
            spin |= self.settings.spin && any;
        }
        if spin {
            return self.poll_sockets();
        }
        let mut doorbells: Vec<Doorbell<'_>> = Vec::with_capacity(self.targets.len());
        let mut awake = false;
        for target in &mut self.targets {
            match target.announce() {
                None => {}
                Some(Some(doorbell)) => doorbells.push(doorbell),
                Some(None) => awake = true,
            }
        }
        let timeout = if awake { Duration::ZERO } else { until.since(now) };
        let waited = self.waiter.wait(self.epoll.as_fd(), &doorbells, timeout);
        drop(doorbells);
        for target in &mut self.targets {
            if let Some((channel, _)) = target.channel() {
                channel.withdraw();
            }
        }
        match waited {
            Ok(false) => {}
            Ok(true) => self.poll_sockets(),
            Err(error) => {
                if !std::mem::replace(&mut self.cannot_wait, true) {
                    tracing::error!(%error, "cannot wait with io_uring; looking every millisecond");
                }
                std::thread::sleep(Duration::from_millis(1));
                self.poll_sockets();
            }
        }
    }
}

/// Where a connection is kept: its target, and the place of its number. A place is used again; an
/// event that comes late for its last owner is a needless look at a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Key {
    target: usize,
    place: u32,
}

impl Key {
    const fn of(target: usize, id: ConnectionId) -> Self {
        Self { target, place: id.to_u64() as u32 }
    }

    const fn to_u64(self) -> u64 {
        (self.target as u64) << 32 | self.place as u64
    }

    const fn from_u64(data: u64) -> Self {
        Self { target: (data >> 32) as usize, place: data as u32 }
    }
}

/// Connections by target and place.
#[derive(Debug, Default)]
struct Connections(Vec<Vec<Option<Connection>>>);

impl Connections {
    #[inline]
    fn get(&self, key: Key) -> Option<&Connection> {
        self.0.get(key.target)?.get(key.place as usize)?.as_ref()
    }

    #[inline]
    fn get_mut(&mut self, key: Key) -> Option<&mut Connection> {
        self.0.get_mut(key.target)?.get_mut(key.place as usize)?.as_mut()
    }

    fn insert(&mut self, key: Key, connection: Connection) {
        if self.0.len() <= key.target {
            self.0.resize_with(key.target + 1, Vec::new);
        }
        let Some(places) = self.0.get_mut(key.target) else { return };
        if places.len() <= key.place as usize {
            places.resize_with(key.place as usize + 1, || None);
        }
        if let Some(place) = places.get_mut(key.place as usize) {
            *place = Some(connection);
        }
    }

    fn remove(&mut self, key: Key) -> Option<Connection> {
        self.0.get_mut(key.target)?.get_mut(key.place as usize)?.take()
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.0.iter().enumerate().flat_map(|(target, places)| {
            places.iter().flatten().map(move |connection| (target, connection))
        })
    }
}

fn send_once(
    socket: &std::net::TcpStream,
    memory: &Memory,
    piece: outboard_slots::socket::Piece<'_>,
) -> io::Result<usize> {
    outboard_slots::socket::send(socket.as_fd(), memory, core::iter::once(piece))
}
