//! Where a result goes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::BenchError;
use crate::report;
use crate::results::Outcome;
use crate::table::{self, Ink};

/// Where a result goes: a table on standard output, and what is asked for.
#[derive(Args, Clone, Debug, Default)]
pub struct OutputArgs {
    /// Write the result as JSON; with - to standard output, and nothing else there
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write a report with charts: one HTML file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

impl OutputArgs {
    /// Refuses before a minute is spent what could not be written after it.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        if self.report.as_deref() == Some(Path::new("-")) {
            return Err(BenchError::refused("--report -: a report is a file; name one"));
        }
        for path in self.json.iter().filter(|path| !is_stdout(path)).chain(&self.report) {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let shown = path.display();
            if path.is_dir() {
                let message = format!("{shown}: it is a folder, and a result is a file; name one");
                return Err(BenchError::refused(message));
            }
            if !folder.is_dir() {
                let message = format!(
                    "{shown}: there is no folder {}; create it, or name another file",
                    folder.display()
                );
                return Err(BenchError::refused(message));
            }
        }
        Ok(())
    }

    /// Files first, then standard output. A reader that went away is no error.
    pub(super) fn write(
        &self,
        outcome: &Outcome,
        ink: Ink,
        stdout: &mut impl Write,
    ) -> Result<(), BenchError> {
        let json = match self.json {
            Some(_) => outcome.to_json().map_err(BenchError::failed)?,
            None => String::new(),
        };
        let mut table = String::new();
        // writing to a string cannot fail
        let _ = table::write(&mut table, outcome, ink);
        if let Some(path) = &self.report {
            write_file(path, &report::html(outcome))?;
        }
        self.put(table, json, stdout)
    }

    /// The table, or the JSON in its place, to standard output; the JSON to its file.
    pub(super) fn put(
        &self,
        table: String,
        json: String,
        stdout: &mut impl Write,
    ) -> Result<(), BenchError> {
        let mut text = table;
        match &self.json {
            Some(path) if is_stdout(path) => text = json,
            Some(path) => write_file(path, &json)?,
            None => {}
        }
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(BenchError::Stdout(error))
            }
            _ => Ok(()),
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn write_file(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(|source| BenchError::Output { path: path.to_owned(), source })
}
