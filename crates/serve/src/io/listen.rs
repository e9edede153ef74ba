//! Listening sockets, and what controls congestion on the connections that they accept.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use rustix::net::sockopt;

use crate::config::Congestion;

/// Connections the kernel may keep for us.
const BACKLOG: i32 = 1024;
/// Paces every segment by a timer of its own.
const PACED: &str = "bbr";
/// Paces nothing, is in every kernel, and everybody may have it.
const UNPACED: &str = "reno";

/// A socket that listens on `address`; the connections that it accepts inherit their algorithm.
///
/// # Errors
/// The address is taken or not ours, or the algorithm is none that we may have.
pub fn listen(address: SocketAddr, congestion: &Congestion) -> io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0` on one port.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if let Congestion::Named(name) = congestion {
        sockopt::set_tcp_congestion(&socket, name).map_err(|error| {
            let rule = format!("the kernel refuses the congestion control {name:?}: {error}");
            io::Error::new(io::Error::from(error).kind(), rule)
        })?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Relieves a connection that never leaves this machine of pacing, if nobody asked for it: no queue
/// on the way could overflow, and a timer for every segment costs a third of the speed.
/// If that fails the connection is slower, no more.
pub(super) fn unpace(
    socket: impl AsFd,
    congestion: &Congestion,
    peer: SocketAddr,
    local: SocketAddr,
) {
    let stays_here = peer.ip() == local.ip() || peer.ip().is_loopback();
    let is_paced = || sockopt::tcp_congestion(&socket).is_ok_and(|name| name == PACED);
    if *congestion == Congestion::Auto && stays_here && is_paced() {
        let _ = sockopt::set_tcp_congestion(&socket, UNPACED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

    /// What an accepted connection ends with, over a listener that has `algorithm`.
    fn accepted(algorithm: &str, congestion: &Congestion, far: bool) -> String {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = listen(any_port, &Congestion::Named(algorithm.to_owned())).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = listener.accept().unwrap();
        let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5));
        let local = socket.local_addr().unwrap();
        unpace(&socket, congestion, if far { elsewhere } else { peer }, local);
        sockopt::tcp_congestion(&socket).unwrap()
    }

    /// Whether this kernel has the algorithm, and gives it to us.
    fn is_there(algorithm: &str) -> bool {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let there = listen(any_port, &Congestion::Named(algorithm.to_owned())).is_ok();
        if !there {
            println!("skipped: this kernel does not give {algorithm}");
        }
        there
    }

    #[test]
    fn a_named_algorithm_is_that_of_every_connection() {
        let named = Congestion::Named("reno".to_owned());
        assert_eq!(accepted("reno", &named, false), "reno");
        if is_there("bbr") {
            let named = Congestion::Named("bbr".to_owned());
            assert_eq!(accepted("bbr", &named, false), "bbr");
        }
    }

    #[test]
    fn only_a_connection_that_stays_here_is_relieved_of_pacing() {
        if !is_there("bbr") {
            return;
        }
        assert_eq!(accepted("bbr", &Congestion::Auto, false), "reno");
        assert_eq!(accepted("bbr", &Congestion::Auto, true), "bbr");
        assert_eq!(accepted("bbr", &Congestion::System, false), "bbr");
    }

    #[test]
    fn an_unpaced_algorithm_stays() {
        if is_there("cubic") {
            assert_eq!(accepted("cubic", &Congestion::Auto, false), "cubic");
        }
        assert_eq!(accepted("reno", &Congestion::Auto, false), "reno");
    }

    #[test]
    fn an_unknown_algorithm_is_named() {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let unknown = Congestion::Named("none-such".to_owned());
        let error = listen(address, &unknown).unwrap_err().to_string();
        assert!(error.contains("congestion control \"none-such\""), "{error}");
    }
}
