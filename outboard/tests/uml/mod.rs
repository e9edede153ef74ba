//! A real Linux kernel for a test: User-Mode Linux on this machine's own files, in seconds.
//!
//! [`run`] boots Debian's `linux.uml` with this machine's `/` as its root (hostfs), loads modules, runs a
//! shell script and halts. Two things differ from a plain start, both because UML 6.1 knows the
//! registers of older processors only: on a machine with AMX it cannot restore a process through
//! `NT_X86_XSTATE`, whose size it has fixed, and every process dies. A system call filter refuses it that
//! call, so that it falls back to the older one, which leaves out the AVX registers; glibc is told
//! not to use them.
#![allow(dead_code, reason = "each scenario uses a part of it")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::scenario::skipped;

/// Where Debian's package has its modules, in a folder for each version.
const MODULES: &str = "/usr/lib/uml/modules";
/// No script takes longer.
const LIMIT_S: &str = "100";
/// The last line of a script that ended well.
const DONE: &str = "UML-DONE";
/// glibc must keep to registers that UML saves.
const TUNABLES: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-AVX512VL,-AVX512BW,\
                        -AVX_Fast_Unaligned_Load";

/// Runs `script` (`sh -ex`, in `folder`, as root of its own kernel, /dev, /proc, /sys and /run its own)
/// after the modules have been loaded, which are named in the order of their needs. `arguments` go to
/// the kernel, as `vec0:transport=..`. What the script said is handed back; a script that fails ends the
/// test.
///
/// `None`, after a visible line, if a program that is needed is not there.
pub(crate) fn run(
    folder: &Path,
    modules: &[&str],
    programs: &[&str],
    arguments: &[&str],
    script: &str,
) -> Option<String> {
    for program in ["linux.uml", "busybox", "timeout"].iter().chain(programs) {
        if !installed(program) {
            skipped(&format!("User-Mode Linux: {program} is not installed (packages: {PACKAGES})"));
            return None;
        }
    }
    let mut load = String::new();
    for name in modules {
        let Some(path) = find(Path::new(MODULES), &format!("{name}.ko")) else {
            skipped(&format!("User-Mode Linux: no module {name} in {MODULES}"));
            return None;
        };
        load += &format!("busybox insmod {}\n", path.display());
    }
    let (init, said) = (folder.join("init"), folder.join("said"));
    let place = folder.display();
    fs::write(folder.join("script"), format!("set -ex\ncd {place}\n{load}{script}\necho {DONE}\n"))
        .unwrap();
    let text = format!(
        "#!/bin/sh\n\
         mount -t proc proc /proc\nmount -t sysfs sysfs /sys\n\
         mount -t devtmpfs dev /dev 2>/dev/null\nmount -t tmpfs run /run\n\
         sh {place}/script >{place}/said 2>&1 </dev/null\nsync\nbusybox halt -f\n"
    );
    fs::write(&init, text).unwrap();
    fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = boot(&init, arguments).unwrap();
    let said = fs::read_to_string(said).unwrap_or_default();
    assert!(
        said.lines().next_back() == Some(DONE),
        "the script in User-Mode Linux failed:\n{said}\nThe kernel said:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some(said)
}

/// Debian packages that the scenarios with a kernel need.
pub(crate) const PACKAGES: &str = "user-mode-linux busybox-static mdadm";

/// Whether a program of that name is there.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}

fn boot(init: &Path, arguments: &[&str]) -> io::Result<Output> {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", LIMIT_S, "linux.uml", "mem=256M"])
        .args(["rootfstype=hostfs", "rootflags=/", "root=none", "rw", "quiet"])
        .arg(format!("init={}", init.display()))
        .args(["con=null", "con0=null,fd:1", "ssl=null", TUNABLES])
        .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin")
        .args(arguments)
        .stdin(Stdio::null());
    // The filter is the thread's, and its child's.
    let start = move || {
        seccompiler::apply_filter(&filter()).map_err(io::Error::other)?;
        command.output()
    };
    std::thread::spawn(start).join().unwrap()
}

/// Answers EIO to `ptrace(PTRACE_GETREGSET or PTRACE_SETREGSET, .., NT_X86_XSTATE)`.
fn filter() -> BpfProgram {
    const PTRACE: i64 = 101;
    const GETREGSET: u64 = 0x4204;
    const SETREGSET: u64 = 0x4205;
    const XSTATE: u64 = 0x202;
    const EIO: u32 = 5;
    let is = |argument, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value).unwrap()
    };
    let rule = |request| SeccompRule::new(vec![is(0, request), is(2, XSTATE)]).unwrap();
    let rules = [(PTRACE, vec![rule(GETREGSET), rule(SETREGSET)])].into_iter().collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(EIO), arch)
        .unwrap()
        .try_into()
        .unwrap()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut folders = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            folders.push(path);
        } else if path.file_name().is_some_and(|file| file == name) {
            return Some(path);
        }
    }
    folders.iter().find_map(|folder| find(folder, name))
}
