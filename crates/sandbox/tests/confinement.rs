//! What a driver cannot do. Each attempt is refused with an error number, and works with the sandbox
//! off, which shows that it is the sandbox that refuses it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod rig;

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::ExitStatusExt;

use outboard_sandbox::{Mode, Spec};
use rig::{code, example, is_root, skipped, spec, start};
use rustix::fs::{MemfdFlags, SealFlags};

/// The highest error number of Linux.
const ERRNO_MAX: i32 = 133;

fn refused(arguments: &[&str], give: Option<BorrowedFd<'_>>) {
    let code = code(&spec(Mode::BestEffort, arguments), give);
    assert!((1..=ERRNO_MAX).contains(&code), "{arguments:?} was not refused: {code}");
}

fn works_without(arguments: &[&str], give: Option<BorrowedFd<'_>>) {
    assert_eq!(code(&spec(Mode::Off, arguments), give), 0, "{arguments:?} with the sandbox off");
}

/// Refused, and not because it never works.
fn only_the_sandbox_refuses(arguments: &[&str], give: Option<BorrowedFd<'_>>) {
    refused(arguments, give);
    works_without(arguments, give);
}

#[test]
fn what_drivers_do_works() {
    for mode in [Mode::Off, Mode::BestEffort] {
        let driver = start(&spec(mode, &["ordinary"]), &[]).unwrap();
        driver.hears("ordinary");
        assert_eq!(driver.ends().code(), Some(0), "{mode}");
    }
}

#[test]
fn no_further_process() {
    only_the_sandbox_refuses(&["fork"], None);
    only_the_sandbox_refuses(&["fork-bomb"], None);
    only_the_sandbox_refuses(&["unshare"], None);
}

#[test]
fn no_more_threads_than_it_may_have() {
    let few = |mode| Spec { threads: 8, ..spec(mode, &["threads", "8"]) };
    assert_ne!(code(&few(Mode::BestEffort), None), 0);
    assert_eq!(code(&few(Mode::Off), None), 0);
    assert_eq!(code(&spec(Mode::BestEffort, &["threads", "7"]), None), 0);
}

#[test]
fn no_descriptors_beside_the_limit() {
    only_the_sandbox_refuses(&["own-descriptors", "clone"], None);
    only_the_sandbox_refuses(&["own-descriptors", "close"], None);
}

#[test]
fn no_disk_becomes_longer() {
    let length_after = |mode| {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(8192).unwrap();
        let driver = start(&spec(mode, &["grow"]), &[disk.as_fd()]).unwrap();
        driver.give(disk.as_fd());
        // Without a PID namespace the signal that comes with the refusal ends it.
        let status = driver.ends();
        assert_eq!(status.success(), mode == Mode::Off, "{status}");
        disk.metadata().unwrap().len()
    };
    assert_eq!(length_after(Mode::BestEffort), 8192);
    assert_eq!(length_after(Mode::Off), 8193);
}

#[test]
fn no_more_memory_than_it_may_have() {
    let (much, most) = ((2u64 << 30).to_string(), (100u64 << 30).to_string());
    for how in ["malloc", "map-private", "map-shared", "map-stack"] {
        refused(&[how, &most], None);
        only_the_sandbox_refuses(&[how, &much], None);
    }
    assert_eq!(code(&spec(Mode::BestEffort, &["malloc", "500000000"]), None), 0);
}

#[test]
fn nothing_becomes_code() {
    only_the_sandbox_refuses(&["map-code"], None);
}

#[test]
fn no_file_but_those_of_its_view() {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        only_the_sandbox_refuses(&["open", "/etc/shadow"], None);
    }
    only_the_sandbox_refuses(&["open", "/etc/passwd"], None);
    only_the_sandbox_refuses(&["open", "/dev/null"], None);
    only_the_sandbox_refuses(&["see", "/etc"], None);
    only_the_sandbox_refuses(&["list", "/"], None);
    only_the_sandbox_refuses(&["list", "/usr/lib"], None);
    only_the_sandbox_refuses(&["open", "/proc/self/status"], None);
    for place in [folder.path().join("made").to_str().unwrap(), "/made", "/usr/lib/made"] {
        refused(&["create", place], None);
    }
    works_without(&["create", folder.path().join("made").to_str().unwrap()], None);
}

