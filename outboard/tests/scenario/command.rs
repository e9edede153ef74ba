//! The `outboard` command, run to its end.

use std::process::{Command, Output};
use std::time::Duration;

pub(crate) const OUTBOARD: &str = env!("CARGO_BIN_EXE_outboard");
/// No scenario's command takes longer.
const LIMIT: Duration = Duration::from_secs(50);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `outboard` with these arguments.
pub(crate) fn outboard<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let arguments: Vec<_> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
    let output = assert_cmd::Command::new(OUTBOARD).args(arguments).timeout(LIMIT).output();
    output.unwrap().into()
}

/// Runs any command.
pub(crate) fn run(command: &mut Command) -> Ran {
    command.output().unwrap().into()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// It ended well; its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        self.succeeded();
        serde_json::from_str(&self.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{self:#?}");
    }

    /// It was refused with `code` and a message that has all of `words`, on standard error alone.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "nothing on standard output");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said: {self:#?}");
        }
        for word in ["panicked", "RUST_BACKTRACE", "internal error", "Os {"] {
            assert!(!self.stderr.contains(word), "{word:?} is said: {self:#?}");
        }
    }
}
