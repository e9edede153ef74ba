//! The login thread: listening sockets, log-ins, discovery sessions. A connection leaves it for the
//! I/O thread of its target once its login has succeeded.
//!
//! What a stranger can make it hold is bounded: connections by number and by address, each one
//! buffer and one deadline. When all places are taken the oldest login under way gives way, so that
//! a flood of silent connections does not keep honest ones out.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use outboard_iscsi::access::target_address;
use outboard_iscsi::config::{Config as IscsiConfig, PortalGroup};
use outboard_iscsi::login::{CloseReason, LoggedIn, Login, Outcome, PDU_LEN_MAX};
use outboard_slots::Time;
use rustix::event::{EventfdFlags, epoll, eventfd};

use super::listen::unpace;
use super::mailbox::{Message, NewConnection, Post};
use crate::config::Congestion;

/// What the stop bell is known as.
const BELL: u64 = u64::MAX;
/// Listening sockets are known by number from here on.
const LISTENERS: u64 = 1 << 63;
/// Longest sleep.
const SLEEP_LIMIT: Duration = Duration::from_secs(1);
/// Pause after the kernel has run out of descriptors or memory.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// Pause between two complaints about that.
const COMPLAINTS: Duration = Duration::from_secs(10);
/// Steps of one login before others have their turn.
const STEPS: u32 = 32;

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// connections, log-ins among them
    pub connections: usize,
    /// log-ins and discovery sessions at a time
    pub logins: usize,
    /// of them from one address
    pub logins_per_address: usize,
}

/// Where a target's connections go.
#[derive(Clone, Debug)]
pub struct Place {
    /// its I/O thread
    pub post: Post,
    /// its index there
    pub index: usize,
}

/// What the login thread shares with the rest of the server.
#[derive(Debug)]
pub struct Portal {
    config: RwLock<Arc<IscsiConfig>>,
    places: RwLock<HashMap<String, Place>>,
    closed: AtomicBool,
    bell: OwnedFd,
    taken: Arc<AtomicUsize>,
    /// figures
    pub figures: Figures,
}

/// Counts a connection from its beginning to its end, wherever it is.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How log-ins fared.
#[derive(Debug, Default)]
pub struct Figures {
    /// under way
    pub under_way: AtomicU32,
    /// succeeded
    pub succeeded: AtomicU64,
    /// refused
    pub refused: AtomicU64,
    /// given up by the peer or by time
    pub abandoned: AtomicU64,
    /// closed at once, or to make room
    pub over_limit: AtomicU64,
}

impl Portal {
    /// Nothing is listened to yet.
    ///
    /// # Errors
    /// The kernel gives no eventfd.
    pub fn new(config: IscsiConfig, places: HashMap<String, Place>) -> io::Result<Self> {
        Ok(Self {
            config: RwLock::new(Arc::new(config)),
            places: RwLock::new(places),
            closed: AtomicBool::new(false),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            taken: Arc::default(),
            figures: Figures::default(),
        })
    }

    /// From the next connection on.
    pub fn reconfigure(&self, config: IscsiConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// No connection is accepted any more; those that log in are dropped.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn config(&self) -> Arc<IscsiConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A seat, if fewer than `most` are taken.
    fn seat(&self, most: usize) -> Option<Seat> {
        // Only the login thread gives seats out.
        if self.taken.load(Ordering::Relaxed) >= most {
            return None;
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(Seat(self.taken.clone()))
    }

    fn place(&self, target: &str) -> Option<Place> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }
}

/// One login under way.
struct Pending {
    login: Login,
    socket: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    received: Vec<u8>,
    /// close it once its output has left
    closing: bool,
    seat: Seat,
}

/// The login thread's state.
pub struct LoginThread {
    portal: Arc<Portal>,
    listeners: Vec<TcpListener>,
    bounds: Bounds,
    congestion: Congestion,
    epoll: OwnedFd,
    pending: HashMap<u64, Pending>,
    by_address: HashMap<IpAddr, usize>,
    next: u64,
    /// those that have more to do than they could
    ready: Vec<u64>,
    /// when there was a complaint about the kernel
    complained: Option<Time>,
}

impl LoginThread {
    /// Accepts from `listeners`, which do not block.
    ///
    /// # Errors
    /// The kernel gives no epoll.
    pub fn new(
        portal: Arc<Portal>,
        listeners: Vec<TcpListener>,
        bounds: Bounds,
        congestion: Congestion,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN;
        epoll::add(&epoll, &portal.bell, epoll::EventData::new_u64(BELL), flags)?;
        for (number, listener) in (LISTENERS..).zip(&listeners) {
            epoll::add(&epoll, listener, epoll::EventData::new_u64(number), flags)?;
        }
        Ok(Self {
            portal,
            listeners,
            bounds,
            congestion,
            epoll,
            pending: HashMap::new(),
            by_address: HashMap::new(),
            next: 0,
            ready: Vec::new(),
            complained: None,
        })
    }

