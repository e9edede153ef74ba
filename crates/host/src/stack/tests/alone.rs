//! Tasks that may be the cause of a driver's deaths: alone at the third attempt, then named.

use outboard_scsi::Sense;
use outboard_scsi::TaskAttribute::Simple;
use outboard_scsi::command::build;

use super::super::NamedTask;
use super::{BLOCK, Bench, cookies, sense};

impl Bench {
    /// Two deaths with reads 1 and 2 in flight, at the second also 3.
    fn with_two_suspects() -> Self {
        let mut bench = Self::new();
        bench.read(1);
        bench.read(2);
        bench.turn();
        bench.restart();
        bench.read(3);
        bench.turn();
        assert_eq!(bench.pushed(), [1, 2, 1, 2, 3]);
        bench.restart();
        bench
    }
}

#[test]
fn a_task_at_two_deaths_in_a_row_has_the_driver_for_itself() {
    let mut bench = Bench::with_two_suspects();
    bench.read(4);
    bench.turn();
    assert_eq!(bench.pushed(), [1]);
    bench.turn();
    assert_eq!(bench.pushed(), [0; 0], "nothing beside it");
    bench.driver.good(&[1]);
    assert_eq!(cookies(&bench.turn()), [1]);
    assert_eq!(bench.pushed(), [2]);
    bench.driver.good(&[2]);
    bench.turn();
    assert_eq!(bench.pushed(), [3, 4], "those were there at one death at most");
    bench.driver.good(&[3, 4]);
    assert_eq!(bench.turn().len(), 2);
    bench.assert_conserved();
}

#[test]
fn one_that_kills_alone_is_named_and_the_others_go_on() {
    let mut bench = Bench::with_two_suspects();
    bench.turn();
    assert_eq!(bench.stack.poison(), []);
    bench.restart();
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1]);
    assert!(sense(&answers[0]).is(&Sense::INTERNAL_TARGET_FAILURE));
    let named = NamedTask {
        lun: 3,
        initiator: Some("a".to_owned()),
        tag: 1,
        cdb: build::read_10(0, 1).bytes()[..10].to_vec(),
        bytes: BLOCK,
        deaths: 3,
    };
    assert_eq!((bench.stack.poison(), bench.stack.counters().poisoned), (vec![named], 1));
    assert_eq!(bench.stack.poison(), [], "told once");
    for (tag, next) in [(2, 3), (3, 0)] {
        bench.turn();
        let pushed = bench.pushed();
        assert!(pushed.ends_with(&[tag]), "{pushed:?}");
        bench.driver.good(&[tag]);
        bench.turn();
        assert!(next == 0 || bench.driver.oldest() == Some(next));
        bench.driver.pushed.clear();
        bench.driver.pushed.extend((next != 0).then_some(next));
    }
    bench.assert_conserved();
}

#[test]
fn what_was_handed_over_before_a_suspect_is_waited_for() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    bench.restart();
    bench.turn();
    // Received after the suspect, but not at the next death: it is no suspect.
    bench.restart();
    bench.pushed();
    bench.turn();
    assert_eq!(bench.pushed(), [1]);
    bench.driver.good(&[1]);
    bench.turn();
    bench.read(2);
    bench.read(3);
    bench.turn();
    assert_eq!(bench.pushed(), [2, 3], "all go together again");
}

#[test]
fn exclusive_tasks_and_suspects_together_all_end() {
    let mut bench = Bench::new();
    let pair = [[1; BLOCK as usize], [2; BLOCK as usize]].concat();
    bench.send_list(0, 1, build::compare_and_write(0, 1), &pair);
    bench.write(2, 0);
    bench.write(3, 8);
    bench.turn();
    bench.restart();
    bench.turn();
    bench.restart();
    let mut ended = Vec::new();
    for _ in 0..6 {
        ended.extend(cookies(&bench.turn()));
        if let Some(tag) = bench.driver.oldest() {
            bench.driver.good(&[tag]);
        }
    }
    assert_eq!(ended, [1, 3, 2]);
    bench.assert_conserved();
}

#[test]
fn a_suspect_that_is_aborted_leaves_the_way_to_the_others() {
    let mut bench = Bench::with_two_suspects();
    bench.pushed();
    let nexus = bench.nexuses[0];
    let function = super::super::Function::AbortTask { nexus, lun: 3, tag: 1 };
    bench.stack.manage(bench.now, function, None);
    assert!(bench.turn()[0].aborted);
    assert_eq!(bench.pushed(), [2]);
    bench.send(1, 9, build::read_10(0, 1), Simple);
    bench.driver.good(&[2]);
    bench.turn();
    assert_eq!(bench.pushed(), [3, 9]);
}
