use super::*;
use crate::plan::{Plan, PlanOptions};
use crate::results::Results;
use crate::testing;

fn plain(outcome: &Outcome) -> String {
    let mut text = String::new();
    write(&mut text, outcome, Ink::PLAIN).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        assert_eq!(line, line.trim_end());
    }
    text
}

#[test]
fn system_test() {
    insta::assert_snapshot!(plain(&testing::system()));
}

#[test]
fn random_test() {
    insta::assert_snapshot!(plain(&testing::random()));
}

#[test]
fn cost_test() {
    insta::assert_snapshot!(plain(&testing::cost_test()));
}

#[test]
fn colour_adds_nothing_but_colour() {
    let mut text = String::new();
    write(&mut text, &testing::small(), Ink::COLOUR).unwrap();
    insta::assert_snapshot!(text.replace('\x1b', "^"));
    let mut bare = String::new();
    let mut pieces = text.split("\x1b[");
    bare.push_str(pieces.next().unwrap());
    for piece in pieces {
        bare.push_str(piece.split_once('m').unwrap().1);
    }
    assert_eq!(bare, plain(&testing::small()));
}

#[test]
fn without_the_resident_path_there_are_no_ratios() {
    let mut outcome = testing::system();
    let plan = Plan::new(PlanOptions {
        rows: vec![crate::row::Row::BUNDLED],
        queue_depths: vec![4],
        ..PlanOptions::default()
    })
    .unwrap();
    let mut samples = testing::samples(&plan);
    samples[0].errors = 12;
    (outcome.results, outcome.cost) = (Results::new(&samples), None);
    outcome.workload = Workload::System(plan);
    insta::assert_snapshot!(plain(&outcome));
    outcome.results = Results::default();
    plain(&outcome);
}
