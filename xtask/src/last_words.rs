//! The end of what a program writes to its standard error.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Lines that are kept.
const LINES: usize = 8;
/// Characters of a line that are shown.
const WIDTH: usize = 200;
/// How long the last of it may take after the program has ended: a child that it left behind may
/// hold the pipe for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last lines of a program, which also go where ours go.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    lines: Arc<Mutex<VecDeque<String>>>,
    ended: Option<Receiver<()>>,
}

impl LastWords {
    /// Reads until the end, on a thread of its own.
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let (end, ended) = channel();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let _ = stderr().write_all(&[&line, b"\n".as_slice()].concat());
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.len() == LINES {
                        kept.pop_front();
                    }
                    kept.push_back(line);
                }
            }
            let _ = end.send(());
        });
        Self { lines, ended: Some(ended) }
    }

    /// Them below each other, each line set in; nothing if there are none.
    pub(crate) fn indented(&self) -> String {
        if let Some(ended) = &self.ended {
            let _ = ended.recv_timeout(PATIENCE);
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |line: &String| line.chars().take(WIDTH).collect::<String>();
        lines.iter().map(|line| format!("\n      | {}", shown(line))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let text: String = (0..20).map(|n| format!("line {n}\n\n")).collect();
        let words = LastWords::of(std::io::Cursor::new(text)).indented();
        assert!(
            words.starts_with("\n      | line 12\n") && words.ends_with("| line 19"),
            "{words}"
        );
        assert_eq!(LastWords::default().indented(), "");
    }
}
