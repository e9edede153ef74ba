//! A hang is found within about two seconds; a slow disk is none.

use outboard_hba::ManagementFunction;

use super::Bench;
use crate::channel::Pulse;

const SECOND: u64 = 1_000_000_000;
const ROUND: u64 = SECOND / 10;

impl Bench {
    /// Rounds of a tenth of a second, each after `pulse` has beaten; when it was found unfit, ns.
    fn beats(&mut self, rounds: u64, beat: impl Fn(u64, &mut Pulse)) -> Option<u64> {
        let begun = self.now;
        for round in 0..rounds {
            let mut pulse = self.driver.pulse.unwrap_or_default();
            beat(round, &mut pulse);
            self.driver.pulse = Some(pulse);
            self.turn_after(ROUND);
            if self.stack.unfit().is_some() {
                return Some(self.now.since(begun).as_nanos() as u64);
            }
        }
        None
    }
}

#[test]
fn a_thread_that_stands_still_with_tasks_hangs() {
    let mut bench = Bench::new();
    bench.read(1);
    let found = bench.beats(100, |_, _| {}).unwrap();
    assert!((2 * SECOND..=22 * ROUND).contains(&found), "{found}");
    let unfit = bench.stack.unfit().unwrap();
    for words in ["stood still for 2.0 s", "1 tasks", "1 submissions are not taken"] {
        assert!(unfit.contains(words), "{unfit}");
    }
    bench.restart();
    bench.turn();
    assert_eq!(bench.pushed(), [1, 1]);
    assert_eq!(bench.stack.unfit(), None);
    assert!(bench.beats(19, |_, _| {}).is_none(), "the successor has its own time");
}

#[test]
fn without_tasks_nothing_needs_to_move() {
    let mut bench = Bench::new();
    assert_eq!(bench.beats(100, |_, _| {}), None);
    bench.read(1);
    assert_eq!(bench.beats(19, |_, _| {}), None);
    bench.driver.good(&[1]);
    bench.turn();
    assert_eq!(bench.beats(100, |_, _| {}), None);
}

#[test]
fn a_slow_disk_is_no_hang() {
    let mut bench = Bench::new();
    bench.read(1);
    let in_kernel = |_: u64, pulse: &mut Pulse| pulse.in_kernel = 1;
    assert_eq!(bench.beats(49, in_kernel), None, "a thread that waits in the kernel");
    let beats = |round, pulse: &mut Pulse| {
        pulse.in_kernel = 0;
        pulse.progress += u32::from(round % 5 == 0);
    };
    assert_eq!(bench.beats(50, beats), None, "one that looks for what does not come");
}

#[test]
fn a_host_that_did_not_run_has_seen_no_hang() {
    let mut bench = Bench::new();
    bench.driver.pulse = Some(Pulse::default());
    bench.read(1);
    bench.turn_after(ROUND);
    for _ in 0..5 {
        bench.turn_after(SECOND);
        assert_eq!(bench.stack.unfit(), None);
    }
}

#[test]
fn a_task_that_may_work_long_has_more_time() {
    let mut bench = Bench::new();
    let cdb = outboard_scsi::command::build::synchronize_cache_10(0, 0);
    bench.send(0, 1, cdb, outboard_scsi::TaskAttribute::Simple);
    let found = bench.beats(200, |_, _| {}).unwrap();
    assert!((10 * SECOND..=11 * SECOND).contains(&found), "{found}");
}

#[test]
fn a_thread_that_stands_still_is_not_asked_to_abort() {
    let mut bench = Bench::new();
    bench.read(1);
    let found = bench.beats(120, |_, pulse| pulse.in_kernel = 3).unwrap();
    assert!((10 * SECOND..=11 * SECOND).contains(&found), "{found}");
    assert!(!bench.stack.has_requests());
    assert!(bench.stack.unfit().unwrap().contains("has stood still for"));
}

#[test]
fn one_that_moves_is_asked() {
    let mut bench = Bench::new();
    bench.read(1);
    assert_eq!(bench.beats(120, |_, pulse| pulse.progress += 1), None);
    let requests = bench.stack.requests(&bench.driver);
    assert!(matches!(requests[0].function, ManagementFunction::AbortTask { .. }));
}
