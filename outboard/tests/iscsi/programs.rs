//! Foreign programs, each in its Debian package.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use crate::scenario::command::Ran;
use crate::scenario::skipped;

/// No client takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that is installed.
#[derive(Clone, Debug)]
pub(crate) struct Program(PathBuf);

/// Finds a program; if it is missing, says so and what to install.
pub(crate) fn program(name: &str, package: &str) -> Option<Program> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skipped(&format!("{name}: apt-get install {package}"));
    }
    found.map(Program)
}

/// A program of QEMU that speaks iSCSI.
pub(crate) fn qemu(name: &str) -> Option<Program> {
    let program = program(name, "qemu-utils")?;
    // Without its module it knows no such protocol.
    let ran = program.run(["info", "iscsi://127.0.0.1:1/none/0"]);
    let missing = ["Unknown protocol", "no iscsi"].iter().any(|word| ran.stderr.contains(word));
    if name == "qemu-img" && missing {
        skipped("qemu-img with iSCSI: apt-get install qemu-block-extra (in qemu-utils' version)");
        return None;
    }
    Some(program)
}

impl Program {
    /// Runs it to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        self.run_with(&[], arguments)
    }

    /// Runs it with some variables in its environment.
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        &self,
        variables: &[(&str, &str)],
        arguments: impl IntoIterator<Item = S>,
    ) -> Ran {
        let mut command = assert_cmd::Command::new(&self.0);
        command.args(arguments).envs(variables.iter().copied()).timeout(LIMIT);
        command.output().unwrap().into()
    }

    /// Runs it to its end, which must be a good one; what it said.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let ran = self.run(arguments);
        ran.succeeded();
        ran.stdout
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}
