//! What to look at after a driver's death, by how it died.

use super::{KILL, Kind, Report};

/// Exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// Sentences, in the order in which to do what they say.
pub(super) fn of(report: &Report) -> Vec<String> {
    let mut next: Vec<String> = match report.kind {
        Kind::Ended => of_end(report),
        Kind::Failed => vec![
            "these are the driver's own words; its last lines tell more, a panic and where it was \
             among them. With `[driver] sandbox = \"off\"` and RUST_BACKTRACE=1 for the server the \
             calls of a panic have names"
                .to_owned(),
        ],
        Kind::Hangs => vec![
            "a method of the queue blocks or loops: an I/O thread must come back from each call, \
             and do long work in steps in IoQueue::poll"
                .to_owned(),
            debugger(),
        ],
        Kind::Late => vec![
            "the driver's threads went on and the task did not end: look for a task that is kept \
             and forgotten, and for IoQueue::abort and reset that do not end tasks"
                .to_owned(),
            "`outboard ext trace` shows where single tasks spend their time".to_owned(),
        ],
        Kind::Violates => vec![
            "the driver completed what it did not have, or wrote into the region past the SDK; a \
             stray write in its own memory can do it too. `outboard ext test FOLDER` checks the \
             contract"
                .to_owned(),
        ],
        Kind::Channel => vec![
            "the driver does not read its control socket, or spoiled its rings: look whether its \
             main thread is blocked"
                .to_owned(),
            debugger(),
        ],
        Kind::Start => of_start(report),
        Kind::Unknown => {
            vec!["a report of an earlier release; its reason is all it has".to_owned()]
        }
    };
    if report.tasks.iter().any(|task| task.deaths != 0) {
        next.push(
            "tasks with deaths were in flight at earlier deaths too: they are repeated alone, and \
             at the third death they end with HARDWARE ERROR. Start with their commands"
                .to_owned(),
        );
    }
    next
}

fn of_end(report: &Report) -> Vec<String> {
    match (report.signal, report.exit_status) {
        (Some(KILL), _) => vec![
            "it was killed from outside: by a person, a service manager, or the kernel for want of \
             memory"
                .to_owned(),
            format!(
                "`journalctl -k | grep -i -e oom -e 'killed process {}'` tells of the kernel; the \
                 bound is [driver] memory, or [resources] memory of its package",
                report.pid
            ),
        ],
        (Some(signal @ (4 | 5 | 6 | 7 | 8 | 11)), _) => crash(signal),
        (Some(31), _) => vec![
            "a system call of another architecture: the sandbox ends a program for nothing else \
             (docs/sandbox.md)"
                .to_owned(),
        ],
        (Some(signal), _) => vec![format!("somebody sent it signal {signal}")],
        (None, Some(PANICKED)) => {
            vec!["101 is the exit status of a panic: its message is in the last lines".to_owned()]
        }
        (None, Some(0)) => vec![
            "it ended by itself as if it was done: a driver ends when its host says so; look for a \
             `main` that does not end with what outboard_hba::run returns"
                .to_owned(),
        ],
        (None, Some(status)) => vec![format!(
            "it ended by itself with exit status {status}: its last lines may say why, and which \
             exit() it was its source"
        )],
        (None, None) => vec!["how it ended is not known; its last lines may tell".to_owned()],
    }
}

fn crash(signal: i32) -> Vec<String> {
    let what = match signal {
        4 => "an instruction that is none (SIGILL), often a trap that the compiler has set",
        5 => "a trap (SIGTRAP)",
        6 => "it aborted itself (SIGABRT): an assertion, a panic that aborts, or the allocator",
        7 => "the memory behind an address is gone (SIGBUS): a file that was cut while mapped",
        8 => "an arithmetic trap (SIGFPE), such as a division by zero",
        _ => {
            "a crash (SIGSEGV): memory that is not the driver's. Or abort(): a driver is number 1 \
             of its PID namespace, where abort() ends by the trap behind it (docs/sandbox.md); \
             then its last lines have the message"
        }
    };
    let core = "for a core dump set `[driver] debug = true` and restart the server: without it the \
                sandbox allows none (docs/debugging.md)";
    vec![what.to_owned(), core.to_owned()]
}

fn of_start(report: &Report) -> Vec<String> {
    let mut next = vec!["the reason names the step and the rule".to_owned()];
    if let Some(signal) = report.signal.filter(|signal| *signal != KILL) {
        next.extend(crash(signal));
    }
    let tries = "`outboard ext test FOLDER` starts a package on disks in memory and tells which \
                 check fails";
    next.push(tries.to_owned());
    next
}

fn debugger() -> String {
    "with `[driver] debug = true` a debugger can stop it and look (docs/debugging.md)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Task;

    fn next(kind: Kind, signal: Option<i32>, exit_status: Option<i32>) -> String {
        of(&Report { kind, signal, exit_status, pid: 77, ..Report::default() }).join("\n")
    }

    #[test]
    fn each_kind_has_its_own_advice() {
        for (kind, signal, status, words) in [
            (Kind::Ended, Some(9), None, "killed process 77"),
            (Kind::Ended, Some(11), None, "number 1 of its PID namespace"),
            (Kind::Ended, Some(6), None, "SIGABRT"),
            (Kind::Ended, Some(7), None, "SIGBUS"),
            (Kind::Ended, Some(31), None, "another architecture"),
            (Kind::Ended, Some(15), None, "signal 15"),
            (Kind::Ended, None, Some(101), "panic"),
            (Kind::Ended, None, Some(0), "as if it was done"),
            (Kind::Ended, None, Some(7), "exit status 7"),
            (Kind::Failed, None, Some(101), "own words"),
            (Kind::Hangs, Some(9), None, "a debugger can stop it"),
            (Kind::Late, Some(9), None, "outboard ext trace"),
            (Kind::Violates, Some(9), None, "outboard ext test"),
            (Kind::Channel, Some(9), None, "control socket"),
            (Kind::Start, None, Some(3), "names the step"),
            (Kind::Start, Some(11), None, "core dump"),
            (Kind::Unknown, None, None, "earlier release"),
        ] {
            let text = next(kind, signal, status);
            assert!(text.contains(words), "{kind:?} {signal:?} {status:?}: {text}");
        }
        let by_the_host = next(Kind::Hangs, Some(9), None);
        assert!(!by_the_host.contains("memory"), "signal 9 is the host's: {by_the_host}");
    }

    #[test]
    fn a_suspect_is_pointed_at() {
        let task = Task { deaths: 1, ..Task::default() };
        let report = Report { kind: Kind::Failed, tasks: vec![task], ..Report::default() };
        assert!(of(&report).iter().any(|text| text.contains("HARDWARE ERROR")));
    }
}
