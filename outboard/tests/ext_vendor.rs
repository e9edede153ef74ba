//! The mistake that panicked a Mac, while a server serves: it is refused with method, queue, rule and
//! mend, and nobody's I/O is disturbed. And `docs/vendors-mistake.md` says what really comes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod packaged;
mod scenario;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use iscsi::MIB;
use iscsi::server::Setup;
use iscsi::session::{BLOCK, Session, wishes};
use packaged::package;
use scenario::command::outboard;

/// Not a test: this program, started as a driver.
#[test]
fn be_the_driver() {
    packaged::be_the_driver();
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn a_server_goes_on_serving() {
    let mut server = Setup::memory(16 * MIB).start();
    let state = server.folder().join("state").display().to_string();
    let mistake = package(server.folder(), "1.0", "binds-task-method");
    let stop = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut session = Session::open(&server, wishes("load"));
            let mut rounds = 0u64;
            while !stop.load(Ordering::Relaxed) {
                rounds += 1;
                let data = rounds.to_le_bytes().repeat(BLOCK / 8);
                session.write(rounds % 1000, &data);
                assert_eq!(session.read(rounds % 1000, BLOCK), data);
            }
            rounds
        });
        for _ in 0..5 {
            let ran =
                outboard(["ext", "activate", mistake.to_str().unwrap(), "--state-dir", &state]);
            let mend = "Remove the binding; for parallel tasks take them in bundles";
            ran.refused(
                1,
                &["UserProcessParallelTask", "MyParallelIOQueue", "completion action", mend],
            );
            assert!(ran.stderr.contains("what runs goes on"), "{ran:?}");
        }
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(rounds > 10, "{rounds} rounds");
    assert_eq!(server.drivers().len(), 1, "no process of it is left");
    let list = outboard(["ext", "list", "--state-dir", &state]).stdout;
    assert!(list.contains("[activation failed: method process_parallel_task"), "{list}");
    assert!(server.stop().success(), "{}", server.log());
}

/// Said in `extension.toml` or not: what the program says counts.
#[test]
fn a_mistake_that_only_the_program_makes_is_found_too() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mistake = package(folder.path(), "1.0", "binds-task-method");
    let file = mistake.join("extension.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("[[queues]]").unwrap();
    let after = after.split_once("[resources]").unwrap().1;
    fs::write(&file, format!("{before}[resources]{after}")).unwrap();
    let state = folder.path().join("state").display().to_string();
    let ran = outboard(["ext", "activate", mistake.to_str().unwrap(), "--state-dir", &state]);
    ran.refused(1, &["UserProcessParallelTask", "MyParallelIOQueue", "Remove the binding"]);
}

#[test]
fn the_page_shows_what_comes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // The fixture's declaration, with a program that is there.
    let mistake = folder.path().join("vendor-mistake");
    fs::create_dir_all(mistake.join("target/release")).unwrap();
    let declaration = read("examples/packages/vendor-mistake/extension.toml");
    fs::write(mistake.join("extension.toml"), declaration).unwrap();
    fs::copy("/bin/true", mistake.join("target/release/vendor-mistake")).unwrap();
    let state = folder.path().join("state").display().to_string();
    let ran = outboard(["ext", "activate", mistake.to_str().unwrap(), "--state-dir", &state]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let page = read("docs/vendors-mistake.md");
    assert!(page.contains(ran.stderr.trim_end()), "the page has other words than:\n{}", ran.stderr);
    let list = outboard(["ext", "list", "--state-dir", &state]).stdout;
    let line = list.lines().find(|line| line.contains("com.vendor.raid")).unwrap();
    let shown = line.replace('\t', "  ");
    assert!(page.contains(shown.trim()), "the page has another list than:\n{shown}");
}
