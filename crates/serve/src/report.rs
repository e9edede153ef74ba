//! Reports of drivers' deaths, and of drivers that did not come up: a JSON file each, in the folder
//! `reports` of the state directory. The last ones are kept.

mod next;

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outboard_host::stack::{NamedTask, Unfit};
use outboard_scsi::command::parse;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// Reports that are kept; older ones go.
pub const REPORTS_KEPT: usize = 50;
/// Most bytes of a report that is read.
const REPORT_BYTES: u64 = 1 << 20;
/// Tasks that are named.
pub const TASKS_NAMED: usize = 32;
/// What the host ends a driver with.
const KILL: i32 = Signal::KILL.as_raw();

/// How a driver died.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// when, in ms since 1970
    pub at_ms: u64,
    /// the target it served
    pub target: String,
    /// its identifier
    pub identifier: String,
    /// its version
    pub version: String,
    /// its process id
    pub pid: u32,
    /// what kind of end it is
    #[serde(default)]
    pub kind: Kind,
    /// why it was given up
    pub reason: String,
    /// how the process ended, once it was killed if it had not ended before
    pub ended: String,
    /// the exit status that it gave itself
    #[serde(default)]
    pub exit_status: Option<i32>,
    /// the signal that ended it; the host's own, unless it [ended](Kind::Ended) before
    #[serde(default)]
    pub signal: Option<i32>,
    /// how often the same was tried with the same outcome: a driver that does not come up
    #[serde(default)]
    pub repeated: u64,
    /// how long it ran; none for one that this server did not see start
    pub lived_ms: Option<u64>,
    /// deaths in a row without a completed task, this one included
    pub deaths: u64,
    /// tasks that it had, and how many the report names
    pub tasks_in_driver: u64,
    /// the oldest of them
    pub tasks: Vec<Task>,
    /// the last lines that it wrote; a panic and its backtrace are among them
    pub log: Vec<String>,
}

/// What kind of end it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// its process ended, or was killed by somebody else
    Ended,
    /// it said that it cannot go on: a panic of an I/O thread among others
    Failed,
    /// its I/O thread made no progress
    Hangs,
    /// a task or a task management function did not end in its time
    Late,
    /// its completions could not be
    Violates,
    /// its queue or its control socket could no longer be used
    Channel,
    /// it did not come up
    Start,
    /// of an earlier release
    #[default]
    Unknown,
}

/// A task that it had.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Task {
    /// LUN
    pub lun: u16,
    /// the initiator port; none for the host's own
    pub initiator: Option<String>,
    /// the initiator's tag
    pub tag: u64,
    /// the CDB in hexadecimal
    pub cdb: String,
    /// bytes to move
    pub bytes: u64,
    /// deaths it was in flight at, before this one
    pub deaths: u8,
}

impl From<Unfit> for Kind {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Hangs => Self::Hangs,
            Unfit::Late => Self::Late,
            Unfit::Violates => Self::Violates,
            _ => Self::Unknown,
        }
    }
}

impl From<NamedTask> for Task {
    fn from(task: NamedTask) -> Self {
        let NamedTask { lun, initiator, tag, cdb, bytes, deaths } = task;
        Self { lun, initiator, tag, cdb: hex(&cdb), bytes, deaths }
    }
}

impl Report {
    /// The same with how the process ended.
    #[must_use]
    pub fn ended(self, status: Option<ExitStatus>) -> Self {
        Self {
            ended: status.map_or_else(|| "not known".to_owned(), |status| status.to_string()),
            exit_status: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            ..self
        }
    }

    /// Whether the signal that ended it was not the host's.
    pub fn is_killed_by_others(&self) -> bool {
        self.signal.is_some() && (self.signal != Some(KILL) || self.kind == Kind::Ended)
    }

    /// What to look at next, a sentence or two each.
    pub fn next(&self) -> Vec<String> {
        next::of(self)
    }

    /// Whether `later` says the same of the same driver.
    fn is_repeated_by(&self, later: &Self) -> bool {
        self.kind == Kind::Start
            && (self.kind, &self.target, &self.identifier, &self.version, &self.reason)
                == (later.kind, &later.target, &later.identifier, &later.version, &later.reason)
    }
}

impl Task {
    /// The command as the standard names it, with blocks.
    pub fn command(&self) -> String {
        let digits = self.cdb.split(' ').map(|byte| u8::from_str_radix(byte, 16));
        match digits.collect::<Result<Vec<u8>, _>>() {
            Ok(cdb) => name_of(&cdb),
            Err(_) => "not a CDB".to_owned(),
        }
    }
}

/// A CDB as the standard names it, with the blocks it concerns.
pub fn name_of(cdb: &[u8]) -> String {
    match (parse(cdb), cdb.first()) {
        (Ok(command), _) => command.to_string(),
        (Err(_), Some(operation)) => format!("operation code {operation:02X}h"),
        (Err(_), None) => "no CDB".to_owned(),
    }
}

/// Bytes in hexadecimal, spaces between.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Where reports are.
#[derive(Clone, Debug)]
pub struct Reports(PathBuf);

/// A report that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportsError {
    /// the folder
    #[error("{}: {source}; name the server's state directory with --state-dir", .path.display())]
    Folder {
        /// the folder
        path: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
    /// one of them
    #[error("{}: {what}; it is no report of this release: move it away", .path.display())]
    File {
        /// the file
        path: PathBuf,
        /// what is wrong
        what: String,
    },
}

impl Reports {
    /// Those of a state directory.
    pub fn of(state_directory: &Path) -> Self {
        Self(state_directory.join("reports"))
    }

