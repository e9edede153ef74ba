//! `outboard ext list`, in the form of `systemextensionsctl list`.

use std::fmt::Write;
use std::process::ExitCode;

use outboard_ext::names::BUILT_IN;
use outboard_ext::{Record, State};
use serde::Serialize;

use super::{Common, Failed, put, put_json, tell};
use crate::status::ExtensionInUse;

/// A line of the list.
#[derive(Debug, Serialize)]
struct Line {
    /// targets may use it
    enabled: bool,
    /// it is the version that they get
    active: bool,
    identifier: String,
    version: String,
    name: String,
    /// in the words of the list
    state: String,
    /// what it serves now
    in_use: Vec<InUse>,
}

/// A target that it serves.
#[derive(Debug, Serialize)]
struct InUse {
    /// the server's process
    server: u32,
    #[serde(flatten)]
    extension: ExtensionInUse,
}

#[derive(Serialize)]
struct List {
    extensions: Vec<Line>,
}

pub(super) fn list(verbose: bool, common: &Common) -> Result<ExitCode, Failed> {
    let store = common.store();
    let records = store.records().map_err(|error| common.failed(&error))?;
    let used = match verbose || common.json {
        true => tell::in_use(&store).used,
        false => Vec::new(),
    };
    let lines = lines(records, used);
    Ok(match common.json {
        true => put_json(&List { extensions: lines }),
        false => put(&render(&lines, verbose)),
    })
}

fn lines(records: Vec<Record>, used: Vec<(u32, ExtensionInUse)>) -> Vec<Line> {
    let built_in = Line {
        enabled: true,
        active: true,
        identifier: BUILT_IN.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: "Outboard arrays".to_owned(),
        state: State::ActivatedEnabled.to_string(),
        in_use: Vec::new(),
    };
    let line = |record: Record| {
        let enabled = record.state == State::ActivatedEnabled;
        let Record { identifier, version, name, state, .. } = record;
        let state = state.to_string();
        Line { enabled, active: enabled, identifier, version, name, state, in_use: Vec::new() }
    };
    let mut lines: Vec<Line> =
        [built_in].into_iter().chain(records.into_iter().map(line)).collect();
    for (server, extension) in used {
        let served = |line: &&mut Line| {
            line.identifier == extension.identifier
                && line.version == extension.version
                && !line.state.starts_with("activation failed")
        };
        if let Some(line) = lines.iter_mut().find(served) {
            line.in_use.push(InUse { server, extension });
        }
    }
    lines
}

fn render(lines: &[Line], verbose: bool) -> String {
    let mut out = format!("{} extension(s)\n--- org.outboard.driver_extension\n", lines.len());
    out.push_str("enabled\tactive\tbundleID (version)\tname\t[state]\n");
    for line in lines {
        let mark = |is: bool| if is { "*" } else { "" };
        let Line { identifier, version, name, state, .. } = line;
        let (enabled, active) = (mark(line.enabled), mark(line.active));
        let _ = writeln!(out, "{enabled}\t{active}\t{identifier} ({version})\t{name}\t[{state}]");
        for used in line.in_use.iter().filter(|_| verbose) {
            let it = &used.extension;
            let pid = it.pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
            let state = format!("{:?}", it.state).to_lowercase();
            let _ = writeln!(
                out,
                "\t\tprocess {pid}, {state}, target {}, {} restart(s), server {}",
                it.target, it.restarts, used.server
            );
            for measure in it.sandbox.iter().filter(|measure| measure.outcome != "applied") {
                let _ = writeln!(out, "\t\t\tnot applied: {}: {}", measure.name, measure.outcome);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{DriverState, Measure};

    #[test]
    fn it_looks_as_people_know_it() {
        let record = |version: &str, state| Record {
            identifier: "com.example.ram".to_owned(),
            version: version.to_owned(),
            name: "RAM disk".to_owned(),
            copy: 1,
            state,
        };
        let failed = State::ActivationFailed { reason: "it hangs in initialize".to_owned() };
        let records = vec![
            record("1.0", State::TerminatingForUpgrade),
            record("2.0", State::ActivatedEnabled),
            record("2.1", failed),
        ];
        let used = ExtensionInUse {
            identifier: "com.example.ram".to_owned(),
            version: "2.0".to_owned(),
            target: "iqn.2026-01.com.example:ram".to_owned(),
            pid: Some(12),
            state: DriverState::Running,
            restarts: 3,
            sandbox: vec![
                Measure { name: "seccomp".to_owned(), outcome: "applied".to_owned() },
                Measure { name: "cgroup".to_owned(), outcome: "cgroup v1".to_owned() },
            ],
        };
        let text = render(&lines(records, vec![(11, used)]), true);
        insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
}
