//! How a driver starts and ends: what is refused before it runs, what it is given, what is left.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod rig;

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outboard_sandbox::{Launcher, Mode, SandboxError, Spec};
use rig::{code, ended, example, is_root, launcher, skipped, spec, start, start_with, until};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

/// One at a time: what this process holds is counted.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn what_is_no_program_is_refused_with_the_reason() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    };
    let own = std::fs::read(example("misbehave")).unwrap();
    let cases = [
        (folder.path().join("missing"), "no such file"),
        (folder.path().to_owned(), "a folder"),
        ("/dev/null".into(), "no regular file"),
        (
            file(
                "script",
                b"#!/bin/sh\nexit 0\n# and some more, to be long enough for a header\n",
                0o755,
            ),
            "a script",
        ),
        (file("text", &[b'x'; 100], 0o755), "no 64-bit ELF"),
        (file("short", b"x", 0o755), "too short"),
        (file("plain", &own, 0o644), "chmod +x"),
        (file("cut", &own[..100], 0o755), "cut off"),
    ];
    for (program, reason) in cases {
        for mode in [Mode::Off, Mode::BestEffort] {
            let refused = start(&Spec { mode, ..Spec::new(&program) }, &[]).err().unwrap();
            let text = refused.to_string();
            assert!(matches!(refused, SandboxError::Refused { .. }), "{text}");
            assert!(text.contains(reason) && text.contains(program.to_str().unwrap()), "{text}");
        }
    }
}

#[test]
fn a_refusal_of_the_execution_itself_is_told() {
    let _alone = alone();
    if !is_root() {
        return skipped("only root's drivers run as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("private");
    std::fs::copy(example("misbehave"), &program).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    let arguments = vec!["ordinary".to_owned()];
    let spec = |mode| Spec { mode, arguments: arguments.clone(), ..Spec::new(&program) };
    assert_eq!(code(&spec(Mode::Off), None), 0);
    let refused = start(&spec(Mode::BestEffort), &[]).err().unwrap().to_string();
    assert!(refused.contains("execution") && refused.contains("chmod o+rx"), "{refused}");
    // The folder above may be private: the launcher opens the program for it.
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(code(&spec(Mode::BestEffort), None), 0);
}

#[test]
fn a_launcher_that_is_none_is_named() {
    let _alone = alone();
    let with = |program: &str, arguments: &[&str], timeout| {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        let launcher = Launcher { program: program.into(), arguments };
        start_with(&launcher, &spec(Mode::Off, &["ordinary"]), &[], timeout).err().unwrap()
    };
    let second = Duration::from_secs(1);
    assert!(matches!(with("/no/such", &[], second), SandboxError::Launcher { .. }));
    let ended = with("/bin/false", &[], second);
    assert!(matches!(ended, SandboxError::LauncherEnded { .. }));
    assert!(ended.to_string().contains("/bin/false") && ended.to_string().contains('1'), "{ended}");
    let late = with("/bin/sleep", &["100"], Duration::from_millis(100));
    assert!(matches!(late, SandboxError::TimedOut { .. }), "{late}");
    assert_eq!(children(), Vec::<String>::new());
}

#[test]
fn a_driver_gets_what_it_was_given_and_nothing_else() {
    let _alone = alone();
    // Open in the host, and inherited by whoever is started without care.
    let leak = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    for mode in [Mode::Off, Mode::BestEffort] {
        let descriptors = Spec { descriptors: 64, ..spec(mode, &["descriptors"]) };
        assert_eq!(code(&descriptors, None), 0, "{mode}");
        let environment = vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())];
        let environment = Spec { environment, ..spec(mode, &["environment", "A=1 B="]) };
        assert_eq!(code(&environment, None), 0, "{mode}");
    }
}

#[test]
fn rings_are_made_and_named_and_disks_stay_behind() {
    let _alone = alone();
    let disk = tempfile::tempfile().unwrap();
    for mode in [Mode::Off, Mode::BestEffort] {
        let spec = Spec { rings: 3, ring_entries: 32, ..spec(mode, &["rings", "3", "2"]) };
        let driver = start(&spec, &[disk.as_fd(), disk.as_fd()]).unwrap();
        assert_eq!(driver.ends().code(), Some(0), "{mode}");
    }
    let spec = Spec { rings: 1, ..spec(Mode::BestEffort, &["sleep"]) };
    let driver = start(&spec, &[disk.as_fd()]).unwrap();
    // Nobody but this test holds the disk: with its copy closed, the pid's table has no entry for it.
    let table = format!("/proc/{}/fd", driver.process.pid());
    let deleted = std::fs::read_dir(table).unwrap().filter(|entry| {
        let target = std::fs::read_link(entry.as_ref().unwrap().path()).unwrap();
        target.to_string_lossy().contains("(deleted)")
    });
    assert_eq!(deleted.count(), 0);
}

#[test]
fn a_required_measure_that_is_refused_is_named() {
    let _alone = alone();
    // No user but root may lock all of memory.
    let Some(output) = as_another_user("require", &u64::MAX.to_string(), &["ordinary"]) else {
        return skipped("only root can become another user");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(text.contains("needs locked memory, which is refused: the limit is"), "{text}");
    let output = as_another_user("best-effort", &u64::MAX.to_string(), &["ordinary"]).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("locked memory: refused"), "{text}");
}

