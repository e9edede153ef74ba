//! What a start costs: the median of 21 with the sandbox off and with best effort, from the call to the driver's
//! first word.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use outboard_sandbox::{Launch, Launcher, Mode, Spec, launch};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

const STARTS: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = std::env::current_exe()?;
    let launcher = Launcher { program: own.with_file_name("launcher"), arguments: Vec::new() };
    for mode in [Mode::Off, Mode::BestEffort] {
        let spec = Spec {
            mode,
            arguments: vec!["hello".to_owned()],
            ..Spec::new(own.with_file_name("misbehave"))
        };
        let mut times = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..STARTS {
            let (start, end) = one(&launcher, &spec)?;
            times.push(start);
            ends.push(end);
        }
        times.sort_unstable();
        ends.sort_unstable();
        let median = times[STARTS / 2];
        let (least, most) = (times[0], times[STARTS - 1]);
        println!("{mode}: start {median:?} ({least:?} to {most:?}), end {:?}", ends[STARTS / 2]);
    }
    Ok(())
}

/// From the call to the driver's first word; from then to its end and its reaping.
fn one(
    launcher: &Launcher,
    spec: &Spec,
) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let log = std::io::stderr();
    let given = Launch { spec, control: theirs.as_fd(), log: log.as_fd(), disks: &[] };
    let begin = Instant::now();
    let driver = launch(launcher, &given, Duration::from_secs(10))?;
    drop(theirs);
    rustix::net::recv(&ours, &mut [0; 16], RecvFlags::empty())?;
    let started = Instant::now();
    drop(driver);
    Ok((started - begin, started.elapsed()))
}
