//! Traces: the life of single tasks of one target, from their reception to their end, as the host
//! saw it and as the driver says.

mod perfetto;
mod spans;

use outboard_scsi::Lun;
use outboard_scsi::command::parse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use spans::{Part, Summary, summary};

use crate::io::recorder::{Record, Recorded};
use crate::report::hex;

/// Most events of a trace; then it stops.
pub const EVENTS_MAX: usize = 65_536;
/// Events of a task: received, ready, pushed, published, taken, completed, reaped, answered, finished.
pub const EVENTS_OF_TASK: usize = 9;
/// Most tasks of a trace.
pub const TASKS_MAX: usize = EVENTS_MAX / EVENTS_OF_TASK;
/// Longest time that a trace may take, s.
pub const SECONDS_MAX: u64 = 60;

/// What is to be traced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// so many tasks
    pub tasks: usize,
    /// at most so long, s
    pub seconds: u64,
}

/// Why there is no trace.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// no such target
    #[error("there is no target {0:?}")]
    NoTarget(String),
    /// one at a time
    #[error("target {0} is being traced already")]
    Busy(String),
    /// its I/O thread has ended, or hangs
    #[error("the I/O thread of target {0} does not answer")]
    Gone(String),
}

/// A trace. Times are nanoseconds since its beginning.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = TaskTrace)]
pub struct Trace {
    /// the target's iSCSI name
    pub target: String,
    /// its beginning on `CLOCK_MONOTONIC`, ns
    pub begun_ns: u64,
    /// how long it took, ns
    pub took_ns: u64,
    /// it has as many tasks as were asked for
    pub full: bool,
    /// commands that the host answered without a slot, and that are not among the tasks
    pub answered_at_once: u64,
    /// the tasks in order of reception; those that have not ended by its end are among them
    pub tasks: Vec<TracedTask>,
}

/// A task of a trace.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TracedTask {
    /// 1 for the first
    pub number: u32,
    /// LUN
    pub lun: u16,
    /// the command's name
    pub command: String,
    /// first block that it names
    pub lba: Option<u64>,
    /// blocks that it names
    pub blocks: Option<u64>,
    /// the CDB in hexadecimal
    pub cdb: String,
    /// bytes of its buffer
    pub bytes: u64,
    /// the initiator's tag
    pub tag: u64,
    /// number of the nexus
    pub nexus: u16,
    /// the initiator port; none if it has gone
    pub initiator: Option<String>,
    /// its slot
    pub slot: u16,
    /// the bundle that it went in, 1 for the first; none if it did not reach the driver
    pub bundle: Option<u32>,
    /// tasks of that bundle
    pub bundle_size: u32,
    /// how often it was handed to a driver: more than once after a death, or when its cache is
    /// written as well. Times are those of the last
    pub submissions: u32,
    /// how it ended; none if it has not
    pub status: Option<String>,
    /// it was aborted: no status was sent
    pub aborted: bool,
    /// what the host saw
    pub host: HostTimes,
    /// what the driver says
    pub driver: DriverTimes,
}

/// When the host saw what of a task, ns since the beginning.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct HostTimes {
    /// the command was there
    pub received_ns: u64,
    /// its data was there
    pub ready_ns: Option<u64>,
    /// its command slot was filled
    pub pushed_ns: Option<u64>,
    /// its bundle was handed to the driver
    pub published_ns: Option<u64>,
    /// its completion was seen
    pub reaped_ns: Option<u64>,
    /// the front end had its status
    pub answered_ns: Option<u64>,
    /// its data had left, slot and buffer were free
    pub finished_ns: Option<u64>,
}

/// When the driver says that it had a task: a claim. One that does not lie between the host's own
/// times is not shown.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct DriverTimes {
    /// what became of its claim
    pub claim: Claim,
    /// it took the task
    pub taken_ns: Option<u64>,
    /// it ended the task
    pub completed_ns: Option<u64>,
}

/// What became of a driver's claim.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// it said nothing: the task has not come back, or its SDK is older
    #[default]
    None,
    /// it lies between the host's times
    Possible,
    /// it does not, and is left out
    Impossible,
}

