//! `outboard bench` in small: its JSON, its check of every byte, its report.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use scenario::command::outboard;
use serde_json::Value;

const TINY: &str = "bench --disk mem:64Mi --disk mem:64Mi --size 50M --rounds 1";
const ROWS: [&str; 4] = ["resident", "single", "single-map", "bundled"];

#[track_caller]
fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {value:#}"))
}

#[test]
fn the_system_tests_json_is_as_documented() {
    let json = outboard(format!("{TINY} --queue-depth 2,1 --json -").split_whitespace()).json();
    assert_eq!(json["workload"]["test"], "system");
    assert_eq!(json["workload"]["size"], 50_000_000);
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 2 * 2 * ROWS.len());
    for cell in results {
        assert!(ROWS.contains(&cell["path"].as_str().unwrap()), "{cell}");
        assert!(["write", "read"].contains(&cell["phase"].as_str().unwrap()), "{cell}");
        assert!([1, 2].contains(&cell["queue_depth"].as_u64().unwrap()), "{cell}");
        assert_eq!(cell["errors"], 0);
        for name in ["mb_per_s", "iops", "cpu_ns_per_task"] {
            assert!(number(cell, name) > 0.0, "{name} in {cell:#}");
        }
        // Commands of 1 MiB, the last of a frame less: MB are 10^6 bytes.
        let bytes_each = number(cell, "mb_per_s") * 1e6 / number(cell, "iops");
        assert!((0.9e6..1.05e6).contains(&bytes_each), "{cell:#}");
        let [p50, p99, max] = ["p50", "p99", "max"].map(|name| number(&cell["frame_ms"], name));
        assert!(0.0 < p50 && p50 <= p99 && p99 <= max, "{cell:#}");
    }
    assert_eq!(json["ratios"], json["ratios_by_depth"]["2"], "at the largest depth");
    for depth in ["1", "2"] {
        for phase in ["write", "read"] {
            let ratios = json["ratios_by_depth"][depth][phase].as_object().unwrap();
            let mut rows: Vec<_> = ratios.keys().map(String::as_str).collect();
            rows.sort_unstable();
            assert_eq!(rows, ["bundled", "single", "single-map"]);
            assert!(ratios.values().all(|ratio| ratio.as_f64().unwrap() > 0.0));
        }
    }
}

#[test]
fn a_ratio_is_that_of_the_speeds() {
    let line = format!("{TINY} --queue-depth 2 --path resident,bundled --json -");
    let json = outboard(line.split_whitespace()).json();
    let speed = |path: &str| {
        let cells = json["results"].as_array().unwrap();
        let cell = cells.iter().find(|c| c["path"] == path && c["phase"] == "read").unwrap();
        number(cell, "mb_per_s")
    };
    let ratio = number(&json["ratios"]["read"], "bundled");
    assert!((ratio - speed("bundled") / speed("resident")).abs() < 0.001, "{json:#}");
}

#[test]
fn every_byte_is_checked() {
    let line = format!("{TINY} --queue-depth 1,8 --verify --json -");
    let json = outboard(line.split_whitespace()).json();
    assert!(json["results"].as_array().unwrap().iter().all(|cell| cell["errors"] == 0));
    // A disk that keeps nothing is found out.
    let ran = outboard(
        "bench --disk null:128Mi --size 50M --rounds 1 --queue-depth 2 --path bundled --verify"
            .split_whitespace(),
    );
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("wrong data"), "{ran:#?}");
}

#[test]
fn failed_tasks_are_counted_and_the_run_fails() {
    let ran = outboard(
        "bench --disk mem:64Mi?errors=0.2 --size 50M --rounds 1 --queue-depth 2 --path bundled --json -"
            .split_whitespace(),
    );
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("tasks failed"), "{ran:#?}");
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(number(&json["results"][0], "errors") > 0.0);
}

#[test]
fn the_report_needs_nothing_else() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("report.html");
    // One path: no isolation cost to measure, which takes its time.
    let line = format!("{TINY} --queue-depth 1,2 --path resident,single --report");
    let arguments = line.split_whitespace().chain([path.to_str().unwrap()]);
    outboard(arguments).succeeded();
    let html = std::fs::read_to_string(&path).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    assert!(html.contains("<svg") && html.contains("Frame"), "no chart");
    let outside = html.replace("http://www.w3.org/2000/svg", "");
    for reference in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
        assert!(!outside.contains(reference), "{reference} in the report");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "one file");
}

#[test]
fn random_and_cost_have_json_too() {
    let line = "bench random --seconds 0.05 --rounds 1 --json -";
    let json = outboard(line.split_whitespace()).json();
    assert_eq!(json["workload"]["test"], "random");
    assert!(number(&json["ratios"]["random"], "bundled") > 0.0);
    let line = "bench cost --bundle 1,32 --seconds 0.02 --rounds 1 --json -";
    let json = outboard(line.split_whitespace()).json();
    assert_eq!(json["workload"]["test"], "cost");
    let curve = json["cost"]["curve"].as_array().unwrap();
    assert_eq!([&curve[0]["bundle"], &curve[1]["bundle"]], [1, 32]);
    for point in curve {
        let isolation = number(point, "bundled_ns") - number(point, "resident_ns");
        assert!((isolation - number(point, "isolation_ns")).abs() < 0.2, "{point}");
    }
    assert!(json["cost"]["parts"].as_array().unwrap().len() >= 3);
}