#[test]
fn an_ordinary_user_has_the_sandbox_too() {
    let _alone = alone();
    let Some(output) = as_another_user("best-effort", "", &["ordinary"]) else {
        return skipped("only root can become another user");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for measure in ["system call filter", "no new privileges", "capabilities", "limits"] {
        assert!(text.contains(&format!("{measure}: applied")), "{text}");
    }
    for measure in ["user", "mount", "PID", "network"] {
        let applied = text.contains(&format!("{measure} namespace: applied"));
        let refused = text.contains(&format!("{measure} namespace: refused"));
        assert!(applied != refused, "{measure}: {text}");
    }
    if text.contains("mount namespace: applied") {
        let output = as_another_user("best-effort", "", &["see", "/etc"]).unwrap();
        assert_eq!(output.status.code(), Some(2), "ENOENT");
    }
}

#[test]
fn a_driver_ends_with_its_host() {
    let _alone = alone();
    for mode in ["off", "best-effort"] {
        let mut host = Command::new(example("host"))
            .args([mode, "", "sleep"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(host.stdout.take().unwrap()).lines();
        let pid = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("pid ").map(|pid| pid.parse::<i32>().unwrap()));
        let pidfd = pidfd_open(Pid::from_raw(pid.unwrap()).unwrap(), PidfdFlags::empty()).unwrap();
        assert!(!ended(pidfd.as_fd(), Duration::ZERO));
        host.kill().unwrap();
        host.wait().unwrap();
        assert!(ended(pidfd.as_fd(), rig::TIMEOUT), "{mode}: the driver lives on");
    }
}

#[test]
fn a_driver_outlives_the_thread_that_started_it() {
    let _alone = alone();
    let spec = spec(Mode::BestEffort, &["hello"]);
    let driver = std::thread::scope(|s| s.spawn(|| start(&spec, &[]).unwrap()).join().unwrap());
    driver.hears("hello");
    assert!(!ended(driver.process.pidfd(), Duration::from_secs(1)));
}

#[test]
fn it_goes_before_its_host_when_there_is_no_memory() {
    let score = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let driver = start(&spec(Mode::BestEffort, &["sleep"]), &[]).unwrap();
    assert_eq!(score(&driver.process.pid().to_string()).trim(), "1000");
    assert_ne!(score("self").trim(), "1000");
    let driver = start(&spec(Mode::Off, &["sleep"]), &[]).unwrap();
    assert_eq!(score(&driver.process.pid().to_string()), score("self"));
}

#[test]
fn it_is_killed_and_stopped_from_outside() {
    let _alone = alone();
    let driver = start(&spec(Mode::BestEffort, &["hello"]), &[]).unwrap();
    driver.hears("hello");
    let pid = Pid::from_raw(driver.process.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    until("stopped", || state().contains(") T "));
    assert!(!driver.process.has_ended());
    driver.process.kill().unwrap();
    assert_eq!(driver.ends().signal(), Some(9));
}

#[test]
fn the_status_is_the_same_every_time_and_kill_after_it_is_nothing() {
    let _alone = alone();
    let mut driver = start(&spec(Mode::BestEffort, &["open", "/nowhere"]), &[]).unwrap();
    let status = driver.process.wait().unwrap();
    assert_eq!(status.code(), Some(2));
    assert_eq!(driver.process.wait().unwrap(), status);
    assert!(driver.process.has_ended());
    driver.process.kill().unwrap();
}

#[test]
fn nothing_is_left_of_fifty_starts() {
    let _alone = alone();
    drop(start(&spec(Mode::BestEffort, &["hello"]), &[]).unwrap());
    let held = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = held();
    for i in 0..50 {
        let mode = if i % 2 == 0 { Mode::BestEffort } else { Mode::Off };
        drop(start(&spec(mode, &["hello"]), &[]).unwrap());
        if i % 10 == 0 {
            assert!(start(&Spec::new("/no/such"), &[]).is_err());
        }
    }
    assert_eq!(held(), before);
    assert_eq!(children(), Vec::<String>::new());
}

#[test]
fn the_launcher_alone_says_what_it_is() {
    let output = Command::new(launcher().program).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("started by a host"));
}

/// Processes of this one, zombies included.
fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Runs the host of the examples as a user without rights; `None` if that cannot be had.
fn as_another_user(mode: &str, memlock: &str, arguments: &[&str]) -> Option<Output> {
    const USER: u32 = 54_321;
    let host = example("host");
    let reachable = |path: &Path| {
        path.ancestors().all(|at| at.metadata().is_ok_and(|m| m.permissions().mode() & 0o001 != 0))
    };
    if !is_root() || !reachable(&host) {
        return None;
    }
    let mut command = Command::new(host);
    command.args([mode, memlock]).args(arguments).uid(USER).gid(USER);
    Some(command.output().unwrap())
}

#[test]
fn a_host_that_shares_nothing_with_others_starts_drivers_all_the_same() {
    let _alone = alone();
    let program = example("launcher").display().to_string();
    let arguments = ["-c", "umask 077; exec \"$0\"", &program].map(str::to_owned).to_vec();
    let launcher = Launcher { program: "/bin/sh".into(), arguments };
    let folder = tempfile::tempdir().unwrap();
    let open = |mode| PermissionsExt::from_mode(mode);
    std::fs::set_permissions(folder.path(), open(0o755)).unwrap();
    let file = folder.path().join("firmware");
    std::fs::write(&file, "x").unwrap();
    std::fs::set_permissions(&file, open(0o644)).unwrap();
    let spec = Spec {
        package: Some(folder.path().to_owned()),
        ..spec(Mode::BestEffort, &["open", file.to_str().unwrap()])
    };
    let driver = start_with(&launcher, &spec, &[], rig::TIMEOUT).unwrap();
    assert_eq!(driver.ends().code(), Some(0));
}
