//! Extensions that are replaced under load: every byte is checked, initiators see a pause and no
//! error; a version that does not serve leaves the one before in its place.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod packaged;
mod scenario;
mod served;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iscsi::session::{BLOCK, wishes};
use outboard_scsi::command::build::read_capacity_16;
use packaged::{IDENTIFIER, package};
use scenario::command::{Ran, outboard};
use served::load::Outcome;
use served::{Served, TARGET, folder, load};

const MIB: u64 = 1 << 20;
/// The capacity has changed.
const CAPACITY: (u8, u8) = (0x2a, 0x09);
/// The longest pause of a replacement; the aim is 100 ms, and other tests may run beside.
const LONGEST: Duration = Duration::from_secs(2);

/// Not a test: this program, started as a driver.
#[test]
fn be_the_driver() {
    packaged::be_the_driver();
}

fn config(targets: &str) -> String {
    format!(
        "iscsi.portals = [\"127.0.0.1:0\"]\napi.socket = \"api.sock\"\n\
         state.directory = \"state\"\n{targets}"
    )
}

fn target(name: &str, disk: &str) -> String {
    format!("[[target]]\nname = \"{name}\"\nextension = \"{IDENTIFIER}\"\ndisks = [\"{disk}\"]\n")
}

fn ext(state: &std::path::Path, arguments: &[&str]) -> Ran {
    let state = ["--state-dir", state.to_str().unwrap()];
    outboard(["ext"].iter().chain(arguments).chain(&state))
}

/// A server whose target is served by version 1.0.
fn served(targets: &str) -> Served {
    let folder = folder(&[]);
    let version = package(folder.path(), "1.0", "none");
    let state = folder.path().join("state");
    ext(&state, &["activate", version.to_str().unwrap()]).succeeded();
    Served::start(folder, &config(targets))
}

impl Served {
    fn ext(&self, command: &[&str], version: &str, fault: &str) -> Ran {
        let folder = package(&self.file(""), version, fault);
        let (before, after) = command.split_at(1);
        let arguments = [before, &[folder.to_str().unwrap()], after].concat();
        ext(&self.file("state"), &arguments)
    }

    fn version(&self) -> String {
        let answer = self.ask("GET", "/v1/extensions");
        let json = answer.split_once("\r\n\r\n").unwrap().1;
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json[0]["version"].as_str().unwrap().to_owned()
    }
}

/// Loads of four sessions while something happens; what they came to.
fn under_load(served: &Served, disturb: impl FnOnce()) -> Vec<Outcome> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4)
            .map(|number| {
                let session = served.session(wishes(&format!("load{number}")), 0);
                let stop = &stop;
                scope.spawn(move || load::run(session, number * 1024, stop))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        disturb();
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    })
}

/// What the server says its pauses were, in ms.
fn pauses(log: &str) -> Vec<u64> {
    let lines = log.lines().filter(|line| line.contains("driver replaced"));
    lines
        .filter_map(|line| line.split("total_ms=").nth(1)?.split(' ').next()?.parse().ok())
        .collect()
}

#[test]
fn versions_follow_each_other_under_load() {
    let mut served = served(&target(TARGET, "mem:64Mi"));
    let outcomes = under_load(&served, || {
        let begun = Instant::now();
        let ran = served.ext(&["replace"], "2.0", "none");
        ran.succeeded();
        assert!(ran.stdout.contains(&format!("target {TARGET}: 1.0 -> 2.0")), "{ran:?}");
        println!("1.0 -> 2.0, trial and all: {:?}", begun.elapsed());
        assert_eq!(served.version(), "2.0");

        // Its trial fails: no server hears of it.
        let drivers = served.drivers();
        served.ext(&["replace"], "3.0", "fails").refused(1, &["firmware 1.2 is too old"]);
        assert_eq!((served.version().as_str(), served.drivers()), ("2.0", drivers));

        // Its trial goes well, and the real disk does not: what ran comes back.
        let ran = served.ext(&["replace"], "3.0", "fails-on-large-disks");
        ran.refused(1, &["too large for this version", "3.0 is not activated; 2.0 goes on"]);
        assert_eq!(served.version(), "2.0");
        let list = ext(&served.file("state"), &["list"]).stdout;
        assert!(list.contains("(3.0)\tRAM disk\t[activation failed: "), "{list}");

        served.ext(&["replace", "--same-version"], "2.0", "none").succeeded();
        assert_eq!(served.version(), "2.0");
    });
    for outcome in &outcomes {
        println!("{outcome:?}");
        assert!(outcome.ended.is_none() && outcome.attentions.is_empty(), "{outcome:?}");
        assert!(outcome.commands > 100 && outcome.pause < LONGEST, "{outcome:?}");
    }
    let pauses = pauses(&served.log());
    println!("pauses as the server saw them, ms: {pauses:?}");
    assert_eq!(pauses.len(), 3, "one of them to go back: {}", served.log());
    let list = ext(&served.file("state"), &["list", "--verbose"]).stdout;
    println!("{list}");
    assert!(list.contains(&format!("running, target {TARGET}")), "{list}");
    assert!(list.contains("*\t*\tcom.example.ram-disk (2.0)"), "{list}");

    // What is active is served after a restart, too; the files of servers that ended are gone.
    served.stop();
    assert_eq!(std::fs::read_dir(served.file("state/extensions/servers")).unwrap().count(), 0);
    served.start_again();
    assert_eq!(served.version(), "2.0");
    served.stop();
}

