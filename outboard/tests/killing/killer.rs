//! Sends a signal to the driver, again and again, and learns what each pause came to.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use outboard_serve::status::{Driver, DriverState, Pause, Status};
use outboard_slots::Time;
use rustix::process::{Pid, Signal, kill_process};

use super::gaps::Gaps;
use crate::iscsi::server::Server;

/// What passes between the first completed task of an incarnation and the signal.
const BETWEEN: Duration = Duration::from_millis(200);
/// How often the server is asked how it is.
const LOOK: Duration = Duration::from_millis(10);
/// No pause is longer: the whole ladder of giving up, and the fence.
const PATIENCE: Duration = Duration::from_secs(40);

/// A signal and what followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    /// from the signal to the server's knowledge of it
    pub(crate) detect: Duration,
    /// what the server says
    pub(crate) pause: Pause,
    /// from the signal to the next completion at an initiator
    pub(crate) initiator: Duration,
}

/// What `GET /v1/status` on this socket says.
#[track_caller]
pub(crate) fn status(socket: &Path) -> Status {
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// The only driver of this server.
#[track_caller]
pub(crate) fn driver(server: &Server) -> Driver {
    status(&server.folder().join("api.sock")).drivers.remove(0)
}

pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).is_ok()
}

/// Sends `what` to each incarnation of the driver, until `until`.
#[track_caller]
pub(crate) fn again_and_again(
    server: &Server,
    gaps: &Gaps,
    what: Signal,
    until: Instant,
) -> Vec<Death> {
    let mut deaths = Vec::new();
    let mut victim = driver(server);
    std::thread::sleep(BETWEEN);
    while Instant::now() < until {
        let sent = gaps.begin();
        assert!(signal(victim.pid.unwrap(), what), "no process\n{}", server.log());
        let number = deaths.len() as u64 + 1;
        victim = replaced(server, number);
        let pause = victim.pauses.iter().find(|pause| pause.number == number);
        let pause = *pause.unwrap_or_else(|| panic!("pause {number}: {victim:?}"));
        let due = Time::from_nanos(pause.lost_ns + pause.total_ns) + BETWEEN;
        std::thread::sleep(due.since(Time::now()));
        deaths.push(Death {
            detect: Time::from_nanos(pause.lost_ns).since(sent),
            pause,
            initiator: gaps.end_of_longest().since(sent),
        });
    }
    deaths
}

/// Waits until the driver has been replaced so many times.
#[track_caller]
fn replaced(server: &Server, number: u64) -> Driver {
    let begun = Instant::now();
    loop {
        std::thread::sleep(LOOK);
        let driver = driver(server);
        let pauses = driver.pauses.last().map_or(0, |pause| pause.number);
        if pauses >= number && driver.state == DriverState::Running {
            return driver;
        }
        assert!(begun.elapsed() < PATIENCE, "no successor: {driver:?}\n{}", server.log());
    }
}
