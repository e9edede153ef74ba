use super::*;

fn compare_and_write(bench: &mut Bench, cookie: u64, lba: u64) -> u16 {
    let cdb = build::compare_and_write(lba, 1);
    let accepted = bench.submit(0, cookie, cdb, 2 * BLOCK, TaskAttribute::Simple);
    let Accepted::Slot { slot, .. } = accepted else { panic!("no slot: {accepted:?}") };
    bench.stack.ready(slot, TaskAttribute::Simple);
    slot
}

#[test]
fn an_exclusive_task_waits_for_others_on_its_blocks_and_they_for_it() {
    let mut bench = Bench::new();
    bench.write(1, 5);
    assert_eq!(bench.turn().len(), 0);
    compare_and_write(&mut bench, 2, 5);
    bench.write(3, 5);
    bench.write(4, 6);
    bench.turn();
    assert_eq!(bench.pushed(), [1, 4], "those on other blocks pass");
    bench.driver.good(&[1]);
    assert_eq!(cookies(&bench.turn()), [1]);
    assert_eq!(bench.pushed(), [2]);
    bench.turn();
    assert!(bench.pushed().is_empty(), "the write behind it waits");
    bench.driver.good(&[2, 4]);
    bench.turn();
    assert_eq!(bench.pushed(), [3]);
    bench.driver.good(&[3]);
    bench.turn();
    bench.assert_conserved();
    // Nothing exclusive is left: all goes at once again.
    bench.write(5, 5);
    bench.write(6, 5);
    bench.turn();
    assert_eq!(bench.pushed(), [5, 6]);
    bench.driver.good(&[5, 6]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn what_is_held_back_can_be_aborted() {
    let mut bench = Bench::new();
    bench.write(1, 5);
    bench.turn();
    compare_and_write(&mut bench, 2, 5);
    bench.write(3, 5);
    bench.turn();
    let function = super::super::Function::AbortTask { nexus: bench.nexuses[0], lun: 3, tag: 2 };
    bench.stack.manage(bench.now, function, Some(9));
    let answers = bench.turn();
    assert!(cookies(&answers) == [2] && answers[0].aborted);
    assert_eq!(bench.pushed(), [1, 3], "nobody has to wait any more");
    bench.driver.good(&[1, 3]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn exclusive_tasks_stay_so_over_a_restart() {
    let mut bench = Bench::new();
    compare_and_write(&mut bench, 1, 5);
    bench.turn();
    bench.write(2, 5);
    bench.turn();
    assert_eq!(bench.pushed(), [1]);
    assert_eq!(bench.driver.cdb(1)[12] & build::REPEATED, 0);
    bench.restart();
    bench.turn();
    assert_eq!(bench.pushed(), [1]);
    assert_eq!(bench.driver.cdb(1)[12] & build::REPEATED, build::REPEATED);
    bench.driver.good(&[1]);
    bench.turn();
    bench.turn();
    assert_eq!(bench.pushed(), [2]);
    bench.driver.good(&[2]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn a_data_out_of_another_length_is_refused() {
    let mut bench = Bench::new();
    for (cdb, expected, field) in [
        (build::compare_and_write(0, 1), 4 * BLOCK, 13),
        (build::compare_and_write(0, 3), 4 * BLOCK, 13),
        (build::write_same_10(0, 1, false), BLOCK / 2, 7),
        (build::write_same_16(0, 1, false, false), BLOCK * 2, 10),
    ] {
        let accepted = bench.submit(0, 1, cdb, expected, TaskAttribute::Simple);
        let Accepted::Answered(answer) = accepted else { panic!("{accepted:?}") };
        assert_eq!(sense(&answer), Sense::invalid_field_in_cdb(field, None));
    }
    // 256 blocks, as far as the field goes.
    let cdb = build::compare_and_write(0, 0);
    let wrapped = bench.submit(0, 1, cdb, 512 * BLOCK, TaskAttribute::Simple);
    let Accepted::Answered(answer) = wrapped else { panic!("{wrapped:?}") };
    assert_eq!(sense(&answer), Sense::invalid_field_in_cdb(13, None));
    let empty = bench.submit(0, 2, cdb, BLOCK, TaskAttribute::Simple);
    let Accepted::Slot { slot, len: 0, .. } = empty else { panic!("{empty:?}") };
    bench.stack.ready(slot, TaskAttribute::Simple);
    bench.turn();
    bench.driver.good(&[2]);
    assert_eq!(cookies(&bench.turn()), [2]);
    bench.assert_conserved();
}