    /// Writes a report and removes the oldest beyond [`REPORTS_KEPT`]: its file. One that says the
    /// same as the last of its target takes the place of that.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn write(&self, report: &Report) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.0)?;
        let last = self.last_of(report);
        let repeated = last.as_ref().map_or(0, |(_, last)| last.repeated + 1);
        let bytes = serde_json::to_vec_pretty(&Report { repeated, ..report.clone() })?;
        // Two of one process in one millisecond are the same death.
        let name = format!("{:013}-{}.json", report.at_ms, report.pid);
        let path = self.0.join(name);
        // Whole or not there: a name that is none of a report's until it is complete.
        let aside = path.with_extension("new");
        fs::write(&aside, &bytes)?;
        fs::rename(&aside, &path)?;
        if let Some((old, _)) = last.filter(|(old, _)| *old != path) {
            let _ = fs::remove_file(old);
        }
        let mut names = self.names()?;
        let beyond = names.len().saturating_sub(REPORTS_KEPT);
        for old in names.drain(..beyond) {
            let _ = fs::remove_file(self.0.join(old));
        }
        Ok(path)
    }

    /// All reports, oldest first. None if no driver has died yet; those that cannot be read come
    /// beside them.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn read(&self) -> Result<(Vec<Report>, Vec<ReportsError>), ReportsError> {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(source) => return Err(ReportsError::Folder { path: self.0.clone(), source }),
        };
        let (mut reports, mut wrong) = (Vec::new(), Vec::new());
        for name in names {
            let path = self.0.join(name);
            match read(&path) {
                Ok(report) => reports.push(report),
                Err(what) => wrong.push(ReportsError::File { path, what }),
            }
        }
        Ok((reports, wrong))
    }

    /// The last report of the same target, if it says the same.
    fn last_of(&self, report: &Report) -> Option<(PathBuf, Report)> {
        let names = self.names().unwrap_or_default();
        let readable = |name| {
            let path = self.0.join(name);
            read(&path).ok().map(|report| (path, report))
        };
        let mut newest_first = names.into_iter().rev().filter_map(readable);
        newest_first
            .find(|(_, last)| last.target == report.target)
            .filter(|(_, last)| last.is_repeated_by(report))
    }

    /// Names of reports, oldest first.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            if let Ok(name) = entry?.file_name().into_string()
                && is_name(&name)
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(".json").and_then(|stem| stem.split_once('-'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    stem.is_some_and(|(at, pid)| digits(at) && digits(pid))
}

fn read(path: &Path) -> Result<Report, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(REPORT_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::of(folder.path());
        assert!(reports.read().unwrap().0.is_empty(), "none yet");
        let report = |at_ms| Report { at_ms, pid: 7, reason: "gone".into(), ..Report::default() };
        for at in 0..REPORTS_KEPT as u64 + 5 {
            reports.write(&report(at)).unwrap();
        }
        let (read, wrong) = reports.read().unwrap();
        assert_eq!((read.len(), wrong.len()), (REPORTS_KEPT, 0));
        assert_eq!(read[0], report(5));
    }

    #[test]
    fn a_start_that_fails_the_same_way_again_and_again_is_one_report() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::of(folder.path());
        let death = Report { at_ms: 1, target: "a".into(), kind: Kind::Ended, ..Report::default() };
        let start = |at_ms, target: &str, reason: &str| Report {
            at_ms,
            target: target.into(),
            kind: Kind::Start,
            reason: reason.into(),
            ..Report::default()
        };
        for report in [&death, &Report { at_ms: 2, ..death.clone() }] {
            reports.write(report).unwrap();
        }
        for at_ms in 3..9 {
            reports.write(&start(at_ms, "a", "no firmware")).unwrap();
            reports.write(&start(at_ms + 100, "b", "no firmware")).unwrap();
        }
        reports.write(&start(300, "a", "no disk")).unwrap();
        let (read, _) = reports.read().unwrap();
        let seen: Vec<_> = read.iter().map(|r| (r.at_ms, &*r.reason, r.repeated)).collect();
        let firmware = "no firmware";
        assert_eq!(
            seen,
            [(1, "", 0), (2, "", 0), (8, firmware, 5), (108, firmware, 5), (300, "no disk", 0)]
        );
    }

    #[test]
    fn foreign_and_torn_files_are_named_or_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::of(folder.path());
        let path = reports.write(&Report { at_ms: 3, ..Report::default() }).unwrap();
        let text = fs::read(&path).unwrap();
        let torn = folder.path().join("reports/0000000000009-1.json");
        fs::write(&torn, &text[..text.len() / 2]).unwrap();
        fs::write(folder.path().join("reports/notes.txt"), "mine").unwrap();
        let (read, wrong) = reports.read().unwrap();
        assert_eq!((read.len(), wrong.len()), (1, 1));
        assert!(wrong[0].to_string().contains("0000000000009-1.json"), "{}", wrong[0]);
    }

    #[test]
    fn a_tasks_cdb_reads_as_in_the_standard() {
        let task = NamedTask {
            lun: 1,
            initiator: None,
            tag: 9,
            cdb: vec![0x28, 0, 0xff],
            bytes: 512,
            deaths: 1,
        };
        let task = Task::from(task);
        assert_eq!((&*task.cdb, &*task.command()), ("28 00 ff", "operation code 28h"));
        let read = Task { cdb: "28 00 00 00 10 00 00 00 08 00".into(), ..task.clone() };
        assert_eq!(read.command(), "READ lba 4096 blocks 8");
        assert_eq!(Task { cdb: "x".into(), ..task }.command(), "not a CDB");
    }
}
