//! What a driver writes to its standard output and error: passed on line by line, the last lines
//! kept for the report of its death. A driver that floods is read slowly, and passed on in part.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines that are kept.
const TAIL_LINES: usize = 100;
/// Bytes of a line; what is beyond begins a line of its own.
const LINE_BYTES: usize = 2048;
/// Lines passed on in a second; more are kept and counted.
const LINES_PER_SECOND: u32 = 200;
/// Bytes read at a time, and the pause after so many: a driver that writes more waits.
const READ_BYTES: usize = 16 << 10;
const PAUSE: Duration = Duration::from_millis(5);

/// Where a driver's lines go.
#[derive(Clone)]
pub struct LogSink(Arc<dyn Fn(&str) + Send + Sync>);

impl LogSink {
    /// Calls `sink` with each line, on a thread of the driver's own.
    pub fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }
}

impl Default for LogSink {
    /// This process's standard error.
    fn default() -> Self {
        Self::new(|line| {
            let _ = writeln!(io::stderr(), "{line}");
        })
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

/// The host's end of a driver's output.
pub(super) struct Log {
    socket: UnixStream,
    tail: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    /// The host's end, and what the driver has as standard output and error.
    pub(super) fn pair(sink: LogSink) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let socket = ours.try_clone()?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&tail);
        let reader = std::thread::Builder::new()
            .name("driver log".to_owned())
            .spawn(move || Lines::new(sink, kept).read(ours))?;
        Ok((Self { socket, tail, reader: Some(reader) }, theirs.into()))
    }

    /// The last lines so far, oldest first.
    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Reads what is there and no more, whoever else could still write.
    pub(super) fn close(&mut self) {
        // One that is closed already is at its end.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// Bytes that become lines.
struct Lines {
    sink: LogSink,
    tail: Arc<Mutex<VecDeque<String>>>,
    line: Vec<u8>,
    second: Instant,
    /// in this second
    passed: u32,
    held: u64,
}

impl Lines {
    fn new(sink: LogSink, tail: Arc<Mutex<VecDeque<String>>>) -> Self {
        let second = Instant::now();
        Self { sink, tail, line: Vec::new(), second, passed: 0, held: 0 }
    }

    fn read(mut self, mut from: impl Read) {
        let mut buffer = [0; READ_BYTES];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    self.take(buffer.get(..len).unwrap_or_default());
                    if len == READ_BYTES {
                        std::thread::sleep(PAUSE);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if !self.line.is_empty() {
            self.end_line();
        }
        self.tell_held();
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || self.line.len() == LINE_BYTES {
                self.end_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = shown(&self.line);
        self.line.clear();
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.tell_held();
            self.second = Instant::now();
            self.passed = 0;
        }
        match self.passed < LINES_PER_SECOND {
            true => {
                self.passed += 1;
                (self.sink.0)(&line);
            }
            false => self.held += 1,
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }

    fn tell_held(&mut self) {
        if self.held != 0 {
            (self.sink.0)(&format!("({} more lines in a second, not shown)", self.held));
            self.held = 0;
        }
    }
}

/// Text without anything that a terminal would obey.
fn shown(line: &[u8]) -> String {
    plain(&String::from_utf8_lossy(line))
}

/// The same of what a driver says in its messages.
pub(super) fn plain(text: &str) -> String {
    let is_obeyed = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn collect(write: impl FnOnce(&mut UnixStream)) -> (Vec<String>, Vec<String>) {
        let (sender, lines) = channel();
        let sink = LogSink::new(move |line| sender.send(line.to_owned()).unwrap());
        let (mut log, theirs) = Log::pair(sink).unwrap();
        let mut theirs = UnixStream::from(theirs);
        write(&mut theirs);
        log.close();
        let tail = log.tail();
        drop(log);
        (lines.iter().collect(), tail)
    }

    #[test]
    fn lines_are_passed_on_and_kept_without_control_characters() {
        let (lines, tail) = collect(|to| to.write_all(b"one\ntw\xff\x1b[31mo\nlast").unwrap());
        assert_eq!(lines, ["one", "tw\u{fffd}\u{fffd}[31mo", "last"]);
        assert_eq!(tail, lines);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let written = std::cell::Cell::new(0);
        let (lines, tail) = collect(|to| {
            for number in 0..20_000 {
                writeln!(to, "line {number}").unwrap();
                written.set(number);
            }
        });
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail.last().unwrap(), &format!("line {}", written.get()));
        assert!(lines.len() < 2000, "{}", lines.len());
        assert!(lines.iter().any(|line| line.contains("more lines in a second")));
        let (lines, tail) = collect(|to| to.write_all(&vec![b'x'; 3 * LINE_BYTES]).unwrap());
        assert_eq!((lines.len(), tail.len()), (3, 3));
    }

    #[test]
    fn a_descriptor_that_has_escaped_holds_nobody_up() {
        let mut kept = None;
        let (lines, _) = collect(|to| {
            to.write_all(b"said\n").unwrap();
            kept = to.try_clone().ok();
        });
        assert_eq!(lines, ["said"]);
        assert!(kept.unwrap().write_all(b"too late\n").is_err());
    }
}
