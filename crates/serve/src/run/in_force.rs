//! What a reload changes, and what waits for the next start.

use std::net::SocketAddr;

use crate::config::{Config, Target};
use crate::control::ReloadReport;

/// What a running server makes of a new configuration: some of it is for the next start alone.
pub(super) fn in_force(old: &Config, mut new: Config, report: &mut ReloadReport) -> Config {
    let mut note = |what: String| report.at_next_start.push(what);
    for target in &new.targets {
        match old.target(&target.name) {
            None => note(format!("target {} is new", target.name)),
            Some(before) => {
                if !same_portals(&before.portals, &target.portals) {
                    note(format!("target {}: portals", target.name));
                }
                if before.max_sessions != target.max_sessions {
                    note(format!("target {}: max_sessions", target.name));
                }
            }
        }
    }
    let mut targets = Vec::with_capacity(old.targets.len());
    for before in &old.targets {
        if let Some(at) = new.targets.iter().position(|target| target.name == before.name) {
            let target = new.targets.swap_remove(at);
            let (portals, max_sessions) = (before.portals.clone(), before.max_sessions);
            targets.push(Target { portals, max_sessions, ..target });
        } else {
            note(format!("target {} is gone", before.name));
            let arrays = before.luns.iter().filter_map(|lun| old.array(&lun.array));
            for array in arrays {
                if new.array(&array.name).is_none() {
                    new.arrays.push(array.clone());
                }
            }
            targets.push(before.clone());
        }
    }
    new.targets = targets;
    if !same_portals(&old.iscsi.portals, &new.iscsi.portals) {
        note("[iscsi] portals".to_owned());
    }
    new.iscsi.portals.clone_from(&old.iscsi.portals);
    if old.iscsi.congestion_control != new.iscsi.congestion_control {
        note("[iscsi] congestion_control".to_owned());
    }
    new.iscsi.congestion_control.clone_from(&old.iscsi.congestion_control);
    let mut limits = old.iscsi.limits.clone();
    limits.login_timeout = new.iscsi.limits.login_timeout;
    for (name, same) in [
        ("[iscsi.limits]", limits == new.iscsi.limits),
        ("[driver]", old.driver == new.driver),
        ("[api]", old.api == new.api),
        ("[log]", old.log == new.log),
        ("[io]", old.io == new.io),
        ("[state]", old.state == new.state),
    ] {
        if !same {
            note(name.to_owned());
        }
    }
    new.iscsi.limits = limits;
    new.driver.clone_from(&old.driver);
    new.api.clone_from(&old.api);
    new.log.clone_from(&old.log);
    new.io.clone_from(&old.io);
    new.state.clone_from(&old.state);
    new
}

/// Whether portals are those that were taken: port 0 is whichever the kernel chose.
fn same_portals(taken: &[SocketAddr], new: &[SocketAddr]) -> bool {
    let same = |(taken, new): (&SocketAddr, &SocketAddr)| {
        taken == new || (new.port() == 0 && taken.ip() == new.ip())
    };
    taken.len() == new.len() && taken.iter().zip(new).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    fn config(portal: &str, targets: &[(&str, &str)], more: &str) -> Config {
        let mut text = format!("iscsi.portals = [\"{portal}\"]\n{more}\n");
        for array in ["a", "b", "c"] {
            text += &format!("[[array]]\nname = \"{array}\"\nmembers = [\"mem:8Mi\"]\n");
        }
        for (name, array) in targets {
            text +=
                &format!("[[target]]\nname = \"iqn.2026-11.test:{name}\"\nluns = [\"{array}\"]\n");
        }
        Config::parse(&text, None, &Machine::here()).unwrap()
    }

    /// Configuration and report after `new` on top of `old`.
    fn after(old: &Config, new: Config) -> (Config, Vec<String>) {
        let mut report = ReloadReport::default();
        let config = in_force(old, new, &mut report);
        (config, report.at_next_start)
    }

    #[test]
    fn the_same_again_changes_nothing_and_says_nothing() {
        let mut old = config("127.0.0.1:0", &[("x", "a")], "");
        let again = old.clone();
        // The kernel has chosen.
        let taken = SocketAddr::from(([127, 0, 0, 1], 40_000));
        old.iscsi.portals = vec![taken];
        old.targets[0].portals = vec![taken];
        let (config, notes) = after(&old, again);
        assert_eq!((&config.targets, notes), (&old.targets, vec![]));
        assert_eq!(config.iscsi.portals, [taken]);
    }

    #[test]
    fn what_waits_is_said_and_stays_as_it_was() {
        let old = config("127.0.0.1:3260", &[("x", "a"), ("y", "b")], "");
        let more = "iscsi.congestion_control = \"system\"\niscsi.limits.connections = 7\n\
                    io.spin = true\ndriver.slots = 64\n";
        let new = config("127.0.0.1:3261", &[("z", "c"), ("x", "b")], more);
        let (config, notes) = after(&old, new);
        for word in [
            "[iscsi] congestion_control",
            "x: portals",
            "z is new",
            "y is gone",
            "[iscsi] portals",
            "[io]",
            "[driver]",
        ] {
            assert!(notes.iter().any(|note| note.contains(word)), "{word}: {notes:?}");
        }
        assert!(notes.contains(&"[iscsi.limits]".to_owned()), "{notes:?}");
        let names: Vec<_> = config.targets.iter().map(|target| &target.name[17..]).collect();
        assert_eq!(names, ["x", "y"], "as threads know them");
        assert_eq!(config.targets[0].luns[0].array, "b", "its LUNs are changed at once");
        assert_eq!(config.targets[0].portals, old.targets[0].portals);
        assert_eq!((&config.io, &config.driver), (&old.io, &old.driver));
        assert_eq!(config.iscsi.limits, old.iscsi.limits);
    }
}
