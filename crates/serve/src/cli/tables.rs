//! The status as tables for people.

use outboard_disk::units::format_size;

use super::check::count;
use crate::status::{
    Driver, DriverState, Lun, LunState, Server, ServerState, Session, Status, Target,
};

/// All of it. What initiators say of themselves is shown without control characters.
pub(super) fn render(status: &Status) -> String {
    let mut out = server(&status.server);
    out.push('\n');
    out.push_str(&drivers(&status.drivers));
    for each in &status.targets {
        out.push('\n');
        out.push_str(&target(each));
    }
    out.push('\n');
    out.push_str(&sessions(&status.sessions));
    out
}

fn server(server: &Server) -> String {
    let state = match server.state {
        ServerState::Starting => "starting",
        ServerState::Ready => "ready",
        ServerState::Draining => "draining",
    };
    let logins = &server.logins;
    format!(
        "outboard {}, process {}, {state}, up {}\n\
         accepts on {}\n\
         {}, {} logging in; log-ins: {} succeeded, {} refused, {} abandoned, {} over a limit\n",
        plain(&server.version),
        server.pid,
        time(server.uptime_ms),
        server.portals.join(", "),
        count(logins.connections as usize, "connection"),
        logins.under_way,
        logins.succeeded,
        logins.refused,
        logins.abandoned,
        logins.over_limit,
    )
}

