//! A driver that attaches and then turns on its host, beside a sound one on another target of the same
//! server: the host goes on, holds no more than before, and what is the sound one's stays its own,
//! whole and fast.
//!
//! In short here; `cargo xtask kills --of hostile` runs the same for longer.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod hostility;
mod iscsi;
mod killing;
mod scenario;
#[path = "../../crates/hba/examples/scribbler.rs"]
#[allow(dead_code, reason = "an example has a main of its own")]
mod scribbler;
mod served;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hostility::driver::HOSTILE;
use hostility::load::{Healthy, Hostile, healthy, hostile};
use hostility::usage::Usage;
use iscsi::session::wishes;
use killing::killer::status;
use outboard_hba::CONTROL_FD_VARIABLE;
use outboard_iscsi::initiator::Wishes;
use outboard_serve::status::{DriverState, Status};
use scenario::leftovers::within;
use scribbler::Attack;
use serde_json::json;
use served::{Served, TARGET, folder};

/// What the sound LUN must keep of its speed beside a busy process.
const FLOOR: f64 = 0.9;
/// What the server may have more afterwards, KiB: allocators keep what they have been given.
const GROWTH_MAX_KIB: usize = 8192;

/// Not a test: this program, started by the server as a driver.
#[test]
fn be_the_driver() {
    if std::env::var_os(CONTROL_FD_VARIABLE).is_some() {
        let code = hostility::driver::main();
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
}

/// A server of two targets whose second driver is hostile.
fn serve(attack: &str) -> Served {
    let folder = folder(&[]);
    let (own, seed) = (std::env::current_exe().unwrap(), killing::seed());
    let own = own.display();
    let config = format!(
        r#"
        iscsi.portals = ["127.0.0.1:0"]
        api.socket = "api.sock"
        state.directory = "state"
        array = [
            {{ name = "sound", members = ["mem:64Mi"] }},
            {{ name = "hostile", members = ["mem:4Mi"], serial = "{HOSTILE}" }},
        ]
        target = [
            {{ name = "{TARGET}", luns = ["sound"] }},
            {{ name = "{TARGET}.hostile", luns = ["hostile"] }},
        ]
        [driver]
        program = "{own}"
        arguments = [
            "be_the_driver", "--exact", "--nocapture", "--test-threads=1", "{attack}", "{seed}",
        ]
        slots = 32
        pool = "16Mi"
        max_transfer = "1Mi"
        "#
    );
    Served::start(folder, &config)
}

/// Both loads for a time.
fn loads(server: &Served, time: Duration) -> (Healthy, Hostile) {
    let stop = AtomicBool::new(false);
    let mut sound = server.session(wishes("sound"), 0);
    std::thread::scope(|scope| {
        let (portal, stop) = (server.portal(), &stop);
        let wishes = Wishes::normal("iqn.2026-11.test:hostile", &format!("{TARGET}.hostile"));
        let sound = scope.spawn(move || healthy(&mut sound, stop));
        let hostile = scope.spawn(move || hostile(portal, &wishes, stop));
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        (sound.join().unwrap(), hostile.join().unwrap())
    })
}

fn ask(server: &Served) -> Status {
    status(&server.file("api.sock"))
}

/// Nothing that the sound driver's tasks need is held, and nothing of the hostile one's for ever.
fn is_at_rest(status: &Status) -> bool {
    status.drivers.iter().all(|driver| driver.slots.used == 0 && driver.pool.used == 0)
        && status.targets.iter().flat_map(|t| &t.luns).all(|lun| lun.counters.outstanding == 0)
        && status.sessions.is_empty()
}

/// An attack for a time; what it came to.
fn bear(attack: &str, time: Duration) -> (Healthy, Hostile, Status) {
    let mut server = serve(attack);
    // What the first use of everything takes is no leak; the API keeps a thread for a while.
    loads(&server, Duration::from_millis(500));
    ask(&server);
    let before = Usage::of(server.pid());
    let (sound, hostile) = loads(&server, time);
    assert!(sound.commands > 100, "{sound:?}\n{}", server.log());
    let mut last = Status::default();
    let at_rest = within(Duration::from_secs(30), || {
        last = ask(&server);
        is_at_rest(&last)
    });
    assert!(at_rest, "{attack}: {last:#?}");
    let sound_driver = &last.drivers[0];
    assert_eq!((sound_driver.restarts, sound_driver.violations), (0, 0), "{attack}: {last:#?}");
    assert_eq!(sound_driver.state, DriverState::Running);
    let back = |usage: &Usage| {
        usage.descriptors <= before.descriptors
            && usage.threads <= before.threads
            && usage.kib <= before.kib + GROWTH_MAX_KIB
    };
    within(Duration::from_secs(10), || back(&Usage::of(server.pid())));
    let after = Usage::of(server.pid());
    assert!(back(&after), "{attack}: before {before:?}, after {after:?}");
    println!(
        "{attack:<16} {sound:?}, {hostile:?}, {} restarts, {} violations; {before:?} {after:?}",
        last.drivers[1].restarts, last.drivers[1].violations
    );
    server.stop();
    (sound, hostile, last)
}

#[test]
fn scribbles_over_the_whole_region() {
    let (.., status) = bear("scribbles", killing::seconds(10));
    assert!(status.drivers[1].restarts > 0, "it did no harm: {status:#?}");
}

#[test]
fn scribbles_over_its_buffers() {
    let (.., status) = bear("scribbles-data", killing::seconds(10) / 3);
    assert_eq!(status.drivers[1].restarts, 0, "its data are its own: {status:#?}");
}

#[test]
fn scribbles_over_rings_and_words() {
    let (.., status) = bear("scribbles-rings", killing::seconds(10) / 3);
    assert!(status.drivers[1].restarts > 0, "it did no harm: {status:#?}");
}

#[test]
fn answers_tasks_twice() {
    let (.., status) = bear("answers-twice", killing::seconds(10) / 3);
    assert!(status.drivers[1].violations > 0, "it did no harm: {status:#?}");
}

#[test]
fn completes_what_it_does_not_have() {
    let (.., status) = bear("wrong-indices", killing::seconds(10) / 3);
    assert!(status.drivers[1].violations > 0, "it did no harm: {status:#?}");
}

#[test]
fn floods_its_log() {
    bear("floods-log", killing::seconds(10) / 3);
}

#[test]
fn floods_its_control_socket() {
    bear("floods-control", killing::seconds(10) / 3);
}

#[test]
fn ends_at_random() {
    let (.., status) = bear("ends-at-random", killing::seconds(10) / 3);
    assert!(status.drivers[1].restarts > 0, "it never ended: {status:#?}");
}

/// Commands a second of the sound LUN beside an attack.
fn speed(attack: &str, time: Duration) -> f64 {
    let mut server = serve(attack);
    loads(&server, time / 4);
    let (sound, _) = loads(&server, time);
    server.stop();
    sound.commands as f64 / time.as_secs_f64()
}

/// Threads that take what nobody wants of each processor: one that is idle takes far longer to wake than
/// a command does, so that a neighbour who burns makes the sound LUN faster, not slower. With them it
/// is the same beside all.
fn kept_awake<R>(measure: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                // Of this thread alone.
                rustix::process::setpriority_process(None, 19).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        measured
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// In turn beside a driver that only keeps a processor busy, and beside each attack: medians. The
/// floor holds on a quiet machine alone, and so only where `cargo xtask kills` asks for it.
#[test]
fn the_sound_lun_keeps_its_speed() {
    let rounds = std::env::var("OUTBOARD_KILLS_ROUNDS").map_or(1, |text| text.parse().unwrap());
    let time = Duration::from_millis(if rounds == 1 { 400 } else { 1000 });
    let attacks = Attack::ALL.map(|(name, _)| name);
    let mut figures = attacks.map(|_| Vec::new());
    kept_awake(|| {
        for _ in 0..rounds {
            for (figures, attack) in figures.iter_mut().zip(attacks) {
                figures.push(speed(attack, time));
            }
        }
    });
    let medians = figures.map(median);
    let rows: Vec<_> = attacks
        .iter()
        .zip(medians)
        .map(|(attack, speed)| {
            let ratio = speed / medians[0];
            println!("{attack:<16}{speed:>9.0} commands/s{ratio:>7.2}");
            json!({ "attack": attack, "commands_per_s": speed, "ratio": ratio })
        })
        .collect();
    killing::report::write(&json!({ "name": "sound LUN", "rounds": rounds, "rows": rows }));
    // One short round beside other tests tells a stall from service, not a slow neighbour from a fast one.
    let floor = if rounds == 1 { 0.01 } else { FLOOR };
    for (attack, speed) in attacks.iter().zip(medians) {
        assert!(speed >= floor * medians[0], "{attack}: {speed:.0} of {:.0}", medians[0]);
    }
}
