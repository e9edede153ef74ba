use std::net::Ipv4Addr;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use outboard_iscsi::initiator::{Client, ClientError, Wishes};
use outboard_iscsi::pdu::LogoutReason;

use super::*;
use crate::io::listen::listen;

const NAME: &str = "iqn.2026-11.org.example:host";

/// A login thread that serves no target, on a port of its own.
struct Served {
    portal: Arc<Portal>,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn new() -> Self {
        let listener =
            listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &Congestion::Auto).unwrap();
        let address = listener.local_addr().unwrap();
        let portal = Arc::new(Portal::new(IscsiConfig::default(), HashMap::new()).unwrap());
        let bounds = Bounds { connections: 8, logins: 8, logins_per_address: 8 };
        let thread =
            LoginThread::new(portal.clone(), vec![listener], bounds, Congestion::Auto).unwrap();
        let thread = Some(std::thread::spawn(|| thread.run()));
        Self { portal, address, thread }
    }

    fn login(&self, wishes: Wishes) -> Result<Client<TcpStream>, ClientError> {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client::login(socket, wishes)
    }

    /// Waits until no login is under way; how many were refused and abandoned.
    fn ended(&self) -> (u64, u64) {
        let figures = &self.portal.figures;
        let began = Instant::now();
        while figures.under_way.load(Ordering::Relaxed) != 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "a connection stays open");
            std::thread::yield_now();
        }
        let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        (of(&figures.refused), of(&figures.abandoned))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.portal.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_discovery_session_that_logs_out_is_no_refused_login() {
    let served = Served::new();
    let mut client = served.login(Wishes::discovery(NAME)).unwrap();
    assert_eq!(client.send_targets("All").unwrap(), []);
    client.logout(LogoutReason::CloseSession, 0).unwrap();
    // It says nothing more: what comes after a logout unread would turn the close into a reset.
    assert!(matches!(client.pdus().read(), Err(ClientError::Closed)));
    assert_eq!(served.ended(), (0, 0));
}

#[test]
fn a_login_to_no_target_is_refused() {
    let served = Served::new();
    let wishes = Wishes::normal(NAME, "iqn.2026-11.org.example:none");
    assert!(matches!(served.login(wishes), Err(ClientError::Login(_))));
    assert_eq!(served.ended(), (1, 0));
}