#[test]
fn a_package_is_seen_and_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let file = folder.path().join("firmware");
    std::fs::write(&file, "x").unwrap();
    let (file, made) = (file.to_str().unwrap(), folder.path().join("made"));
    refused(&["open", file], None);
    let with = |arguments: &[&str]| Spec {
        package: Some(folder.path().to_owned()),
        ..spec(Mode::BestEffort, arguments)
    };
    assert_eq!(code(&with(&["open", file]), None), 0);
    assert_ne!(code(&with(&["create", made.to_str().unwrap()]), None), 0);
    assert_ne!(code(&with(&["create", file]), None), 0);
}

#[test]
fn nobody_to_talk_to() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    only_the_sandbox_refuses(&["connect", &tcp.local_addr().unwrap().to_string()], None);
    let name = format!("outboard-sandbox-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    only_the_sandbox_refuses(&["connect-abstract", &name], None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _path = UnixListener::bind(&path).unwrap();
    only_the_sandbox_refuses(&["connect-unix", path.to_str().unwrap()], None);
    only_the_sandbox_refuses(&["socket"], None);
}

#[test]
fn no_other_process_is_touched() {
    let mine = 1u8;
    let own = std::process::id().to_string();
    let address = (&raw const mine as u64).to_string();
    only_the_sandbox_refuses(&["ptrace", &own], None);
    only_the_sandbox_refuses(&["kill", &own], None);
    only_the_sandbox_refuses(&["read-memory", &own, &address], None);
    only_the_sandbox_refuses(&["pidfd", &own], None);
}

#[test]
fn the_region_gets_no_hole_and_no_other_size() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let region = || {
        let region = rustix::fs::memfd_create(c"region", flags).unwrap();
        rustix::fs::ftruncate(&region, 8192).unwrap();
        rustix::io::write(&region, &[7; 8192]).unwrap();
        region
    };
    let loose = region();
    only_the_sandbox_refuses(&["truncate"], Some(loose.as_fd()));
    let sealed = region();
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&sealed, seals).unwrap();
    refused(&["truncate"], Some(sealed.as_fd()));
    for how in ["punch-hole", "advise-hole"] {
        refused(&[how], Some(sealed.as_fd()));
        let mut byte = [0];
        rustix::io::pread(&sealed, &mut byte, 0).unwrap();
        assert_eq!(byte, [7], "{how}");
    }
    works_without(&["punch-hole"], Some(sealed.as_fd()));
    let mut byte = [7];
    rustix::io::pread(&sealed, &mut byte, 0).unwrap();
    assert_eq!(byte, [0], "a hole is a hole");
    works_without(&["advise-hole"], Some(sealed.as_fd()));
}

#[test]
fn the_lock_of_a_disk_stays() {
    let disk = tempfile::tempfile().unwrap();
    only_the_sandbox_refuses(&["flock"], Some(disk.as_fd()));
    only_the_sandbox_refuses(&["record-lock"], Some(disk.as_fd()));
}

#[test]
fn nothing_is_executed_after_the_driver() {
    let own = example("misbehave");
    let own = own.to_str().unwrap();
    only_the_sandbox_refuses(&["execute", "/bin/sh"], None);
    only_the_sandbox_refuses(&["execute-again", own], None);
    // The number that the launcher executes from, and others. With the sandbox off nothing keeps it.
    for number in ["900", "255", "5"] {
        only_the_sandbox_refuses(&["execute-at", number, "/bin/sh"], None);
    }
    // A program that it can see and Landlock lets it execute: itself. Only the launcher's end
    // keeps this call from passing.
    let itself = Spec {
        package: example("misbehave").parent().map(Into::into),
        ..spec(Mode::BestEffort, &["execute-at", "900", own])
    };
    let code = code(&itself, None);
    assert!((1..=ERRNO_MAX).contains(&code), "it was executed again: {code}");
}

