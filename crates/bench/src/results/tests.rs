use super::*;
use crate::testing;

fn sample(row: Row, round: u32, bytes: u64, wall_ns: u64) -> Sample {
    Sample {
        row,
        phase: Phase::Write,
        queue_depth: 4,
        round,
        bytes,
        tasks: 10,
        wall_ns,
        cpu_ns: 500,
        host_cpu_ns: 300,
        driver_cpu_ns: 200,
        errors: 0,
        frame_ns: vec![1_000_000, 3_000_000],
        latency: latency_histogram(),
    }
}

#[test]
fn ratios_compare_what_ran_in_the_same_round() {
    // the machine becomes slower each round; within a round both are alike
    let results = Results::new(&[
        sample(Row::RESIDENT, 0, 1000, 1000),
        sample(Row::BUNDLED, 0, 1000, 1000),
        sample(Row::RESIDENT, 1, 1000, 2000),
        sample(Row::BUNDLED, 1, 1000, 2000),
        sample(Row::RESIDENT, 2, 1000, 9000),
        sample(Row::BUNDLED, 2, 1000, 10_000),
        sample(Row::BUNDLED, 3, 1000, 1),
    ]);
    let bundled = results.cell(Row::BUNDLED, Phase::Write, 4).unwrap();
    assert_eq!(bundled.ratio, Some(Spread { median: 1.0, min: 0.9, max: 1.0 }));
    assert_eq!(bundled.cpu_ratio, Some(1.0));
    assert_eq!((bundled.rounds, bundled.cpu_ns_per_task), (4, 50.0));
    assert_eq!(bundled.frame_series_ms, [1.0, 3.0]);
    assert_eq!(bundled.frame_ms, Some(Tail { p50: 1.0, p99: 3.0, max: 3.0 }));
    let resident = results.cell(Row::RESIDENT, Phase::Write, 4).unwrap();
    assert_eq!((resident.mb_per_s.median, resident.mb_per_s.max), (500.0, 1000.0));
}

#[test]
fn nothing_is_divided_by_nothing() {
    let mut dead = sample(Row::RESIDENT, 0, 0, 0);
    (dead.tasks, dead.errors, dead.frame_ns) = (0, 3, Vec::new());
    let results = Results::new(&[dead, sample(Row::SINGLE, 0, 1000, 1000)]);
    let resident = results.cell(Row::RESIDENT, Phase::Write, 4).unwrap();
    assert_eq!(
        (resident.rounds, resident.mb_per_s, resident.frame_ms),
        (0, Spread::default(), None)
    );
    assert_eq!(results.cell(Row::SINGLE, Phase::Write, 4).unwrap().ratio, None);
    assert_eq!(results.errors(), 3);
    assert!(Results::new(&[]).cells().is_empty());
}

#[test]
fn json_of_the_system_test() {
    let outcome = testing::small();
    let json: serde_json::Value = serde_json::from_str(&outcome.to_json().unwrap()).unwrap();
    assert_eq!(json["ratios"], json["ratios_by_depth"]["2"]);
    assert!(json["ratios"]["write"]["bundled"].is_f64());
    assert!(json["results"][0]["frame_ms"]["p99"].is_f64());
    insta::assert_snapshot!(outcome.to_json().unwrap());
}

#[test]
fn ratios_are_those_at_the_largest_depth() {
    let json = serde_json::to_value(testing::system()).unwrap();
    assert_eq!(json["ratios"], json["ratios_by_depth"]["8"]);
    assert_eq!(json["results"].as_array().unwrap().len(), 32);
    for phase in ["write", "read"] {
        let rows: Vec<&String> = json["ratios"][phase].as_object().unwrap().keys().collect();
        assert_eq!(rows, ["bundled", "single", "single-map"]);
    }
}

#[test]
fn json_of_random_and_cost() {
    let json = serde_json::to_value(testing::random()).unwrap();
    assert!(json["results"][0]["frame_ms"].is_null());
    assert_eq!(json["workload"]["test"], "random");
    assert!(json["ratios"]["random"]["bundled"].is_f64());
    let json = testing::cost_test().to_json().unwrap();
    assert!(!json.contains("\"results\""));
    insta::assert_snapshot!(json);
}
