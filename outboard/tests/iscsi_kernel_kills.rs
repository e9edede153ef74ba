//! The Linux kernel's own initiator, in User-Mode Linux, while the driver under its file system is
//! killed every second: what was flushed is there, the file system is whole, its log has no error.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod killing;
mod scenario;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iscsi::guest::{Guest, Network, SERVER};
use iscsi::programs::program;
use iscsi::server::{Server, Setup};
use iscsi::{MIB, TARGET};
use killing::killer::{driver, signal};
use rustix::process::Signal;
use serde_json::json;

const PORT: u16 = 3260;
/// Between two deaths.
const BETWEEN: Duration = Duration::from_millis(900);

/// Kills the driver whenever it has served for a while; how often.
fn kill_until(server: &Server, stop: &AtomicBool) -> u64 {
    let mut killed = 0;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(BETWEEN);
        if let Some(pid) = driver(server).pid {
            killed += u64::from(signal(pid, Signal::KILL));
        }
    }
    killed
}

#[test]
fn a_file_system_outlives_its_drivers() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let found = program("iscsistart", "open-iscsi").and_then(|_| program("mkfs.ext4", "e2fsprogs"));
    let (Some(_), Some(guest), Some(network)) = (found, Guest::new(folder.path()), Network::new())
    else {
        return;
    };
    let portal = SocketAddr::new(SERVER.parse().unwrap(), PORT);
    let mut server = Setup::striped(128 * MIB).inside(network.enter(), portal).start();
    // The guest's own limit is 90 s.
    let seconds = killing::seconds(10).as_secs().min(60).to_string();
    let port = PORT.to_string();
    let variables = [
        ("TARGET", TARGET),
        ("PORTAL", SERVER),
        ("PORT", port.as_str()),
        ("GROUP", "1"),
        ("SECONDS_LONG", seconds.as_str()),
    ];
    let stop = AtomicBool::new(false);
    let (ran, killed) = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_until(&server, &stop));
        let ran = guest.run(&network, "crc32c,iscsi_tcp,sd_mod", "kills.sh", &variables);
        stop.store(true, Ordering::Relaxed);
        (ran, killer.join().unwrap())
    });
    assert!(ran.stdout.contains("GUEST ok"), "{}\n{}", ran.stdout, ran.stderr);
    let written = ran.stdout.lines().find(|line| line.contains("written")).unwrap();
    println!("{killed} drivers killed; {written}");
    killing::report::write(&json!({
        "name": "kill, Linux initiator, ext4", "n": killed, "errors": 0, "mismatches": 0,
    }));
    assert!(killed >= 5, "{killed} drivers killed");
    for step in ["checked", "read back", "nothing in the log"] {
        assert!(ran.stdout.contains(&format!("STEP {step}")), "{step}: {}", ran.stdout);
    }
    assert!(server.stop().success(), "{}", server.log());
}
