//! `outboard ext report`: how drivers died.

use std::fmt::Write;
use std::process::ExitCode;

use serde::Serialize;

use super::{Common, Failed, put, put_json};
use crate::cli::check::count;
use crate::cli::tables::{Table, plain, time};
use crate::report::{Kind, Report, Reports};

/// Characters of a reason in the table; the whole report has all of it.
const REASON_CHARACTERS: usize = 60;

/// Which reports.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Which {
    /// Show this one whole: its number in the table, or `latest`
    #[arg(value_name = "NUMBER", value_parser = number)]
    number: Option<usize>,
    /// Those of this target alone: its iSCSI name, or the end of it
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// The last so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    last: u64,
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        _ if text == "latest" => Ok(1),
        Ok(number) if number != 0 => Ok(number),
        _ => Err("write a number of the table, 1 for the latest, or `latest`".to_owned()),
    }
}

/// A report with its number, for programs.
#[derive(Serialize)]
struct Numbered<'a> {
    number: usize,
    #[serde(flatten)]
    report: &'a Report,
    /// what its tasks' CDBs say, in the same order
    commands: Vec<String>,
    /// what to do next
    next: Vec<String>,
}

#[derive(Serialize)]
struct List<'a> {
    reports: Vec<Numbered<'a>>,
}

pub(super) fn report(which: &Which, common: &Common) -> Result<ExitCode, Failed> {
    let reports = Reports::of(&common.state_folder());
    let (mut reports, unreadable) = reports.read().map_err(|error| common.failed(&error))?;
    for error in unreadable {
        super::say(&format!("outboard: {error}"));
    }
    // The latest is number 1, and has that number for each target that is asked for.
    reports.reverse();
    if let Some(wanted) = &which.target {
        reports.retain(|report| is_named(&report.target, wanted));
    }
    let numbered: Vec<Numbered<'_>> = (1..).zip(&reports).map(numbered).collect();
    if let Some(number) = which.number {
        let Some(one) = numbered.get(number - 1) else {
            return Err(common.refused(&format!(
                "there is no report {number}, but {}; `outboard ext report` lists them",
                count(numbered.len(), "report")
            )));
        };
        return Ok(match common.json {
            true => put_json(one),
            false => put(&whole(one)),
        });
    }
    let most = usize::try_from(which.last).unwrap_or(usize::MAX).min(numbered.len());
    let mut list = List { reports: numbered };
    list.reports.truncate(most);
    Ok(match common.json {
        true => put_json(&list),
        false => put(&table(&list.reports, reports.len())),
    })
}

/// Whether a target is meant by a name or the end of one.
pub(super) fn is_named(target: &str, wanted: &str) -> bool {
    target == wanted
        || target
            .strip_suffix(wanted)
            .is_some_and(|rest| rest.ends_with(':') || rest.ends_with('.'))
}

fn numbered((number, report): (usize, &Report)) -> Numbered<'_> {
    let commands = report.tasks.iter().map(crate::report::Task::command).collect();
    Numbered { number, report, commands, next: report.next() }
}

fn table(reports: &[Numbered<'_>], of: usize) -> String {
    if reports.is_empty() {
        return "no driver has died\n".to_owned();
    }
    let headings = [">#", "WHEN", "TARGET", "DRIVER", "VERSION", "ENDED", "REASON"];
    let mut table = Table::new(&headings);
    for Numbered { number, report, .. } in reports {
        let mut reason: String = report.reason.chars().take(REASON_CHARACTERS).collect();
        if reason.len() < report.reason.len() {
            reason.push('…');
        }
        if report.repeated != 0 {
            let _ = write!(reason, " ({} times)", report.repeated + 1);
        }
        table.row(&[
            number.to_string(),
            outboard_md::time(report.at_ms / 1000),
            report.target.clone(),
            report.identifier.clone(),
            report.version.clone(),
            ended(report),
            reason,
        ]);
    }
    let mut text = table.render("");
    if reports.len() < of {
        let _ = writeln!(text, "{} in all: --last N shows more", count(of, "report"));
    }
    text.push_str("outboard ext report NUMBER shows one whole\n");
    text
}

/// How its process ended, and by whom.
fn ended(report: &Report) -> String {
    match report.signal {
        Some(_) if !report.is_killed_by_others() => "killed by the host".to_owned(),
        _ => report.ended.clone(),
    }
}

fn whole(one: &Numbered<'_>) -> String {
    let Numbered { number, report, commands, next } = one;
    let Report { at_ms, target, identifier, version, pid, reason, .. } = report;
    let head = match report.kind {
        Kind::Start => "a driver did not come up",
        _ => "a driver died",
    };
    let mut text = format!("report {number}: {head}, {}\n", outboard_md::time(at_ms / 1000));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {}", plain(value));
    };
    line("target", target);
    line("driver", &format!("{identifier} {version}, process {pid}"));
    line("reason", reason);
    line("ended", &ended(report));
    if report.repeated != 0 {
        line(
            "tried",
            &format!("{} times with this outcome, this was the last", report.repeated + 1),
        );
    }
    if let Some(lived_ms) = report.lived_ms {
        let deaths = match report.deaths {
            0 | 1 => String::new(),
            deaths => format!("; {deaths} deaths in a row without a completed task"),
        };
        line("lived", &format!("{}{deaths}", time(lived_ms)));
    }
    if report.tasks_in_driver != 0 {
        let named = match (report.tasks.len() as u64) < report.tasks_in_driver {
            true => format!(", the {} oldest are named", report.tasks.len()),
            false => String::new(),
        };
        let tasks = count(report.tasks_in_driver as usize, "task");
        let _ = write!(text, "\nIt had {tasks}{named}:\n{}", tasks_of(report, commands));
    }
    if !report.log.is_empty() {
        let _ = writeln!(text, "\nIts last lines:");
        for written in &report.log {
            let _ = writeln!(text, "  | {}", plain(written));
        }
    }
    text.push_str("\nNext:\n");
    for sentence in next {
        let _ = writeln!(text, "  - {}", plain(sentence));
    }
    text
}

