//! The Linux kernel's own initiator, in User-Mode Linux, against `outboard serve`: a file system is
//! made, filled, unmounted, checked and read back, with and without digests and CHAP.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;

use std::net::SocketAddr;

use iscsi::guest::{Guest, Network, SERVER};
use iscsi::programs::program;
use iscsi::server::{Server, Setup};
use iscsi::{MIB, TARGET};
use scenario::command::Ran;

const PORT: u16 = 3260;
/// No blanks: it goes through a kernel's command line.
const SECRET: &str = "twenty-two-letters-say";

/// A guest and its network, if the machine has what they need.
fn guest(folder: &tempfile::TempDir) -> Option<(Guest, Network)> {
    program("iscsistart", "open-iscsi")?;
    program("mkfs.ext4", "e2fsprogs")?;
    Some((Guest::new(folder.path())?, Network::new()?))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn on(network: &Network, setup: Setup) -> Server {
    let portal = SocketAddr::new(SERVER.parse().unwrap(), PORT);
    setup.inside(network.enter(), portal).start()
}

fn run(guest: &Guest, network: &Network, phase: &str, more: &[(&str, &str)]) -> Ran {
    let port = PORT.to_string();
    let mut variables = vec![
        ("TARGET", TARGET),
        ("PORTAL", SERVER),
        ("PORT", port.as_str()),
        ("GROUP", "1"),
        ("PHASE", phase),
    ];
    variables.extend(more);
    guest.run(network, "crc32c,iscsi_tcp,sd_mod", "initiator.sh", &variables)
}

#[track_caller]
fn assert_good(ran: &Ran, steps: &[&str]) {
    assert!(ran.stdout.contains("GUEST ok"), "{}\n{}", ran.stdout, ran.stderr);
    for step in steps {
        assert!(ran.stdout.contains(&format!("STEP {step}")), "{step}: {}", ran.stdout);
    }
}

#[test]
fn a_file_system_lives_on_a_lun_with_digests_and_chap() {
    let folder = folder();
    let Some((guest, network)) = guest(&folder) else { return };
    let setup = Setup::file(128 * MIB).with(&["--chap-user", "ann"]).with_file(
        "--chap-secret-file",
        "secret",
        SECRET,
    );
    let mut server = on(&network, setup);
    let access = [("ACCESS", "chap"), ("USER", "ann"), ("SECRET", SECRET)];
    let ran = run(&guest, &network, "make", &[&access[..], &[("DIGESTS", "CRC32C")]].concat());
    let steps =
        ["a wrong secret is refused", "file system made", "checked", "read back", "trimmed"];
    assert_good(&ran, &steps);
    assert!(ran.stdout.contains("NEGOTIATED 1 1"), "{}", ran.stdout);

    // The guest is gone without a word, its session is still there; another boot, without
    // digests, over a server that was killed between.
    server.kill();
    server.start_again();
    let ran = run(&guest, &network, "read", &[&access[..], &[("DIGESTS", "None")]].concat());
    assert_good(&ran, &["checked", "read back"]);
    assert!(ran.stdout.contains("NEGOTIATED 0 0"), "{}", ran.stdout);
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn a_file_system_lives_on_blocks_of_4096_bytes() {
    let folder = folder();
    let Some((guest, network)) = guest(&folder) else { return };
    let mut server = on(&network, Setup::memory(128 * MIB).with(&["--block-size", "4096"]));
    let ran = run(&guest, &network, "make", &[("DIGESTS", "None")]);
    assert_good(&ran, &["file system made", "checked", "read back", "trimmed"]);
    assert!(server.stop().success(), "{}", server.log());
}
