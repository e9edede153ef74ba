//! `outboard ext trace`: the life of single tasks across the boundary.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use outboard_ext::servers;
use serde::Serialize;

use super::report::is_named;
use super::{Common, Failed, put, put_json};
use crate::cli::check::count;
use crate::cli::client::{self, ClientError};
use crate::cli::show::default_socket;
use crate::cli::tables::{Table, plain};
use crate::status::Target;
use crate::trace::{Claim, Part, SECONDS_MAX, Summary, TASKS_MAX, Trace, TracedTask, summary};

/// Tasks in the table; `--json` has all.
const ROWS: usize = 32;
/// Characters of the picture's line.
const WIDTH: u64 = 60;
/// What a server has to answer, beyond the trace itself.
const GRACE: Duration = Duration::from_secs(5);

/// What is traced, and for whom.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct What {
    /// The target: its iSCSI name, or the end of it [default: the only one]
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// So many tasks
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=TASKS_MAX as u64))]
    tasks: u64,
    /// At most so long
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// Write it to a file that https://ui.perfetto.dev opens
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    perfetto: Option<PathBuf>,
    /// The server's control socket [default: those of the servers on the state directory]
    #[arg(long, value_name = "SOCKET")]
    socket: Option<PathBuf>,
}

/// A trace, for programs.
#[derive(Serialize)]
struct Summed<'a> {
    #[serde(flatten)]
    trace: &'a Trace,
    summary: Vec<Summary>,
}

pub(super) fn trace(what: &What, common: &Common) -> Result<ExitCode, Failed> {
    let (socket, target) = find(what, common)?;
    let path = format!(
        "/v1/targets/{}/trace?tasks={}&seconds={}",
        escaped(&target),
        what.tasks,
        what.seconds
    );
    let within = Duration::from_secs(what.seconds) + GRACE;
    let trace: Trace = client::post(&socket, &path, within).map_err(|e| common.failed(&e))?;
    let summary = summary(&trace.tasks);
    if let Some(file) = &what.perfetto {
        let written = fs::write(file, trace.perfetto().to_string());
        written.map_err(|error| common.failed(&format!("{}: {error}", file.display())))?;
        let tasks = count(trace.tasks.len(), "task");
        let file = file.display();
        return Ok(put(&format!("{tasks} in {file}: open it at https://ui.perfetto.dev\n")));
    }
    Ok(match common.json {
        true => put_json(&Summed { trace: &trace, summary }),
        false => put(&render(&trace, &summary)),
    })
}

/// The server that has the target, and the target's whole name.
fn find(what: &What, common: &Common) -> Result<(PathBuf, String), Failed> {
    let announced = || servers::running(&common.store()).into_iter().filter_map(|it| it.socket);
    let sockets: Vec<PathBuf> = match &what.socket {
        Some(socket) => vec![socket.clone()],
        None => announced().collect(),
    };
    let sockets = if sockets.is_empty() { vec![default_socket()] } else { sockets };
    let mut known = Vec::new();
    let mut silent = None;
    for socket in sockets {
        let targets: Result<Vec<Target>, ClientError> = client::get(&socket, "/v1/targets");
        match targets {
            Ok(targets) => known.extend(targets.into_iter().map(|t| (socket.clone(), t.name))),
            Err(error) => silent = Some(error),
        }
    }
    if known.is_empty()
        && let Some(error) = silent
    {
        return Err(common.failed(&error));
    }
    let all: Vec<String> = known.iter().map(|(_, name)| name.clone()).collect();
    let all = all.join(", ");
    if let Some(wanted) = &what.target {
        known.retain(|(_, name)| is_named(name, wanted));
    }
    match (known.pop(), known.is_empty(), &what.target) {
        (Some(one), true, _) => Ok(one),
        (Some(_), false, _) => {
            Err(common
                .refused(&format!("several targets are meant: {all}; name one with --target")))
        }
        (None, _, Some(wanted)) => {
            Err(common.refused(&format!("there is no target {wanted:?}, but: {all}")))
        }
        (None, _, None) => Err(common.refused(&"the server has no target")),
    }
}

/// A name as a part of a path (RFC 3986).
fn escaped(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                path.push(char::from(byte));
            }
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

fn render(trace: &Trace, summary: &[Summary]) -> String {
    let tasks = count(trace.tasks.len(), "task");
    let target = plain(&trace.target);
    let took = us(trace.took_ns);
    let mut text = format!("target {target}: {tasks} in {took} us\n");
    if trace.tasks.is_empty() {
        text.push_str("no task with a slot was received: is there any load?\n");
        return text;
    }
    text.push('\n');
    text.push_str(&table(trace));
    text.push('\n');
    text.push_str(&parts(summary));
    if let Some(task) = typical(trace) {
        text.push('\n');
        text.push_str(&picture(task));
    }
    text
}

fn table(trace: &Trace) -> String {
    let mut headings: Vec<String> =
        [">#", ">LUN", "COMMAND", ">LBA", ">BLOCKS", ">SLOT", ">BUNDLE", ">OF", ">NEXUS", "STATUS"]
            .map(str::to_owned)
            .to_vec();
    headings.extend(Part::ALL.map(|part| {
        let mark = if part.is_claimed() { "~" } else { "" };
        format!(">{mark}{}", part.name().to_uppercase())
    }));
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for task in trace.tasks.iter().take(ROWS) {
        table.row(&row(task));
    }
    let mut text = table.render("");
    text.push_str("times in us; ~ by the driver's word\n");
    if trace.tasks.len() > ROWS {
        let more = trace.tasks.len() - ROWS;
        let _ = writeln!(text, "and {more} more: --json has all of them");
    }
    let impossible = |task: &&TracedTask| task.driver.claim == Claim::Impossible;
    let impossible = trace.tasks.iter().filter(impossible).count();
    if impossible != 0 {
        let tasks = count(impossible, "task");
        let _ = writeln!(text, "the driver's times of {tasks} cannot be, and are left out");
    }
    if trace.answered_at_once != 0 {
        let commands = count(trace.answered_at_once as usize, "command");
        let _ = writeln!(text, "{commands} the host answered at once");
    }
    text
}