fn tasks_of(report: &Report, commands: &[String]) -> String {
    let mut table =
        Table::new(&[">LUN", "COMMAND", ">BYTES", ">TAG", ">DEATHS", "INITIATOR", "CDB"]);
    for (task, command) in report.tasks.iter().zip(commands) {
        table.row(&[
            task.lun.to_string(),
            command.clone(),
            task.bytes.to_string(),
            format!("{:#x}", task.tag),
            task.deaths.to_string(),
            task.initiator.clone().unwrap_or_else(|| "the host".to_owned()),
            task.cdb.clone(),
        ]);
    }
    table.render("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Task;

    fn panicked() -> Report {
        let task = Task {
            lun: 0,
            initiator: Some("iqn.1993-08.org.debian:01:abc,i,0x00023d000001".to_owned()),
            tag: 0x12,
            cdb: "8a 00 00 00 00 00 00 00 10 00 00 00 00 08 00 00".to_owned(),
            bytes: 4096,
            deaths: 1,
        };
        Report {
            at_ms: 1_795_338_060_123,
            target: "iqn.2026-01.com.example:ram".to_owned(),
            identifier: "com.example.ram-disk".to_owned(),
            version: "1.0".to_owned(),
            pid: 4711,
            kind: Kind::Failed,
            reason: "I/O queue 0: its thread panicked; the panic's message is above".to_owned(),
            ended: "exit status: 101".to_owned(),
            exit_status: Some(101),
            lived_ms: Some(61_000),
            deaths: 2,
            tasks_in_driver: 2,
            tasks: vec![task],
            log: vec!["panicked at src/main.rs:7:9:".to_owned(), "\u{1b}[31mno\n".to_owned()],
            ..Report::default()
        }
    }

    #[test]
    fn one_whole() {
        let report = panicked();
        insta::assert_snapshot!(whole(&numbered((1, &report))));
    }

    #[test]
    fn all_of_them() {
        let hung = Report {
            kind: Kind::Hangs,
            reason:
                "its I/O thread has stood still for 2.0 s with 32 tasks, none of them in the kernel"
                    .to_owned(),
            ended: "signal: 9 (SIGKILL)".to_owned(),
            signal: Some(9),
            ..panicked()
        };
        let killed = Report {
            kind: Kind::Ended,
            reason: "its process has ended".to_owned(),
            ..hung.clone()
        };
        let start = Report {
            kind: Kind::Start,
            reason: "firmware 1.2 is too old".to_owned(),
            repeated: 5,
            ..panicked()
        };
        let reports = [panicked(), hung, killed, start];
        let numbered: Vec<_> = (1..).zip(&reports).map(numbered).collect();
        insta::assert_snapshot!(table(&numbered, 9));
        assert_eq!(table(&[], 0), "no driver has died\n");
    }

    #[test]
    fn targets_by_name_or_its_end() {
        assert!(is_named("iqn.2026-01.com.example:ram", "ram"));
        assert!(is_named("iqn.2026-01.com.example:ram", "iqn.2026-01.com.example:ram"));
        assert!(!is_named("iqn.2026-01.com.example:ram", "am"));
        assert!(!is_named("iqn.2026-01.com.example:ram", "x"));
    }

    #[test]
    fn numbers() {
        assert_eq!(["1", "latest", "7"].map(number), [Ok(1), Ok(1), Ok(7)]);
        assert!(number("0").is_err() && number("last").is_err());
    }
}
