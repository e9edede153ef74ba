//! `outboard serve` and `outboard status` as commands: what is refused and how, what is shown, and
//! that limits hold.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;
mod served;

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use iscsi::session::{BLOCK, connect, wishes};
use outboard_iscsi::initiator::Client;
use scenario::command::{OUTBOARD, Ran, outboard};
use scenario::leftovers::within;
use served::{Served, folder, text};

const MIB: u64 = 1 << 20;

fn one_file() -> Served {
    Served::start(folder(&[("a.img", 16 * MIB)]), &text(&[("a", "a.img")], &["a"]))
}

/// `outboard serve` that must not come up.
fn serve(arguments: &[&str]) -> Ran {
    outboard(["serve", "--api", "none"].iter().chain(arguments))
}

#[test]
fn what_is_taken_or_missing_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = serve(&["--array", "disk:mem:1Mi", "--iscsi", &address]);
    ran.refused(1, &[&address, "another server has it", "--iscsi"]);

    let ran = serve(&["--array", "disk:/no/such.img", "--iscsi", "127.0.0.1:0"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("/no/such.img") && ran.stdout.is_empty(), "{ran:?}");

    let mut served = one_file();
    let file = served.file("a.img").display().to_string();
    let ran = serve(&["--array", &format!("disk:{file}"), "--iscsi", "127.0.0.1:0"]);
    ran.refused(1, &[&file, "another Outboard"]);
    served.session(wishes("undisturbed"), 0).write(0, &[1; BLOCK]);
    served.stop();
}

#[test]
fn the_examples_of_the_help_run() {
    let help = outboard(["serve", "--help"]);
    help.succeeded();
    let folder = folder(&[("a.img", 8 * MIB), ("b.img", 8 * MIB)]);
    let mut ran = 0;
    for line in help.stdout.lines().map(str::trim) {
        let Some(arguments) = line.strip_prefix("outboard serve --array 0:") else { continue };
        let array = format!("0:{}", arguments.split_whitespace().next().unwrap());
        let mut child = Command::new(OUTBOARD)
            .args(["serve", "--array", &array, "--api", "none", "--iscsi", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = [0; 15];
        child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready: iscsi://");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
        ran += 1;
    }
    assert_eq!(ran, 1, "{}", help.stdout);
}

#[test]
fn status_and_metrics_count_what_was_done() {
    let mut served = one_file();
    let mut session = served.session(wishes("counted"), 0);
    for lba in 0..10 {
        session.write(lba, &[1; BLOCK]);
        session.read(lba, BLOCK);
    }
    let socket = served.file("api.sock").display().to_string();
    let table = outboard(["status", "--socket", &socket]);
    table.succeeded();
    for words in ["ready", "running", served::TARGET, "iqn.2026-11.test:counted", "127.0.0.1"] {
        assert!(table.stdout.contains(words), "{words:?}: {}", table.stdout);
    }
    let json = outboard(["status", "--socket", &socket, "--json"]).json();
    let counters = &json["targets"][0]["luns"][0]["counters"];
    assert_eq!((&counters["reads"], &counters["writes"]), (&10.into(), &10.into()), "{counters}");
    assert_eq!(counters["written_bytes"], 10 * BLOCK);
    assert_eq!(json["sessions"].as_array().unwrap().len(), 1);
    let metrics = served.ask("GET", "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    let of_writes = |line: &&str| line.starts_with("outboard_") && line.ends_with(" 10");
    assert!(metrics.lines().filter(of_writes).count() >= 2, "{metrics}");
    assert!(served.ask("GET", "/healthz").starts_with("HTTP/1.1 200"));
    drop(session);
    let gone = within(Duration::from_secs(2), || {
        let json = outboard(["status", "--socket", &socket, "--json"]).json();
        json["sessions"].as_array().unwrap().is_empty()
    });
    assert!(gone, "a session whose connection was closed is still there");
    served.stop();
}

#[test]
fn connections_have_a_bound_and_those_that_are_in_stay() {
    let text = format!("iscsi.limits.connections = 8\n{}", text(&[("a", "a.img")], &["a"]));
    let mut served = Served::start(folder(&[("a.img", 16 * MIB)]), &text);
    let mut first: Vec<_> =
        (0..8).map(|number| served.session(wishes(&format!("in{number}")), 0)).collect();
    for number in 0..20 {
        let refused =
            Client::login(connect(served.portal()).unwrap(), wishes(&format!("{number}")));
        assert!(refused.is_err());
    }
    for session in &mut first {
        session.read(0, BLOCK);
    }
    // One goes, one may come; silent connections do not keep it out.
    drop(first.pop());
    std::thread::sleep(Duration::from_millis(50));
    let silent: Vec<_> = (0..20).map(|_| connect(served.portal()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(50));
    first.push(served.session(wishes("last"), 0));
    assert!(served.ask("GET", "/v1/status").contains("\"over_limit\":"));
    drop((silent, first));
    served.stop();
}

#[test]
fn a_flood_of_small_requests_starves_nobody() {
    let mut served = one_file();
    let mut session = served.session(wishes("honest"), 0);
    session.write(0, &[4; BLOCK]);
    let portal = served.portal();
    let end = Instant::now() + Duration::from_secs(2);
    let longest = std::thread::scope(|scope| {
        for number in 0..2 {
            scope.spawn(move || {
                let wishes = wishes(&format!("flood{number}"));
                let mut client = Client::login(connect(portal).unwrap(), wishes).unwrap();
                // INQUIRY, which is answered at once: always as many as the window takes.
                let cdb = [0x12, 0, 0, 0, 96, 0];
                while Instant::now() < end {
                    while client.outstanding() < 32 {
                        let command = outboard_iscsi::initiator::Command::read([0; 8], &cdb, 96);
                        client.submit(&command).unwrap();
                    }
                    client.complete_any().unwrap();
                }
            });
        }
        let mut longest = Duration::ZERO;
        let mut reads = 0;
        while Instant::now() < end {
            let begun = Instant::now();
            assert_eq!(session.read(0, BLOCK), [4; BLOCK]);
            longest = longest.max(begun.elapsed());
            reads += 1;
        }
        println!("{reads} reads, the longest {longest:?}");
        longest
    });
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    served.stop();
}
