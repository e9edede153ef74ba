//! Task attributes, bundles, slots.

use outboard_scsi::TaskAttribute::{Aca, HeadOfQueue, Ordered, Simple};
use outboard_scsi::command::build;
use outboard_scsi::{Sense, Status};

use super::{Accepted, BLOCK, Bench, cookies, sense};

#[test]
fn a_round_is_a_bundle_and_answers_come_in_the_drivers_order() {
    let mut bench = Bench::new();
    for cookie in 1..=3 {
        bench.read(cookie);
    }
    assert!(bench.turn().is_empty());
    assert_eq!((bench.pushed(), bench.driver.bundles), (vec![1, 2, 3], 1));
    bench.driver.good(&[3, 1]);
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [3, 1]);
    assert!(answers.iter().all(|a| a.status == Status::Good && a.transferred == BLOCK));
    bench.driver.good(&[2]);
    assert_eq!(cookies(&bench.turn()), [2]);
    bench.assert_conserved();
}

#[test]
fn ordered_drains_and_head_of_queue_overtakes() {
    let mut bench = Bench::new();
    let read = build::read_10(0, 1);
    bench.send(0, 1, read, Simple);
    bench.send(0, 2, read, Ordered);
    bench.send(1, 3, read, Simple);
    bench.send(1, 4, read, HeadOfQueue);
    bench.turn();
    assert_eq!(bench.pushed(), [1, 4]);
    bench.driver.good(&[1]);
    bench.turn();
    assert!(bench.pushed().is_empty(), "HEAD OF QUEUE still runs");
    bench.driver.good(&[4]);
    bench.turn();
    assert_eq!(bench.pushed(), [2]);
    bench.driver.good(&[2]);
    bench.turn();
    assert_eq!(bench.pushed(), [3]);
    bench.driver.good(&[3]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn an_aca_task_is_refused_since_there_is_no_aca() {
    let mut bench = Bench::new();
    bench.send(0, 1, build::read_10(0, 1), Aca);
    assert!(sense(&bench.turn()[0]).is(&Sense::INVALID_MESSAGE_ERROR));
    bench.assert_conserved();
}

#[test]
fn without_a_slot_or_a_buffer_a_command_is_kept_by_its_front_end() {
    let mut bench = Bench::new();
    let large = build::read_10(0, 100);
    assert!(matches!(bench.submit(0, 1, large, 100 * BLOCK, Simple), Accepted::Slot { .. }));
    let full = bench.submit(0, 2, large, 100 * BLOCK, Simple);
    assert!(matches!(full, Accepted::Full), "two of them do not fit the pool");
    let Accepted::Slot { slot, .. } = bench.submit(0, 3, build::read_10(0, 1), BLOCK, Simple)
    else {
        panic!("a small one does")
    };
    bench.stack.cancel(slot);
    for cookie in 4..7 {
        bench.read(cookie);
    }
    let full = bench.submit(0, 7, build::read_10(0, 1), BLOCK, Simple);
    assert!(matches!(full, Accepted::Full), "no slot");
}
