//! What a run says while it runs, on standard error: a bar on a terminal, a few lines elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::sample::Observer;

/// What suits standard error.
pub fn observer() -> Box<dyn Observer> {
    if stderr().is_terminal() { Box::new(Bar::new()) } else { Box::new(Lines::new(stderr())) }
}

/// A bar over the measurements, the current one named beside it.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    label: String,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::no_length();
        // the template is constant; without it the bar is merely plain
        if let Ok(style) = ProgressStyle::with_template(
            "{elapsed:>4} [{bar:24}] {pos:>3}/{len}  eta {eta:<4} {wide_msg}",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, label: String::new() }
    }
}

impl Observer for Bar {
    fn plan(&mut self, steps: u64, _what: &str) {
        self.bar.set_length(steps);
    }

    fn begin(&mut self, label: &str) {
        label.clone_into(&mut self.label);
        self.bar.set_message(label.to_owned());
    }

    fn advance(&mut self, bytes: u64, of: u64) {
        let percent = bytes.saturating_mul(100) / of.max(1);
        self.bar.set_message(format!("{} {percent} %", self.label));
    }

    fn end(&mut self) {
        self.bar.inc(1);
    }

    fn note(&mut self, text: &str) {
        self.bar.suspend(|| warn(&mut stderr(), text));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// At most about ten lines in all, for logs.
#[derive(Debug)]
struct Lines<W: Write> {
    out: W,
    begun: Instant,
    steps: u64,
    done: u64,
    label: String,
}

impl<W: Write> Lines<W> {
    fn new(out: W) -> Self {
        Self { out, begun: Instant::now(), steps: 0, done: 0, label: String::new() }
    }

    const MARKS: u64 = 8;
}

impl<W: Write> Observer for Lines<W> {
    fn plan(&mut self, steps: u64, what: &str) {
        (self.steps, self.done) = (steps, 0);
        let _ = writeln!(self.out, "outboard: {what}: {steps} measurements");
    }

    fn begin(&mut self, label: &str) {
        label.clone_into(&mut self.label);
    }

    fn advance(&mut self, _bytes: u64, _of: u64) {}

    fn end(&mut self) {
        let mark = |done: u64| done * Self::MARKS / self.steps.max(1);
        let passed = mark(self.done + 1) > mark(self.done);
        self.done += 1;
        if passed {
            let _ = writeln!(
                self.out,
                "outboard: {}/{} after {} s ({})",
                self.done,
                self.steps,
                self.begun.elapsed().as_secs(),
                self.label
            );
        }
    }

    fn note(&mut self, text: &str) {
        warn(&mut self.out, text);
    }
}

/// A broken standard error must not end a measurement.
fn warn(out: &mut impl Write, text: &str) {
    let _ = writeln!(out, "outboard: note: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_few_lines() {
        let steps = 120;
        let mut text = Vec::new();
        let mut lines = Lines::new(&mut text);
        lines.plan(steps, "System test");
        lines.note("the disk is slow");
        for index in 0..steps {
            lines.begin(&format!("step {index}"));
            lines.advance(1, 2);
            lines.end();
        }
        insta::assert_snapshot!(String::from_utf8(text).unwrap());
    }

    #[test]
    fn a_run_longer_or_shorter_than_planned_is_no_matter() {
        let mut lines = Lines::new(Vec::new());
        lines.end();
        lines.plan(1, "x");
        lines.end();
        lines.end();
        let mut bar = Bar::new();
        bar.plan(0, "x");
        bar.advance(5, 0);
        bar.end();
    }
}