impl From<Recorded> for Trace {
    fn from(recorded: Recorded) -> Self {
        let Recorded { target, begun, ended, full, answered_at_once, records, initiators } =
            recorded;
        let initiator = |nexus: u16| {
            let known = initiators.iter().find(|(number, _)| *number == nexus);
            known.map(|(_, name)| name.clone())
        };
        let since =
            |at: Option<outboard_slots::Time>| at.map(|at| at.since(begun).as_nanos() as u64);
        let task = |(number, record): (u32, &Record)| {
            let cdb = record.cdb.get(..usize::from(record.cdb_len)).unwrap_or_default();
            let command = parse(cdb).ok();
            let range = command.and_then(|command| command.lba_range());
            let name = || format!("operation code {:02X}h", record.cdb[0]);
            TracedTask {
                number,
                lun: Lun::decode(record.lun).map_or(0, |lun| lun.number()),
                command: command.map_or_else(name, |command| command.name().to_owned()),
                lba: range.map(|range| range.lba),
                blocks: range.map(|range| range.blocks),
                cdb: hex(cdb),
                bytes: record.bytes,
                tag: record.tag,
                nexus: record.nexus,
                initiator: initiator(record.nexus),
                slot: record.slot,
                bundle: record.bundle,
                bundle_size: record.bundle_size,
                submissions: record.submissions,
                status: record.status.map(|status| status.name().to_owned()),
                aborted: record.aborted,
                host: HostTimes {
                    received_ns: record.received.since(begun).as_nanos() as u64,
                    ready_ns: since(record.ready),
                    pushed_ns: since(record.pushed),
                    published_ns: since(record.published),
                    reaped_ns: since(record.reaped),
                    answered_ns: since(record.answered),
                    finished_ns: since(record.finished),
                },
                driver: DriverTimes {
                    claim: record.claim,
                    taken_ns: since(record.taken),
                    completed_ns: since(record.completed),
                },
            }
        };
        Self {
            target,
            begun_ns: begun.as_nanos(),
            took_ns: ended.since(begun).as_nanos() as u64,
            full,
            answered_at_once,
            tasks: (1..).zip(&records).map(task).collect(),
        }
    }
}

impl Trace {
    /// As JSON in Chrome's trace event format, which <https://ui.perfetto.dev> opens: a process each
    /// for host, boundary and driver, in it a track for each slot.
    pub fn perfetto(&self) -> serde_json::Value {
        perfetto::of(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two tasks in one bundle; times in us.
    pub(crate) fn trace() -> Trace {
        let us = |at: u64| Some(at * 1000);
        let task = |number: u32, at: u64| TracedTask {
            number,
            command: "READ".to_owned(),
            lba: Some(u64::from(number) * 8),
            blocks: Some(8),
            cdb: "28 00 00 00 00 08 00 00 08 00".to_owned(),
            bytes: 4096,
            tag: u64::from(number),
            initiator: Some("iqn.2026-11.test:load,i,0x80".to_owned()),
            slot: number as u16,
            bundle: Some(1),
            bundle_size: 2,
            submissions: 1,
            status: Some("GOOD".to_owned()),
            host: HostTimes {
                received_ns: at * 1000,
                ready_ns: us(at + 1),
                pushed_ns: us(14),
                published_ns: us(15),
                reaped_ns: us(at + 90),
                answered_ns: us(at + 91),
                finished_ns: us(at + 100),
            },
            driver: DriverTimes {
                claim: Claim::Possible,
                taken_ns: us(25),
                completed_ns: us(at + 80),
            },
            ..TracedTask::default()
        };
        let impossible = DriverTimes { claim: Claim::Impossible, ..DriverTimes::default() };
        let unfinished = TracedTask {
            host: HostTimes { received_ns: 160_000, ready_ns: us(161), ..HostTimes::default() },
            driver: DriverTimes::default(),
            command: "SYNCHRONIZE CACHE".to_owned(),
            bundle: None,
            bundle_size: 0,
            submissions: 0,
            status: None,
            ..task(4, 0)
        };
        Trace {
            target: "iqn.2026-01.com.example:a".to_owned(),
            begun_ns: 5_000_000,
            took_ns: 200_000,
            full: false,
            answered_at_once: 1,
            tasks: vec![
                task(1, 10),
                task(2, 12),
                TracedTask { driver: impossible, ..task(3, 13) },
                unfinished,
            ],
        }
    }
}
