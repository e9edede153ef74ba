//! What a driver writes to its standard output and error: passed on line by line, the last lines
//! kept for the report of its death. A driver that floods is read slowly, and passed on in part: so many
//! lines and bytes in a second, so many bytes of a line.

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
/// Bytes of a line as the driver wrote it; what is beyond is counted.
const LINE_BYTES: usize = 2048;
/// Lines passed on in a second, and bytes of them; more are kept and counted.
const LINES_PER_SECOND: u32 = 200;
const BYTES_PER_SECOND: usize = 64 << 10;
const SECOND: Duration = Duration::from_secs(1);
// Each byte may become a replacement character of three, and a line that is cut says so.
const _: () = assert!(3 * LINE_BYTES + 100 <= BYTES_PER_SECOND);
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
    /// bytes of this line that are beyond its bound
    cut: u64,
    second: Instant,
    /// lines and bytes in this second: passed on, and held back
    passed: (u32, usize),
    held: (u64, u64),
}

impl Lines {
    fn new(sink: LogSink, tail: Arc<Mutex<VecDeque<String>>>) -> Self {
        let second = Instant::now();
        Self { sink, tail, line: Vec::new(), cut: 0, second, passed: (0, 0), held: (0, 0) }
    }

    fn read(mut self, mut from: UnixStream) {
        let mut buffer = [0; READ_BYTES];
        let mut is_timed = false;
        loop {
            // What was held back is told in a second, even if nothing follows.
            let holds = self.held.0 != 0;
            if holds != is_timed && from.set_read_timeout(holds.then_some(SECOND)).is_ok() {
                is_timed = holds;
            }
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    self.take(buffer.get(..len).unwrap_or_default());
                    if len == READ_BYTES {
                        std::thread::sleep(PAUSE);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.next_second(),
                Err(_) => break,
            }
        }
        if !self.line.is_empty() {
            self.end_line();
        }
        self.next_second();
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let (kept, beyond) = text.split_at(text.len().min(LINE_BYTES - self.line.len()));
            self.line.extend_from_slice(kept);
            self.cut += beyond.len() as u64;
            if ends {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let (written, cut) = (self.line.len() as u64 + self.cut, std::mem::take(&mut self.cut));
        let mut line = shown(&self.line);
        self.line.clear();
        if cut != 0 {
            line.push_str(&format!(" ... ({cut} more bytes in this line, not shown)"));
        }
        if self.second.elapsed() >= SECOND {
            self.next_second();
        }
        let (lines, bytes) = self.passed;
        match lines < LINES_PER_SECOND && bytes + line.len() <= BYTES_PER_SECOND {
            true => {
                self.passed = (lines + 1, bytes + line.len());
                (self.sink.0)(&line);
            }
            false => self.held = (self.held.0 + 1, self.held.1 + written),
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }

    /// Tells what was held back, once for all of it.
    fn next_second(&mut self) {
        let (lines, bytes) = std::mem::take(&mut self.held);
        if lines != 0 {
            (self.sink.0)(&format!(
                "({lines} more lines in a second, of {bytes} bytes, not shown: a driver has {LINES_PER_SECOND} lines and {BYTES_PER_SECOND} bytes)"
            ));
        }
        self.second = Instant::now();
        self.passed = (0, 0);
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
    }

    #[test]
    fn a_line_of_any_length_is_one_and_says_what_is_missing() {
        let (lines, tail) = collect(|to| {
            to.write_all(&[b'x'; LINE_BYTES]).unwrap();
            to.write_all(b"\n").unwrap();
            to.write_all(&vec![b'y'; 50 * LINE_BYTES]).unwrap();
            to.write_all(b"\nshort\n").unwrap();
            to.write_all(&[b'z'; LINE_BYTES + 1]).unwrap();
        });
        assert_eq!(lines, tail);
        let [whole, long, short, last] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((whole.len(), short.as_str()), (LINE_BYTES, "short"));
        let said = format!(" ... ({} more bytes in this line, not shown)", 49 * LINE_BYTES);
        assert_eq!(long.strip_prefix(&"y".repeat(LINE_BYTES)), Some(said.as_str()));
        assert!(last.ends_with("z ... (1 more bytes in this line, not shown)"), "{last}");
    }

    #[test]
    fn bytes_of_a_second_are_bounded_and_what_is_held_back_is_told_once() {
        let begun = Instant::now();
        let (lines, tail) = collect(|to| {
            for number in 0..1000 {
                writeln!(to, "{number:04}{}", "\u{1}".repeat(1020)).unwrap();
            }
        });
        assert!(tail.last().unwrap().starts_with("0999"), "the last lines are kept");
        let told = |line: &&String| line.contains("more lines in a second");
        let passed: usize = lines.iter().filter(|line| !told(line)).map(String::len).sum();
        let seconds = 1 + begun.elapsed().as_secs() as usize;
        assert!(passed <= seconds * BYTES_PER_SECOND, "{passed} bytes in {seconds} s");
        let said: Vec<_> = lines.iter().filter(told).collect();
        assert!((1..=seconds).contains(&said.len()), "{said:?} in {seconds} s");
    }

    #[test]
    fn what_is_held_back_is_told_though_the_driver_is_quiet() {
        let (sender, lines) = channel();
        let sink = LogSink::new(move |line| sender.send(line.to_owned()).unwrap());
        let (mut log, theirs) = Log::pair(sink).unwrap();
        let mut theirs = UnixStream::from(theirs);
        for number in 0..5 * LINES_PER_SECOND {
            writeln!(theirs, "line {number}").unwrap();
        }
        let told = loop {
            let line = lines.recv_timeout(Duration::from_secs(20)).expect("nothing is told");
            if line.contains("more lines in a second") {
                break line;
            }
        };
        assert!(told.starts_with('(') && told.contains(" bytes, not shown"), "{told}");
        // And the next lines pass.
        writeln!(theirs, "again").unwrap();
        assert_eq!(lines.recv_timeout(Duration::from_secs(20)).unwrap(), "again");
        log.close();
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
