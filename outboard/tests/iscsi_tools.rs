//! libiscsi's own tools against `outboard serve`: discovery, identity, capacity, write protection,
//! CHAP, header digests.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;

use iscsi::programs::{Program, program};
use iscsi::server::Setup;
use iscsi::{MIB, TARGET};
use scenario::command::Ran;

const SECRET: &str = "a secret of 22 letters";
const WRONG: &str = "a secret of 22 lettres";
const OUR_SECRET: &str = "what the target knows";

fn tool(name: &str) -> Option<Program> {
    program(name, "libiscsi-bin")
}

/// What is said of a login that is refused.
#[track_caller]
fn assert_refused(ran: &Ran) {
    assert_ne!(ran.code, Some(0), "{ran:#?}");
    assert!(format!("{}{}", ran.stdout, ran.stderr).to_lowercase().contains("login"), "{ran:#?}");
}

#[test]
fn discovery_lists_targets_and_their_luns() {
    let Some(ls) = tool("iscsi-ls") else { return };
    let server = Setup::memory(64 * MIB).start();
    let text = ls.ok(["--show-luns", &server.portal_url()]);
    assert!(text.contains(TARGET) && text.contains(&server.portal().to_string()), "{text}");
    let lun = text.lines().find(|line| line.trim().starts_with(&format!("Lun:{}", server.lun())));
    assert!(lun.is_some_and(|line| line.contains("DIRECT_ACCESS")), "{text}");
    let text = ls.ok(["--url", &server.portal_url()]);
    assert!(text.contains(&server.url), "{text}");
}

#[test]
fn identity_and_capacity_are_those_of_the_disk() {
    let (Some(inq), Some(capacity)) = (tool("iscsi-inq"), tool("iscsi-readcapacity16")) else {
        return;
    };
    let server = Setup::memory(64 * MIB).start();
    let text = inq.ok([&server.url]);
    assert!(text.contains("DIRECT_ACCESS"), "{text}");
    for page in [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2] {
        inq.ok(["--evpd=1", &format!("--pagecode={page}"), &server.url]);
    }
    let text = capacity.ok([&server.url]);
    for line in [
        format!("RETURNED LOGICAL BLOCK ADDRESS:{}", 64 * MIB / 512 - 1),
        "LOGICAL BLOCK LENGTH IN BYTES:512".to_owned(),
        format!("Total size:{}", 64 * MIB),
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in {text}");
    }
}

#[test]
fn blocks_may_have_4096_bytes() {
    let Some(capacity) = tool("iscsi-readcapacity16") else { return };
    let server = Setup::memory(64 * MIB).with(&["--block-size", "4096"]).start();
    let text = capacity.ok([&server.url]);
    assert!(text.contains("LOGICAL BLOCK LENGTH IN BYTES:4096"), "{text}");
    assert!(text.contains(&format!("Total size:{}", 64 * MIB)), "{text}");
}

#[test]
fn software_write_protection_is_set_and_taken_back() {
    let Some(swp) = tool("iscsi-swp") else { return };
    let server = Setup::memory(64 * MIB).start();
    let said = |text: &str| text.to_lowercase();
    assert!(said(&swp.ok([&server.url])).contains("swp:0"));
    swp.ok(["--swp=on", &server.url]);
    assert!(said(&swp.ok([&server.url])).contains("swp:1"));
    swp.ok(["--swp=off", &server.url]);
    assert!(said(&swp.ok([&server.url])).contains("swp:0"));
}

fn guarded() -> Setup {
    Setup::memory(64 * MIB).with(&["--chap-user", "ann"]).with_file(
        "--chap-secret-file",
        "secret",
        SECRET,
    )
}

#[test]
fn chap_lets_in_who_knows_the_secret() {
    let Some(inq) = tool("iscsi-inq") else { return };
    let server = guarded().start();
    let password = |secret: &str| {
        let variables = [("LIBISCSI_CHAP_USERNAME", "ann"), ("LIBISCSI_CHAP_PASSWORD", secret)];
        inq.run_with(&variables, [&server.url])
    };
    password(SECRET).succeeded();
    assert_refused(&password(WRONG));
    assert_refused(&inq.run([&server.url]));
    let other = [("LIBISCSI_CHAP_USERNAME", "bob"), ("LIBISCSI_CHAP_PASSWORD", SECRET)];
    assert_refused(&inq.run_with(&other, [&server.url]));
    // Neither the secret nor the wrong one is written anywhere.
    let log = server.log();
    assert!(!log.contains(SECRET) && !log.contains(WRONG), "{log}");
    password(SECRET).succeeded();
}

#[test]
fn mutual_chap_proves_the_target_too() {
    let Some(inq) = tool("iscsi-inq") else { return };
    let server = guarded()
        .with(&["--mutual-user", "target"])
        .with_file("--mutual-secret-file", "mutual", OUR_SECRET)
        .start();
    let mutual = |user: &str, secret: &str| {
        let variables = [
            ("LIBISCSI_CHAP_USERNAME", "ann"),
            ("LIBISCSI_CHAP_PASSWORD", SECRET),
            ("LIBISCSI_CHAP_TARGET_USERNAME", user),
            ("LIBISCSI_CHAP_TARGET_PASSWORD", secret),
        ];
        inq.run_with(&variables, [&server.url])
    };
    mutual("target", OUR_SECRET).succeeded();
    // The initiator is the one that refuses.
    assert_ne!(mutual("target", WRONG).code, Some(0));
    assert_ne!(mutual("another", OUR_SECRET).code, Some(0));
}

#[test]
fn the_secret_is_not_asked_for_where_none_is_set() {
    let Some(inq) = tool("iscsi-inq") else { return };
    let server = Setup::memory(64 * MIB).start();
    let variables = [("LIBISCSI_CHAP_USERNAME", "ann"), ("LIBISCSI_CHAP_PASSWORD", SECRET)];
    inq.run_with(&variables, [&server.url]).succeeded();
}

#[test]
fn only_named_initiators_come_in() {
    let Some(inq) = tool("iscsi-inq") else { return };
    let server = Setup::memory(64 * MIB).with(&["--initiator", "iqn.2026-11.test:a"]).start();
    inq.run(["-i", "iqn.2026-11.test:a", &server.url]).succeeded();
    // Names are compared without case.
    inq.run(["-i", "iqn.2026-11.TEST:A", &server.url]).succeeded();
    assert_refused(&inq.run(["-i", "iqn.2026-11.test:b", &server.url]));
}

#[test]
fn header_digests_are_used_when_asked_for() {
    let Some(inq) = tool("iscsi-inq") else { return };
    let server = Setup::memory(64 * MIB).start();
    for digest in ["none", "crc32c"] {
        inq.ok([format!("{}?header_digest={digest}", server.url)]);
    }
}