    /// Runs until the portal is closed.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(128);
        while !self.portal.closed.load(Ordering::SeqCst) {
            let now = Time::now();
            let until = self.pending.values().map(|p| p.login.deadline()).min();
            let timeout = until.map_or(SLEEP_LIMIT, |t| t.since(now).min(SLEEP_LIMIT));
            // Rounded up, so that a deadline has passed when it wakes.
            let timeout = match self.ready.is_empty() {
                true => timeout + Duration::from_millis(1),
                false => Duration::ZERO,
            };
            let timeout = rustix::event::Timespec {
                tv_sec: timeout.as_secs() as i64,
                tv_nsec: i64::from(timeout.subsec_nanos()),
            };
            events.clear();
            let space = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, space, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "login thread: epoll");
                    std::thread::sleep(EXHAUSTED);
                }
            }
            let now = Time::now();
            for event in &events {
                let number = event.data.u64();
                if number == BELL {
                    continue;
                }
                match number.checked_sub(LISTENERS) {
                    Some(at) => self.accept(now, at as usize),
                    None => self.go_on(now, number),
                }
            }
            for number in std::mem::take(&mut self.ready) {
                self.go_on(now, number);
            }
            self.end_late(now);
        }
    }

    fn accept(&mut self, now: Time, listener: usize) {
        // A bounded number in a row: log-ins under way go on between.
        for _ in 0..64 {
            let Some(listener) = self.listeners.get(listener) else { return };
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    // A connection that has gone again is no trouble; no descriptors is.
                    if !matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                    ) {
                        self.exhausted(now, &error);
                        return;
                    }
                    continue;
                }
            };
            if let Err(error) = self.begin(now, socket, peer) {
                tracing::debug!(%peer, %error, "connection lost");
            }
        }
    }

    fn begin(&mut self, now: Time, socket: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let peer = canonical(peer);
        let figures = &self.portal.figures;
        let of_address = self.by_address.get(&peer.ip()).copied().unwrap_or(0);
        if of_address >= self.bounds.logins_per_address {
            figures.over_limit.fetch_add(1, Ordering::Relaxed);
            self.give_up_oldest(Some(peer.ip()));
        } else if self.pending.len() >= self.bounds.logins {
            figures.over_limit.fetch_add(1, Ordering::Relaxed);
            self.give_up_oldest(None);
        }
        let seat = match self.portal.seat(self.bounds.connections) {
            Some(seat) => Some(seat),
            None => {
                self.portal.figures.over_limit.fetch_add(1, Ordering::Relaxed);
                self.give_up_oldest(None);
                self.portal.seat(self.bounds.connections)
            }
        };
        // All are in the full feature phase: who is there stays.
        let Some(seat) = seat else { return Ok(()) };
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?;
        let local = canonical(local);
        unpace(&socket, &self.congestion, peer, local);
        let number = self.next;
        self.next += 1;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(number), flags)?;
        let login = Login::new(now, &self.portal.config(), peer, local);
        let received = Vec::new();
        let pending = Pending { login, socket, peer, local, received, closing: false, seat };
        self.pending.insert(number, pending);
        *self.by_address.entry(peer.ip()).or_insert(0) += 1;
        self.count();
        Ok(())
    }

    /// Moves a login on as far as its socket lets it.
    fn go_on(&mut self, now: Time, number: u64) {
        for _ in 0..STEPS {
            let Some(pending) = self.pending.get_mut(&number) else { return };
            match pending.step(now) {
                Step::Wait => return,
                Step::Again => {}
                Step::LoggedIn(logged_in) => {
                    self.portal.figures.succeeded.fetch_add(1, Ordering::Relaxed);
                    let Some(pending) = self.remove(number) else { return };
                    self.hand_over(pending, *logged_in);
                    return;
                }
                Step::Refused(reason) => {
                    tracing::info!(
                        peer = %pending.peer,
                        initiator = pending.login.initiator_name(),
                        reason,
                        "login refused"
                    );
                    self.portal.figures.refused.fetch_add(1, Ordering::Relaxed);
                }
                Step::DiscoveryEnded(None) => {}
                Step::DiscoveryEnded(Some(reason)) => {
                    tracing::info!(
                        peer = %pending.peer,
                        initiator = pending.login.initiator_name(),
                        reason,
                        "discovery session dropped"
                    );
                }
                Step::Ended => {
                    if !pending.closing && !pending.login.is_discovery() {
                        self.portal.figures.abandoned.fetch_add(1, Ordering::Relaxed);
                    }
                    drop(self.remove(number));
                    return;
                }
            }
        }
        // Its edge has been taken: it comes again without one.
        self.ready.push(number);
    }

    /// The connection goes to the thread of its target.
    fn hand_over(&self, pending: Pending, logged_in: LoggedIn) {
        let Pending { socket, peer, local, received, seat, .. } = pending;
        let Some(Place { post, index }) = self.portal.place(&logged_in.target_name) else {
            tracing::warn!(%peer, target = logged_in.target_name, "no thread serves this target");
            return;
        };
        let tag = logged_in.portal_group_tag;
        let config = self.portal.config();
        let everywhere =
            |group: &&PortalGroup| group.portals.iter().any(|p| p.ip().is_unspecified());
        let addresses = config.group(tag).filter(everywhere).map(|group| {
            let named = group.addresses(local).into_iter();
            named.map(|address| target_address(address, tag)).collect()
        });
        let target = index;
        let new =
            NewConnection { target, socket, peer, local, logged_in, received, addresses, seat };
        // A thread that has ended takes no sessions.
        let _ = post.send(Message::Connection(Box::new(new)));
    }

    /// The kernel has no descriptor or no memory for a further connection.
    fn exhausted(&mut self, now: Time, error: &io::Error) {
        if self.complained.is_none_or(|at| now >= at + COMPLAINTS) {
            self.complained = Some(now);
            tracing::warn!(%error, "cannot accept a connection");
        }
        self.give_up_oldest(None);
        std::thread::sleep(EXHAUSTED);
    }

    fn end_late(&mut self, now: Time) {
        let late: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, p)| p.login.deadline() <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            let Some(pending) = self.remove(number) else { continue };
            if !pending.login.is_discovery() {
                self.portal.figures.abandoned.fetch_add(1, Ordering::Relaxed);
                tracing::info!(peer = %pending.peer, "login took too long");
            }
        }
    }

    fn give_up_oldest(&mut self, address: Option<IpAddr>) {
        let of = |p: &Pending| address.is_none_or(|address| p.peer.ip() == address);
        let oldest = self.pending.iter().filter(|(_, p)| of(p)).map(|(number, _)| *number).min();
        if let Some(number) = oldest {
            drop(self.remove(number));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Pending> {
        let pending = self.pending.remove(&number)?;
        let _ = epoll::delete(&self.epoll, pending.socket.as_fd());
        if let Some(count) = self.by_address.get_mut(&pending.peer.ip()) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&pending.peer.ip());
            }
        }
        self.count();
        Some(pending)
    }

    fn count(&self) {
        let under_way = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        self.portal.figures.under_way.store(under_way, Ordering::Relaxed);
    }
}

