//! Readiness and the rest for those who wait: the service manager (sd_notify(3)) and readers of
//! standard output.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::config::Config;

/// What is told to the service manager.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase<'a> {
    /// every portal accepts, or a reload has ended
    Ready(&'a str),
    /// a reload begins
    Reloading,
    /// the end begins
    Stopping,
    /// all is well; to be told every [`watchdog_interval`]
    Alive,
}

/// Tells the service manager, if there is one. That it cannot be told is no reason to fail.
pub fn tell(phase: Phase<'_>) {
    let told = match phase {
        Phase::Ready(status) => {
            sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)])
        }
        Phase::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        Phase::Stopping => {
            sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("draining")])
        }
        Phase::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// How often the service manager wants to hear that all is well: half of what it allows.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(10)))
}

/// Every portal accepts: writes a line for each LUN and portal to standard output,
/// `ready: iscsi://127.0.0.1:3260/iqn.2026-01.com.example:data/0`, and tells the service manager.
///
/// A reader that went away is no error.
///
/// # Errors
/// Standard output cannot be written.
pub fn ready(config: &Config) -> io::Result<()> {
    let mut text = String::new();
    for line in ready_lines(config) {
        text.push_str(&line);
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    let written = match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    };
    let luns: usize = config.targets.iter().map(|target| target.luns.len()).sum();
    tell(Phase::Ready(&format!("{luns} LUNs on {} portals", config.iscsi.portals.len())));
    written
}

/// The lines of [`ready`]. An address that stands for all of them is written as the loopback one.
pub fn ready_lines(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for target in &config.targets {
        for lun in &target.luns {
            for portal in &target.portals {
                let portal = reachable(*portal);
                lines.push(format!("ready: iscsi://{portal}/{}/{}", target.name, lun.lun));
            }
        }
    }
    lines
}

fn reachable(portal: SocketAddr) -> SocketAddr {
    let ip = match portal.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, portal.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    #[test]
    fn a_line_for_each_lun_and_portal() {
        let text = r#"
            iscsi.portals = ["0.0.0.0:3260", "[::]:3261"]
            [[array]]
            name = "a"
            members = ["mem:1Mi"]
            [[target]]
            name = "iqn.2026-01.com.example:a"
            luns = [{ lun = 3, array = "a" }]
        "#;
        let config = Config::parse(text, None, &Machine::for_tests()).unwrap();
        assert_eq!(
            ready_lines(&config),
            [
                "ready: iscsi://127.0.0.1:3260/iqn.2026-01.com.example:a/3",
                "ready: iscsi://[::1]:3261/iqn.2026-01.com.example:a/3",
            ]
        );
    }
}
