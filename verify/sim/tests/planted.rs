//! Each deliberate mistake is found, and shows as what it is.

use outboard_sim::fault::Fault;
use outboard_sim::planted::{ALL, find};

#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    for mistake in ALL {
        match find(mistake.name, mistake.needs) {
            None => missed.push(format!("{} {:?} is not found", mistake.name, mistake.needs)),
            Some((seed, breach)) => {
                let first = breach.lines().next().unwrap_or_default();
                let short: String = first.chars().take(150).collect();
                println!("{:<45} seed {seed:>2}: {short}", mistake.name);
                if !mistake.says.iter().any(|word| breach.contains(word)) {
                    missed.push(format!("{} shows as: {first}", mistake.name));
                }
            }
        }
    }
    assert!(ALL.len() > 20 && missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_same_runs_without_a_mistake_are_clean() {
    let mut needs: Vec<&[Fault]> = ALL.iter().map(|mistake| mistake.needs).collect();
    needs.sort_unstable();
    needs.dedup();
    for faults in needs {
        assert_eq!(find("", faults), None, "{faults:?}");
    }
}
