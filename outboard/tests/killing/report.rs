//! Where the pauses went: a table for people, JSON for `cargo xtask kills`.

use std::time::Duration;

use serde_json::{Value, json};

use super::killer::Death;

/// A part of a pause.
type Part = (&'static str, fn(&Death) -> Duration);

const PARTS: [Part; 10] = [
    ("detect", |death| death.detect),
    ("end", |death| ns(death.pause.end_ns)),
    ("fence", |death| ns(death.pause.fence_ns)),
    ("back-off", |death| ns(death.pause.back_off_ns)),
    ("start", |death| ns(death.pause.start_ns)),
    ("replay", |death| ns(death.pause.replay_ns)),
    ("hand-overs", |death| ns(death.pause.total_ns).saturating_sub(parts(death))),
    ("found to completed (server)", |death| ns(death.pause.total_ns)),
    ("signal to completed (server)", |death| death.detect + ns(death.pause.total_ns)),
    ("signal to completed (initiator)", |death| death.initiator),
];

const fn ns(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}

fn parts(death: &Death) -> Duration {
    let pause = &death.pause;
    ns(pause.end_ns + pause.fence_ns + pause.back_off_ns + pause.start_ns + pause.replay_ns)
}

/// Percentiles of some times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) p50: Duration,
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Figures {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            // The smallest that so many of all do not exceed.
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or_default()
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// Prints the table; the figures of the last row.
pub(crate) fn tell(name: &str, deaths: &[Death], commands: u64, seconds: Duration) -> Figures {
    let rate = commands as f64 / seconds.as_secs_f64();
    println!("{name}: {} deaths, {commands} commands ({rate:.0}/s), 0 errors", deaths.len());
    println!("{:<34}{:>9}{:>9}{:>9}{:>9}  ms", "", "p50", "p90", "p99", "max");
    let (mut rows, mut last) = (Vec::new(), None);
    for (part, of) in PARTS {
        let figures = Figures::of(deaths.iter().map(of).collect());
        let all = [figures.p50, figures.p90, figures.p99, figures.max];
        let [p50, p90, p99, max] = all.map(|time| time.as_secs_f64() * 1e3);
        println!("{part:<34}{p50:>9.1}{p90:>9.1}{p99:>9.1}{max:>9.1}");
        rows.push(json!({
            "part": part, "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "max_ms": max,
        }));
        last = Some(figures);
    }
    write(&json!({
        "name": name, "n": deaths.len(), "commands": commands, "seconds": seconds.as_secs_f64(),
        "errors": 0, "mismatches": 0, "parts": rows,
    }));
    last.unwrap()
}

/// Leaves figures where `cargo xtask kills` looks for them.
pub(crate) fn write(figures: &Value) {
    if let Some(path) = std::env::var_os("OUTBOARD_KILLS_JSON") {
        std::fs::write(path, figures.to_string()).unwrap();
    }
}