fn drivers(drivers: &[Driver]) -> String {
    let mut table = Table::new(&[
        "DRIVER",
        "PROCESS",
        "STATE",
        ">RESTARTS",
        ">VIOLATIONS",
        ">SLOTS",
        ">POOL",
        "LAST REASON",
    ]);
    for driver in drivers {
        let mode = if driver.debug { ", debug" } else { "" };
        let state = match driver.state {
            DriverState::Starting => "starting",
            DriverState::Running => "running",
            DriverState::Replacing => "replacing",
            DriverState::Failed => "failed",
            DriverState::Stopped => "stopped",
        };
        table.row(&[
            driver.name.clone(),
            driver.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            format!("{state}{mode}"),
            driver.restarts.to_string(),
            driver.violations.to_string(),
            format!("{}/{}", driver.slots.used, driver.slots.total),
            format!("{}/{}", bytes(driver.pool.used), bytes(driver.pool.total)),
            driver.last_reason.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let mut out = table.render("");
    if drivers.iter().any(|driver| driver.debug) {
        out.push_str("debug mode: no deadline passes and no hang is found (docs/debugging.md)\n");
    }
    out
}

fn target(target: &Target) -> String {
    let mut out = format!("target {}", plain(&target.name));
    if let Some(alias) = &target.alias {
        out.push_str(&format!(" ({})", plain(alias)));
    }
    let guard = if target.chap { "CHAP" } else { "no CHAP" };
    let sessions = count(target.sessions as usize, "session");
    out.push_str(&format!(": {guard}, {sessions}, on {}\n", target.portals.join(", ")));
    if target.luns.is_empty() {
        out.push_str("  no LUNs\n");
        return out;
    }
    let mut table = Table::new(&[
        ">LUN", "ARRAY", "STATE", ">SIZE", ">BLOCK", ">READS", ">READ", ">WRITES", ">WRITTEN",
        ">ERRORS", ">NOW", ">MEAN", ">P99", "",
    ]);
    for lun in &target.luns {
        table.row(&cells(lun));
    }
    out.push_str(&table.render("  "));
    out
}

fn cells(lun: &Lun) -> [String; 14] {
    let state = match lun.state {
        LunState::Ready => "ready",
        LunState::Waiting => "waiting",
        LunState::NotReady => "not ready",
        LunState::Removing => "removing",
    };
    let marks = [("read-only", lun.read_only), ("removable", lun.removable), ("thin", lun.thin)];
    let marks: Vec<&str> = marks.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    let counters = &lun.counters;
    [
        lun.lun.to_string(),
        lun.array.clone(),
        state.to_owned(),
        bytes(lun.blocks.saturating_mul(u64::from(lun.block_size))),
        lun.block_size.to_string(),
        counters.reads.to_string(),
        bytes(counters.read_bytes),
        counters.writes.to_string(),
        bytes(counters.written_bytes),
        counters.errors.to_string(),
        counters.outstanding.to_string(),
        latency(counters.latency.mean_ns()),
        latency(counters.latency.p99_ns),
        marks.join(" "),
    ]
}

fn sessions(sessions: &[Session]) -> String {
    if sessions.is_empty() {
        return "no sessions\n".to_owned();
    }
    let mut table = Table::new(&[
        "INITIATOR",
        "TARGET",
        "ISID",
        ">TSIH",
        ">AGE",
        ">COMMANDS",
        ">NOW",
        ">READ",
        ">WRITTEN",
        "CONNECTIONS",
    ]);
    for session in sessions {
        let each = session.connections.iter().map(|connection| {
            let digests = match (connection.header_digest, connection.data_digest) {
                (false, false) => "",
                (true, false) => " header digest",
                (false, true) => " data digest",
                (true, true) => " both digests",
            };
            format!("{} to {}{digests}", connection.initiator, connection.portal)
        });
        let connections: Vec<String> = each.collect();
        table.row(&[
            session.initiator.clone(),
            session.target.clone(),
            session.isid.clone(),
            session.tsih.to_string(),
            time(session.age_ms),
            session.commands.to_string(),
            session.outstanding.to_string(),
            bytes(session.read_bytes),
            bytes(session.written_bytes),
            connections.join("; "),
        ]);
    }
    table.render("")
}

/// Columns as wide as their widest cell. A heading that begins with `>` makes its column align
/// right.
pub(super) struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let row = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned());
        Self { right, rows: vec![row.collect()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: &[String; N]) {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    pub(super) fn render(&self, indent: &str) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                match right {
                    true => line.push_str(&format!("{cell:>width$}  ")),
                    false => line.push_str(&format!("{cell:<width$}  ")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Text of another's making, without what a terminal would obey, and not endless.
pub(super) fn plain(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Bytes to three figures: `1.46 TiB`. Whole numbers as they are written in the configuration.
fn bytes(bytes: u64) -> String {
    let exact = format_size(bytes);
    if exact.len() <= 5 {
        return exact;
    }
    let units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let whole = (value - value.round()).abs() < 1e-9;
    let places = if whole {
        0
    } else if value < 9.995 {
        2
    } else {
        usize::from(value < 99.95)
    };
    format!("{value:.places$}{}", units.get(unit).unwrap_or(&""))
}

/// Nanoseconds to three figures.
fn latency(ns: u64) -> String {
    match ns {
        0 => "-".to_owned(),
        1..1_000_000 => format!("{:.0}us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", ns as f64 / 1e6),
        _ => format!("{:.1}s", ns as f64 / 1e9),
    }
}

/// Milliseconds as two units.
pub(super) fn time(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_busy_server() {
        insta::assert_snapshot!(render(&testing::status()));
    }

    #[test]
    fn an_idle_server() {
        let mut status = Status::default();
        status.targets.push(Target { name: "iqn.x".to_owned(), ..Target::default() });
        insta::assert_snapshot!(render(&status));
    }

    #[test]
    fn debug_mode_is_not_overlooked() {
        let mut status = testing::status();
        assert!(!render(&status).contains("debug"));
        status.drivers[0].debug = true;
        let text = render(&status);
        assert!(
            text.contains("running, debug") && text.contains("debug mode: no deadline"),
            "{text}"
        );
    }

    #[test]
    fn foreign_text_does_not_reach_the_terminal_as_it_is() {
        let mut status = testing::status();
        status.sessions[0].initiator = "iqn\u{1b}[31m".to_owned();
        assert!(!render(&status).contains('\u{1b}'));
    }

    #[test]
    fn units() {
        assert_eq!(
            [0, 512, 8 << 30, 1_500_000, 1 << 50].map(bytes),
            ["0", "512", "8Gi", "1500k", "1Pi"]
        );
        assert_eq!([123_456_789, 999_999_999].map(bytes), ["118Mi", "954Mi"]);
        assert_eq!([0, 1500, 2_500_000, 3_000_000_000].map(latency), ["-", "2us", "2.5ms", "3.0s"]);
        assert_eq!([0, 61_000, 3_660_000, 93_784_000].map(time), ["0s", "1m 1s", "1h 1m", "1d 2h"]);
    }
}
