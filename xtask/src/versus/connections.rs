//! One connection against two.
//!
//! With two processors the clients and the target share them, so beside the figures stands what
//! each side used: a client that uses all of its processor is the limit, not the target.

use anyhow::Result;
use serde_json::{Value, json};

use super::perf::{Load, Sample, fill, measure};
use super::{Options, fresh, median};
use crate::step::Outcome;
use crate::target::{Launch, Target, Unit};
use crate::tools::target as target_folder;

const LOADS: [(&str, Load); 2] = [
    ("4 KiB random, depth 32", Load::random(4, 32)),
    ("256 KiB sequential, depth 8", Load::sequential(256, 8)),
];

/// An arrangement: which targets the connections go to.
const ARRANGEMENTS: [(&str, &[usize]); 3] =
    [("one connection", &[0]), ("two, one target", &[0, 0]), ("two, two targets", &[0, 1])];

/// Measures all arrangements in turn, round by round.
pub(super) fn run(options: &Options) -> Result<(Value, Outcome)> {
    let folder = target_folder().join("versus");
    let unit = Unit { memory: true, ..Unit::default() };
    let start = |name: &str| {
        let launch = Launch { cpu: None, arguments: options.serve.clone() };
        let target = Target::start(options.ours, &unit, &fresh(&folder.join(name))?, &launch)?;
        fill(&target.url, unit.bytes)?;
        Ok::<_, anyhow::Error>(target)
    };
    let targets = [start("first")?, start("second")?];
    println!("    medians of {} rounds of {} s", options.rounds, options.seconds);
    println!(
        "    {:<54}{:>12}{:>8}{:>14}{:>14}",
        "", "per second", "ratio", "CPU, target", "CPU, clients"
    );
    let mut rows = Vec::new();
    for (name, load) in LOADS {
        let mut samples = vec![Vec::new(); ARRANGEMENTS.len()];
        for _ in 0..options.rounds {
            for (index, (_, to)) in ARRANGEMENTS.iter().enumerate() {
                // Clients go where the scheduler puts them, as the target's threads do.
                let to: Vec<_> = to.iter().map(|index| &targets[*index]).collect();
                samples[index].push(measure(&to, load, options.seconds, None)?);
            }
        }
        let of = |index: usize, field: fn(&Sample) -> f64| {
            median(samples[index].iter().map(field).collect())
        };
        for (index, (arrangement, _)) in ARRANGEMENTS.iter().enumerate() {
            let [iops, target, clients] = [
                of(index, |s| s.iops),
                of(index, |s| s.cpu_percent),
                of(index, |s| s.client_percent),
            ];
            let ratio = iops / of(0, |s| s.iops);
            println!(
                "    {name:<30}{arrangement:<24}{iops:>12.0}{ratio:>8.2}{target:>12.0} %{clients:>12.0} %"
            );
            rows.push(json!({
                "load": name, "arrangement": arrangement, "per_s": iops, "ratio": ratio,
                "target_cpu_percent": target, "clients_cpu_percent": clients,
            }));
        }
    }
    let json = json!({ "target": options.ours.name(), "rows": rows });
    Ok((json, Outcome::Ok))
}