#[test]
fn no_right_is_gained() {
    refused(&["become-root"], None);
    refused(&["mount"], None);
    if is_root() {
        works_without(&["become-root"], None);
    }
    only_the_sandbox_refuses(&["raise-limit"], None);
    only_the_sandbox_refuses(&["io-uring"], None);
    only_the_sandbox_refuses(&["memfd"], None);
}

/// A driver with a ring on a disk tries an operation of `io_uring_register`: its code.
fn registers(mode: Mode, when: &str, operation: u32) -> i32 {
    let disk = tempfile::tempfile().unwrap();
    let spec = Spec { rings: 1, ..spec(mode, &["register", when, &operation.to_string()]) };
    let status = start(&spec, &[disk.as_fd()]).unwrap().ends();
    status.code().unwrap_or_else(|| panic!("operation {operation}, {when}: {status}"))
}

const REGISTER_BUFFERS: u32 = 0;
const UNREGISTER_BUFFERS: u32 = 1;
const UNREGISTER_FILES: u32 = 3;
const ENABLE_RINGS: u32 = 12;
/// A ring by its number in a table of the task's own.
const USE_REGISTERED_RING: u32 = 1 << 31;
/// Above all operations that there are.
const OPERATIONS: u32 = 64;
const EPERM: i32 = 1;
const EACCES: i32 = 13;

#[test]
fn a_ring_takes_buffers_and_is_enabled_once() {
    for when in ["disabled", "enabled"] {
        assert_eq!(registers(Mode::BestEffort, when, REGISTER_BUFFERS), 0, "{when}");
    }
    assert_eq!(registers(Mode::BestEffort, "disabled", ENABLE_RINGS), 0);
    assert_eq!(registers(Mode::BestEffort, "enabled", ENABLE_RINGS), EACCES, "by the ring");
}

#[test]
fn nothing_else_is_registered_with_a_ring_before_it_is_enabled_or_after() {
    let allowed = [REGISTER_BUFFERS, UNREGISTER_BUFFERS, ENABLE_RINGS];
    let others = (0..OPERATIONS).filter(|operation| !allowed.contains(operation));
    for operation in others.chain(allowed.map(|allowed| allowed | USE_REGISTERED_RING)) {
        for when in ["disabled", "enabled"] {
            let code = registers(Mode::BestEffort, when, operation);
            assert_eq!(code, EPERM, "operation {operation:#x}, {when}: not by the filter");
        }
    }
    // Before it is enabled, the filter is all that keeps its files; then the ring does too.
    assert_eq!(registers(Mode::Off, "disabled", UNREGISTER_FILES), 0);
    assert_eq!(registers(Mode::Off, "enabled", UNREGISTER_FILES), EACCES);
}

#[test]
fn an_io_thread_registers_nothing_more() {
    for operation in [REGISTER_BUFFERS, UNREGISTER_BUFFERS, ENABLE_RINGS] {
        let code = registers(Mode::BestEffort, "io-thread", operation);
        assert_eq!(code, EPERM, "operation {operation}");
    }
    assert_eq!(registers(Mode::Off, "io-thread", REGISTER_BUFFERS), 0);
}

#[test]
fn it_cannot_outlive_its_host_or_stop_the_log() {
    only_the_sandbox_refuses(&["outlive-host"], None);
    only_the_sandbox_refuses(&["non-blocking-log"], None);
}

#[test]
fn an_io_thread_gives_up_more() {
    let driver = start(&spec(Mode::BestEffort, &["io-thread"]), &[]).unwrap();
    if driver.process.measures().iter().any(|m| m.name == "system call filter" && !m.is_applied()) {
        return skipped("no filter here");
    }
    driver.hears("restricted");
    assert_eq!(driver.ends().code(), Some(0));
    assert_ne!(code(&spec(Mode::Off, &["io-thread"]), None), 0, "without a filter: told so");
}

#[test]
fn abort_ends_it() {
    let signal = |mode| start(&spec(mode, &["abort"]), &[]).unwrap().ends().signal();
    assert_eq!(signal(Mode::Off), Some(6));
    // As number 1 of its namespace it cannot send itself a signal: the C library's trap ends it.
    assert!(matches!(signal(Mode::BestEffort), Some(6 | 11)));
}
