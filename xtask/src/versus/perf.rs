//! libiscsi's load generator, `iscsi-perf`, and what it says.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::packages;
use crate::step::Outcome;
use crate::target::{Target, pinned};
use crate::tools;
use crate::usage::Meter;

/// A client that does not end is broken: this many seconds more than it was given.
const GRACE_S: u64 = 20;

/// Reads of one size at one depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) depth: u32,
    kib: u32,
    random: bool,
}

impl Load {
    pub(crate) const fn random(kib: u32, depth: u32) -> Self {
        Self { depth, kib, random: true }
    }

    pub(crate) const fn sequential(kib: u32, depth: u32) -> Self {
        Self { depth, kib, random: false }
    }

    pub(crate) const fn bytes(self) -> u32 {
        self.kib << 10
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Reads a second.
    pub(crate) iops: f64,
    /// What all processes of the target used, in percent of one processor.
    pub(crate) cpu_percent: f64,
    /// The same of all clients: at 100 a client is the limit.
    pub(crate) client_percent: f64,
}

/// A client that reads.
struct Reader(Child, Instant, u32);

impl Reader {
    /// Starts a client on a processor; units have blocks of 512 bytes.
    fn start(url: &str, load: Load, seconds: u32, cpu: Option<u32>) -> Result<Self> {
        let mut command = pinned("iscsi-perf".into(), cpu);
        command.args(["-t", &seconds.to_string(), "-m", &load.depth.to_string()]);
        command.args(["-b", &(load.kib * 2).to_string()]);
        if load.random {
            command.arg("-r");
        }
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self(command.spawn().context("iscsi-perf")?, Instant::now(), seconds))
    }

    /// Its process.
    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end: reads a second.
    fn finish(mut self) -> Result<f64> {
        // What it writes fits into a pipe.
        while self.0.try_wait()?.is_none() {
            if self.1.elapsed().as_secs() > u64::from(self.2) + GRACE_S {
                self.0.kill()?;
                self.0.wait()?;
                bail!("iscsi-perf does not end");
            }
            sleep(Duration::from_millis(10));
        }
        let output = self.0.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "iscsi-perf: {}\n{text}{words}", output.status);
        average(&text).with_context(|| format!("iscsi-perf gave no average\n{text}{words}"))
    }
}

/// Loads targets for some seconds, each by a client of its own. `cpu`: where the clients stay.
pub(crate) fn measure(
    targets: &[&Target],
    load: Load,
    seconds: u32,
    cpu: Option<u32>,
) -> Result<Sample> {
    let mut pids: Vec<_> = targets.iter().map(|target| target.pid()).collect();
    pids.dedup();
    let readers: Vec<_> = targets
        .iter()
        .map(|target| Reader::start(&target.url, load, seconds, cpu))
        .collect::<Result<_>>()?;
    let clients: Vec<_> = readers.iter().map(|reader| Meter::start(reader.pid())).collect();
    let meters: Vec<_> = pids.into_iter().map(Meter::start).collect();
    // Looked at while they still run.
    sleep(Duration::from_secs(u64::from(seconds)).mul_f64(0.9));
    let cpu_percent = meters.iter().map(Meter::percent).sum();
    let client_percent = clients.iter().map(Meter::percent).sum();
    let iops: Vec<_> = readers.into_iter().map(Reader::finish).collect::<Result<_>>()?;
    Ok(Sample { iops: iops.iter().sum(), cpu_percent, client_percent })
}

/// Writes a unit once from end to end, so that nothing that is read is a hole. Without `qemu-io`
/// both sides read holes.
pub(crate) fn fill(url: &str, bytes: u64) -> Result<()> {
    if packages::find("qemu-io").is_none() {
        println!("    qemu-io is missing: unwritten memory is read");
        return Ok(());
    }
    let mut command = Command::new("qemu-io");
    command.args(["-f", "raw", "-t", "none"]);
    let step: u64 = 64 << 20;
    for offset in (0..bytes).step_by(usize::try_from(step)?) {
        command.arg("-c").arg(format!("write -P 0x5a {offset} {}", step.min(bytes - offset)));
    }
    command.arg(url);
    match tools::run_quietly(command)? {
        Outcome::Ok => Ok(()),
        Outcome::Failed(why) | Outcome::Skipped(why) => bail!(why),
    }
}

/// `iops average 21520 (84 MB/s)`: the last one is that of the whole run.
fn average(text: &str) -> Option<f64> {
    let (_, rest) = text.rsplit_once("iops average ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_average_counts() {
        let text = "\r00:00:01 - lba 8, iops current 9 (0 MB/s), iops average 9 (0 MB/s)   \
                    \riops average 21520 (84 MB/s)      \n\nfinished.\n";
        assert_eq!(average(text), Some(21520.0));
        assert_eq!(average("connected"), None);
    }
}
