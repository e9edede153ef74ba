//! Reload: the targets become what a new configuration says, all or none.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::in_force::in_force;
use super::resources::{for_log_ins, holds, serves, sizes};
use super::shared::{Shared, State};
use crate::config::{Config, Extension, Target as TargetConfig};
use crate::control::{ExtensionReport, ReloadError, ReloadReport, TargetOutcome};
use crate::io::mailbox::Message;
use crate::io::plan::Serves;
use crate::io::portal::Place;
use crate::offer;
use crate::status::DriverState;

/// How long the replacement of a driver may take.
const REPLACE: Duration = Duration::from_secs(60);

impl Shared {
    /// The server goes by another configuration.
    pub(super) fn reload_config(&self, config: Config) -> Result<ReloadReport, ReloadError> {
        let before = self.begin_reload()?;
        let mut report = ReloadReport::default();
        let config = in_force(&before.config, config, &mut report);
        let outcome = self.change(&before, &config, &mut report);
        self.end_reload(config, outcome)?;
        Ok(report)
    }

    /// The server goes by the extensions that the store has now.
    pub(super) fn reload_packages(&self) -> Result<ExtensionReport, ReloadError> {
        let before = self.begin_reload()?;
        let mut config = before.config.clone();
        let mut report = ExtensionReport::default();
        for target in &mut config.targets {
            let Some(extension) = &mut target.extension else { continue };
            if let Err(reason) = extension.resolve(&self.extensions) {
                tracing::warn!(target = target.name, reason, "its extension stays as it is");
            }
            let was = before.config.target(&target.name).and_then(|t| t.extension.as_ref());
            let version = |extension: &Extension| {
                let installed = extension.installed.as_ref();
                installed.map(|i| i.package.version().to_owned()).unwrap_or_default()
            };
            report.targets.push(TargetOutcome {
                target: target.name.clone(),
                identifier: extension.identifier.clone(),
                version: version(extension),
                replaced: was.filter(|was| *was != extension).map(version),
            });
        }
        let mut reload = ReloadReport::default();
        let outcome = self.change(&before, &config, &mut reload);
        self.end_reload(config, outcome)?;
        report.changes = reload.changes;
        Ok(report)
    }

    /// What is in force; nobody else changes it until [`Self::end_reload`].
    fn begin_reload(&self) -> Result<State, ReloadError> {
        let mut state = self.lock();
        if state.is_stopping {
            return Err(ReloadError::Busy("the end of the server"));
        }
        if std::mem::replace(&mut state.is_reloading, true) {
            return Err(ReloadError::Busy("another reload"));
        }
        Ok(state.clone())
    }

    fn end_reload(
        &self,
        config: Config,
        outcome: Result<HashMap<PathBuf, u64>, ReloadError>,
    ) -> Result<(), ReloadError> {
        let mut state = self.lock();
        state.is_reloading = false;
        state.sizes = outcome?;
        state.config = config;
        Ok(())
    }

    /// Makes the targets what `new` says, all or none; how long the members are then.
    fn change(
        &self,
        state: &State,
        new: &Config,
        report: &mut ReloadReport,
    ) -> Result<HashMap<PathBuf, u64>, ReloadError> {
        let login = offer::login_config(new).map_err(|e| ReloadError::Failed(e.to_string()))?;
        let grown = sizes(new);
        let reports = self.ask(Message::Report).into_iter().flatten().flatten();
        let down: Vec<String> =
            reports.filter(|r| r.state != DriverState::Running).map(|r| r.name).collect();
        // Who takes something from another target comes after that one has let go of it.
        let takes = |target: &TargetConfig| {
            let others = state.config.targets.iter().filter(|other| other.name != target.name);
            let wanted = holds(new, target);
            let mut theirs = others.flat_map(|other| holds(&state.config, other));
            theirs.any(|held| wanted.contains(&held))
        };
        let mut order: Vec<&TargetConfig> = new.targets.iter().collect();
        order.sort_by_key(|target| takes(target));
        let mut undo = Vec::new();
        for target in order {
            let Some(place) = self.places.get(&target.name) else { continue };
            let Some(old) = state.config.target(&target.name) else { continue };
            let (before, after) = (serves(&state.config, old), serves(new, target));
            let has_grown =
                after.paths().iter().any(|path| grown.get(path) != state.sizes.get(path));
            let is_stale = state.uncertain.contains(&target.name) || down.contains(&target.name);
            if before == after && !has_grown && !is_stale {
                continue;
            }
            let package = after.installed().map(|installed| {
                format!("{} {}", installed.package.identifier(), installed.package.version())
            });
            match self.replace(place, &target.name, after) {
                Ok(changes) if changes.is_empty() => report.changes.push(match package {
                    Some(package) => format!("{}: served by {package} now", target.name),
                    None => format!("{}: its driver was replaced", target.name),
                }),
                Ok(changes) => report.changes.extend(changes),
                Err(reason) => {
                    for (place, name, before) in undo {
                        if let Err(reason) = self.replace(place, name, before) {
                            tracing::error!(target = name, reason, "a reload is not undone");
                        }
                    }
                    return Err(ReloadError::Failed(reason));
                }
            }
            undo.push((place, &target.name, before));
        }
        if for_log_ins(&state.config) != for_log_ins(new) || state.config.iscsi != new.iscsi {
            report.changes.push("log-ins go by the new configuration".to_owned());
        }
        self.portal.reconfigure(login);
        Ok(grown)
    }

    /// Something else for one target, and the wait for it.
    fn replace(&self, place: &Place, name: &str, serves: Serves) -> Result<Vec<String>, String> {
        let (done, outcome) = channel();
        let message = Message::Replace { target: place.index, serves, done };
        place.post.send(message).map_err(|_| format!("{name}: its I/O thread has ended"))?;
        match outcome.recv_timeout(REPLACE) {
            Ok(outcome) => {
                self.lock().uncertain.remove(name);
                outcome
            }
            Err(_) => {
                // It may come yet; the next reload does not rely on what it serves.
                self.lock().uncertain.insert(name.to_owned());
                Err(format!("{name}: its driver is not replaced yet"))
            }
        }
    }
}
