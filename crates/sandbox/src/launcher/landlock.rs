//! Landlock: what may be opened by name, and what may be reached outside.

use std::os::fd::AsFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::program::Program;
use super::root::View;

/// What is asked for where the kernel has it.
const NEWEST: ABI = ABI::V10;
/// The oldest that covers files, TCP, signals and abstract sockets.
const NEEDED: ABI = ABI::V6;

/// Files of the view may be read; the program and what loads it executed; nothing else opened, made or
/// connected to.
pub(super) fn restrict(view: &View, program: &Program) -> Result<(), String> {
    let status = rules(view, program).map_err(|e| e.to_string())?;
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled => return Err("this kernel has it, but not enabled".to_owned()),
        LandlockStatus::NotImplemented => return Err("this kernel has none".to_owned()),
    };
    if abi < NEEDED || status.ruleset == RulesetStatus::NotEnforced {
        return Err(format!(
            "this kernel has version {}, which covers less than files, TCP, signals and abstract sockets; what it covers is applied",
            abi as u32
        ));
    }
    Ok(())
}

fn rules(
    view: &View,
    program: &Program,
) -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for folder in &view.folders {
        ruleset = allow(ruleset, folder, AccessFs::ReadFile.into())?;
    }
    let execute = AccessFs::ReadFile | AccessFs::Execute;
    if let Some(interpreter) = &program.interpreter {
        ruleset = allow(ruleset, interpreter, execute)?;
    }
    ruleset.add_rule(PathBeneath::new(program.file.as_fd(), execute))?.restrict_self()
}

/// What is not there needs no rule.
fn allow(
    ruleset: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    match PathFd::new(path) {
        Ok(fd) => ruleset.add_rule(PathBeneath::new(fd, access)),
        Err(_) => Ok(ruleset),
    }
}