enum Step {
    /// nothing more until the socket has something
    Wait,
    /// something moved
    Again,
    LoggedIn(Box<LoggedIn>),
    Refused(String),
    /// with the initiator's logout, or for this reason
    DiscoveryEnded(Option<String>),
    /// close it
    Ended,
}

impl Pending {
    fn step(&mut self, now: Time) -> Step {
        if !self.login.output().is_empty() {
            return match (&self.socket).write(self.login.output()) {
                Ok(0) => Step::Ended,
                Ok(sent) => {
                    self.login.sent(sent);
                    Step::Again
                }
                Err(error) => blocked(&error),
            };
        }
        if self.closing {
            return Step::Ended;
        }
        let discovery = self.login.is_discovery();
        let got = self.login.receive(now, &self.received);
        self.received.drain(..got.consumed);
        match got.outcome {
            Outcome::LoggedIn(logged_in) => return Step::LoggedIn(logged_in),
            Outcome::Close { reason } => {
                self.closing = true;
                return match reason {
                    CloseReason::LoggedOut => Step::DiscoveryEnded(None),
                    reason if discovery => Step::DiscoveryEnded(Some(reason.to_string())),
                    reason => Step::Refused(reason.to_string()),
                };
            }
            Outcome::More if got.consumed != 0 || !self.login.output().is_empty() => {
                return Step::Again;
            }
            Outcome::More => {}
        }
        if self.received.len() >= PDU_LEN_MAX {
            // The login has seen a whole PDU's worth and wants more: it never will have enough.
            return Step::Ended;
        }
        let mut buffer = [0; 4096];
        let room = buffer.len().min(PDU_LEN_MAX - self.received.len());
        match (&self.socket).read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => Step::Ended,
            Ok(got) => {
                self.received.extend_from_slice(buffer.get(..got).unwrap_or_default());
                Step::Again
            }
            Err(error) => blocked(&error),
        }
    }
}

fn blocked(error: &io::Error) -> Step {
    match error.kind() {
        ErrorKind::WouldBlock => Step::Wait,
        ErrorKind::Interrupted => Step::Again,
        _ => Step::Ended,
    }
}

/// An IPv4 address in IPv6 clothes is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
