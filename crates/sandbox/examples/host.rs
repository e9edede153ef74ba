//! A host for tests: starts `misbehave` through `launcher`, both beside this program.
//!
//! `host MODE MEMLOCK WHAT...` prints one line for each measure and `pid N`, waits for the driver and
//! ends with its code. With WHAT = `sleep` the driver, and so this program, stays until it is killed.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use outboard_sandbox::{Launch, Launcher, Spec, launch};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default().parse()?;
    let memlock_bytes = arguments.next().and_then(|bytes| bytes.parse().ok());
    let own = std::env::current_exe()?;
    let launcher = Launcher { program: own.with_file_name("launcher"), arguments: Vec::new() };
    let spec = Spec {
        mode,
        memlock_bytes,
        arguments: arguments.collect(),
        ..Spec::new(own.with_file_name("misbehave"))
    };
    let kind = SocketType::SEQPACKET;
    let (_ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let log = std::io::stderr();
    let given = Launch { spec: &spec, control: theirs.as_fd(), log: log.as_fd(), disks: &[] };
    let mut driver = match launch(&launcher, &given, Duration::from_secs(10)) {
        Ok(driver) => driver,
        Err(error) => {
            println!("error: {error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    for measure in driver.measures() {
        println!("{measure}");
    }
    println!("pid {}", driver.pid());
    let code = driver.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(u8::MAX)))
}