#[test]
fn every_target_of_it_follows_or_none() {
    let second = "iqn.2026-11.io.outboard:second";
    let mut served =
        served(&format!("{}{}", target(TARGET, "mem:16Mi"), target(second, "mem:32Mi")));
    assert_eq!(served.drivers().len(), 2, "a process each");
    // The first target's disk is small enough, the second's is not.
    let ran = served.ext(&["replace"], "2.0", "fails-on-large-disks");
    ran.refused(1, &["too large", "1.0 goes on"]);
    let answer = served.ask("GET", "/v1/extensions");
    assert_eq!(answer.matches("\"1.0\"").count(), 2, "{answer}");
    let mut session = served.session(wishes("after"), 0);
    session.write(3, &[7; BLOCK]);

    let ran = served.ext(&["replace"], "2.1", "none");
    ran.succeeded();
    for name in [TARGET, second] {
        assert!(ran.stdout.contains(&format!("target {name}: 1.0 -> 2.1")), "{ran:?}");
    }
    assert_eq!(session.read(3, BLOCK), [7; BLOCK]);
    served.stop();
}

#[test]
fn another_size_is_told_by_unit_attention() {
    let mut served = served(&target(TARGET, "mem:16Mi"));
    let mut session = served.session(wishes("size"), 0);
    let blocks = |session: &mut iscsi::session::Session| {
        let data = session.good(&read_capacity_16(32), &[], 32);
        u64::from_be_bytes(data[..8].try_into().unwrap()) + 1
    };
    assert_eq!(blocks(&mut session), 16 * MIB / 512);
    served.ext(&["replace"], "2.0", "smaller").succeeded();
    let done = session.run(&read_capacity_16(32), &[], 32);
    assert_eq!((done.sense[12], done.sense[13]), CAPACITY, "{done:?}");
    assert_eq!(blocks(&mut session), 8 * MIB / 512);

    // Too few tasks for the region that its predecessor leaves.
    let ran = served.ext(&["replace"], "3.0", "few-tasks");
    ran.refused(1, &["16 tasks", "2.0 goes on"]);
    assert_eq!(blocks(&mut session), 8 * MIB / 512);
    served.stop();
}

#[test]
fn what_is_served_is_not_deactivated() {
    let mut served = served(&target(TARGET, "mem:16Mi"));
    let state = served.file("state");
    ext(&state, &["deactivate", IDENTIFIER]).refused(2, &[TARGET, "stop the server"]);
    served.stop();
    ext(&state, &["deactivate", IDENTIFIER]).succeeded();
}

#[test]
fn options_and_other_arrays_come_by_reload() {
    let options = "[target.options]\nhalf = true\n";
    let mut served = served(&target(TARGET, "mem:16Mi"));
    let mut session = served.session(wishes("options"), 0);
    let before = session.good(&read_capacity_16(32), &[], 32);
    served.reloaded(&config(&format!("{}{options}", target(TARGET, "mem:16Mi"))));
    session.settle();
    assert_ne!(session.good(&read_capacity_16(32), &[], 32), before);
    let array = "[[array]]\nname = \"a\"\nmembers = [\"mem:8Mi\"]\n";
    let arrays = format!("{array}[[target]]\nname = \"{TARGET}\"\nluns = [\"a\"]\n");
    served.reloaded(&config(&arrays));
    session.settle();
    session.write(0, &[1; BLOCK]);
    served.reloaded(&config(&target(TARGET, "mem:16Mi")));
    session.settle();
    assert_eq!(session.good(&read_capacity_16(32), &[], 32), before);
    served.stop();
}

#[test]
fn mistakes_are_named_with_line_and_mend() {
    let folder = folder(&[("a.img", MIB)]);
    let state = folder.path().join("state");
    let version = package(folder.path(), "1.0", "none");
    ext(&state, &["activate", version.to_str().unwrap()]).succeeded();
    let check = |targets: &str, words: &[&str]| {
        let file = folder.path().join("serve.toml");
        std::fs::write(&file, config(targets)).unwrap();
        outboard(["config", "check", file.to_str().unwrap()]).refused(2, words);
    };
    let good = target(TARGET, "mem:16Mi");
    check(&good.replace("ram-disk", "ram-dsik"), &[":6:", "did you mean \"com.example.ram-disk\""]);
    check(&good.replace("mem:16Mi", "sim:hdd"), &[":7:", "nothing that an extension's driver"]);
    let none = good.replace("\"mem:16Mi\"", "");
    check(&none, &[":7:", "takes 1 disks, and there are 0"]);
    check(&format!("{good}luns = [\"a\"]\n"), &["an extension reports its LUNs"]);
    check(&format!("[[target]]\nname = \"{TARGET}\"\ndisks = []\n"), &["add extension = "]);
    let twice = format!("{}{}", target(TARGET, "a.img"), target("iqn.2026-11.test:b", "a.img"));
    check(&twice, &["a.img is a disk of target", "one user"]);
    ext(&state, &["deactivate", IDENTIFIER]).succeeded();
    let broken = package(folder.path(), "2.0", "fails");
    ext(&state, &["activate", broken.to_str().unwrap()]).refused(1, &["firmware"]);
    check(&good, &["[activation failed: ", "outboard ext activate"]);
}

#[test]
fn flags_serve_a_package_as_it_is() {
    let folder = folder(&[]);
    let version = package(folder.path(), "1.0", "none");
    let setup = iscsi::server::Setup::extension(&version, "mem:16Mi");
    let mut server = setup.start();
    let mut session = iscsi::session::Session::open(&server, wishes("flags"));
    session.write(5, &[3; BLOCK]);
    assert_eq!(session.read(5, BLOCK), [3; BLOCK]);
    assert!(server.stop().success(), "{}", server.log());
}