fn row(task: &TracedTask) -> [String; 19] {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let status = match (&task.status, task.aborted) {
        (_, true) => "aborted",
        (Some(status), _) => status,
        (None, _) => "open",
    };
    let [data, wait, away, there, driver, back, answer, send, total] =
        Part::ALL.map(|part| part.length(task).map_or_else(|| "-".to_owned(), us));
    [
        task.number.to_string(),
        task.lun.to_string(),
        task.command.clone(),
        number(task.lba),
        number(task.blocks),
        task.slot.to_string(),
        number(task.bundle.map(u64::from)),
        task.bundle_size.to_string(),
        task.nexus.to_string(),
        status.to_owned(),
        data,
        wait,
        away,
        there,
        driver,
        back,
        answer,
        send,
        total,
    ]
}

fn parts(summary: &[Summary]) -> String {
    let total: u64 = summary.iter().filter(|s| s.part == Part::Total).map(|s| s.sum_ns).sum();
    let mut table = Table::new(&["PART", ">TASKS", ">P50", ">P99", ">MAX", ">SHARE", ""]);
    for each in summary {
        let part = each.part;
        let (indent, mark) = if part.is_claimed() { ("  ", "~") } else { ("", "") };
        table.row(&[
            format!("{indent}{mark}{}", part.name()),
            each.tasks.to_string(),
            us(each.p50_ns),
            us(each.p99_ns),
            us(each.max_ns),
            format!("{:.0} %", each.sum_ns as f64 * 100.0 / total.max(1) as f64),
            format!("{indent}{}", part.meaning()),
        ]);
    }
    table.render("")
}

/// The task in the middle by its length, of those whose every time is known if there are any.
fn typical(trace: &Trace) -> Option<&TracedTask> {
    let mut known: Vec<&TracedTask> =
        trace.tasks.iter().filter(|task| Part::Total.of(task).is_some()).collect();
    if known.iter().any(|task| Part::Driver.of(task).is_some()) {
        known.retain(|task| Part::Driver.of(task).is_some());
    }
    known.sort_by_key(|task| Part::Total.length(task));
    known.get(known.len() / 2).copied()
}

/// A task's life as lines of characters.
fn picture(task: &TracedTask) -> String {
    let (Some((from, _)), Some(length)) = (Part::Total.of(task), Part::Total.length(task)) else {
        return String::new();
    };
    let column = |at: u64| ((at - from) * WIDTH / length.max(1)) as usize;
    let line = |parts: &[Part]| {
        let mut line = vec![' '; WIDTH as usize];
        for (from, to) in parts.iter().filter_map(|part| part.of(task)) {
            // Something of the shortest part too.
            let (first, last) = (column(from).min(line.len() - 1), column(to));
            let last = last.clamp(first + 1, line.len());
            line[first..last].fill('=');
        }
        line.into_iter().collect::<String>()
    };
    let boundary: &[Part] = match Part::Driver.of(task) {
        Some(_) => &[Part::There, Part::Back],
        None => &[Part::Away],
    };
    let blocks = match (task.lba, task.blocks) {
        (Some(lba), Some(blocks)) => format!(" lba {lba} blocks {blocks}"),
        _ => String::new(),
    };
    let end = format!("{} us", us(length));
    format!(
        "task {}, one of the usual length: {}{blocks}\n\
         host     |{}|\nboundary |{}|\n~driver  |{}|\n          0 us{end:>width$}\n",
        task.number,
        task.command,
        line(&[Part::Data, Part::Wait, Part::Answer, Part::Send]),
        line(boundary),
        line(&[Part::Driver]),
        width = WIDTH as usize - 4,
    )
}

/// Nanoseconds as microseconds.
fn us(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::trace;

    #[test]
    fn as_people_see_it() {
        let trace = trace();
        insta::assert_snapshot!(render(&trace, &summary(&trace.tasks)));
    }

    #[test]
    fn nothing_came() {
        let trace = Trace { tasks: Vec::new(), ..trace() };
        assert!(render(&trace, &[]).contains("is there any load?"));
    }

    #[test]
    fn a_picture_of_any_task_is_as_wide_as_any_other() {
        for mut task in trace().tasks {
            task.host.finished_ns = task.host.finished_ns.map(|at| at + 1_000_000_000);
            for line in picture(&task).lines().skip(1).take(3) {
                assert_eq!(line.chars().count(), 11 + WIDTH as usize, "{line}");
            }
        }
        let mut short = trace().tasks.remove(0);
        let at = Some(short.host.received_ns);
        short.host = crate::trace::HostTimes {
            ready_ns: at,
            published_ns: at,
            reaped_ns: at,
            answered_ns: at,
            finished_ns: at,
            ..short.host
        };
        assert!(picture(&short).contains("0.0 us"));
    }

    #[test]
    fn names_in_paths() {
        assert_eq!(escaped("iqn.2026-01.com.example:a"), "iqn.2026-01.com.example:a");
        assert_eq!(escaped("a/b?ü"), "a%2Fb%3F%C3%BC");
    }
}
