//! A trace as Chrome's trace event format has it ("JSON Object Format").
//!
//! A slot has one task at a time, so that the complete events (`X`) of one slot never overlap: each is
//! a thread. Host, boundary and driver are processes.

use serde_json::{Value, json};

use super::{Part, Trace, TracedTask};

/// Processes of the picture.
const PROCESSES: [(u32, &str); 3] = [(1, "host"), (2, "boundary"), (3, "driver (as it says)")];

pub(super) fn of(trace: &Trace) -> Value {
    let mut slots: Vec<u16> = trace.tasks.iter().map(|task| task.slot).collect();
    slots.sort_unstable();
    slots.dedup();
    let mut events = Vec::new();
    for (pid, name) in PROCESSES {
        events.push(named("process_name", pid, 0, &json!({ "name": name })));
        events.push(named("process_sort_index", pid, 0, &json!({ "sort_index": pid })));
        for slot in &slots {
            let name = format!("slot {slot}");
            events.push(named("thread_name", pid, thread_of(*slot), &json!({ "name": name })));
        }
    }
    let mut spans: Vec<Value> = trace.tasks.iter().flat_map(spans).collect();
    spans.sort_by(|a, b| at(a).total_cmp(&at(b)));
    events.append(&mut spans);
    json!({
        "displayTimeUnit": "ns",
        "otherData": { "target": trace.target, "clock": "CLOCK_MONOTONIC", "begun_ns": trace.begun_ns },
        "traceEvents": events,
    })
}

fn named(what: &str, pid: u32, tid: u32, args: &Value) -> Value {
    json!({ "name": what, "ph": "M", "pid": pid, "tid": tid, "args": args })
}

/// Number 0 is the process itself.
fn thread_of(slot: u16) -> u32 {
    u32::from(slot) + 1
}

fn at(event: &Value) -> f64 {
    event["ts"].as_f64().unwrap_or_default()
}

fn spans(task: &TracedTask) -> impl Iterator<Item = Value> + '_ {
    Part::ALL.into_iter().filter_map(|part| {
        let has_claim = Part::Driver.of(task).is_some();
        let pid = match part {
            Part::Total => return None,
            Part::Data | Part::Wait | Part::Answer | Part::Send => 1,
            Part::There | Part::Back => 2,
            // Without the driver's word all of it is the boundary's.
            Part::Away if has_claim => return None,
            Part::Away => 2,
            Part::Driver => 3,
        };
        let (from, to) = part.of(task)?;
        let name = match part {
            Part::Driver => task.command.clone(),
            _ => part.name().to_owned(),
        };
        Some(json!({
            "name": name,
            "cat": "task",
            "ph": "X",
            "ts": from as f64 / 1000.0,
            "dur": (to - from) as f64 / 1000.0,
            "pid": pid,
            "tid": thread_of(task.slot),
            "args": {
                "task": task.number,
                "command": task.command,
                "lun": task.lun,
                "lba": task.lba,
                "blocks": task.blocks,
                "bundle": task.bundle,
                "nexus": task.nexus,
                "status": task.status,
            },
        }))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::trace;

    #[test]
    fn it_is_what_the_format_asks_for() {
        let json = trace().perfetto();
        let events = json["traceEvents"].as_array().unwrap();
        let mut names = HashMap::new();
        let mut ends: HashMap<(u64, u64), f64> = HashMap::new();
        let (mut last, mut spans) = (0.0, HashMap::new());
        for event in events {
            let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            let name = event["name"].as_str().unwrap();
            match event["ph"].as_str().unwrap() {
                "M" if name == "process_sort_index" => {
                    assert!(event["args"]["sort_index"].is_u64());
                }
                "M" => {
                    names.insert(track, event["args"]["name"].as_str().unwrap().to_owned());
                }
                "X" => {
                    let (ts, dur) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
                    assert!(ts >= last, "in order of time");
                    assert!(dur >= 0.0);
                    last = ts;
                    assert!(names.contains_key(&track), "{track:?} has a name");
                    let end = ends.entry(track).or_default();
                    assert!(ts >= *end - 1e-6, "spans of one track do not overlap: {event}");
                    *end = ts + dur;
                    *spans.entry(track.0).or_insert(0) += 1;
                }
                other => panic!("{other}"),
            }
        }
        let processes = [1, 2, 3].map(|pid| &*names[&(pid, 0)]);
        assert_eq!(processes, ["host", "boundary", "driver (as it says)"]);
        // Of the third task the claim is left out, of the fourth only the data is there.
        assert_eq!((spans[&1], spans[&2], spans[&3]), (4 + 4 + 4 + 1, 2 + 2 + 1, 2));
        assert_eq!(json["displayTimeUnit"], "ns");
    }
}
