//! `outboard ext test`.

use std::path::Path;
use std::process::ExitCode;

use outboard_ext::check::{self, Check};
use outboard_ext::{Installed, Package};
use serde::Serialize;

use super::{Common, Failed, put, put_json};

#[derive(Serialize)]
struct Tested<'a> {
    identifier: &'a str,
    version: &'a str,
    passed: bool,
    checks: &'a [Check],
}

pub(super) fn test(folder: &Path, common: &Common) -> Result<ExitCode, Failed> {
    let installed = Installed::in_place(folder).map_err(|error| common.refused(&error))?;
    let mut shown = ExitCode::SUCCESS;
    let each = |check: &Check| {
        if !common.json {
            shown = put(&line(check));
        }
    };
    let checks = check::run(&installed, common.deadline().left(), each);
    let failed = checks.iter().filter(|check| !check.passed).count();
    let Package { manifest, .. } = &installed.package;
    if common.json {
        let tested = Tested {
            identifier: &manifest.identifier,
            version: &manifest.version,
            passed: failed == 0,
            checks: &checks,
        };
        shown = put_json(&tested);
    }
    match failed {
        0 => Ok(shown),
        _ => Ok(ExitCode::FAILURE),
    }
}

fn line(check: &Check) -> String {
    let Check { name, passed, detail, mend, took_ms } = check;
    let outcome = if *passed { "passed" } else { "FAILED" };
    let mut text = format!("{outcome}  {name} ({took_ms} ms): {detail}\n");
    if let Some(mend) = mend {
        text += &format!("        {mend}\n");
    }
    text
}
