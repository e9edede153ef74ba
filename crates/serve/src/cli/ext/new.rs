//! `outboard ext new`.

use std::path::Path;
use std::process::ExitCode;

use outboard_ext::new::{self, NewError};
use serde::Serialize;

use super::{Common, Failed, put, put_json};

#[derive(Serialize)]
struct Written<'a> {
    folder: &'a Path,
    files: &'a [std::path::PathBuf],
}

pub(super) fn new(
    name: &str,
    folder: Option<&Path>,
    sdk: &Path,
    common: &Common,
) -> Result<ExitCode, Failed> {
    let folder = folder.unwrap_or_else(|| Path::new("")).join(name);
    let files = new::write(&folder, name, sdk).map_err(|error| match error {
        NewError::Write { .. } => common.failed(&error),
        error => common.refused(&error),
    })?;
    if common.json {
        return Ok(put_json(&Written { folder: &folder, files: &files }));
    }
    let shown = folder.display();
    Ok(put(&format!(
        "{shown} is a driver that works: README.md says how to test, build, activate and serve it\n\
         next: cd {shown} && cargo build --release && outboard ext activate .\n"
    )))
}
